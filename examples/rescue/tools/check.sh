#!/bin/sh
# Lists the disks that are there.
cat /proc/partitions
