#!/bin/bash
# A live system of Debian, made by live-build: text console, packages of the standard
# kind only, login on the serial port too. It takes root, the network and half an hour.
# usage: live.sh WORK OUT.iso
set -euo pipefail
work=$1; out=$2
t=$(mktemp -d -p "$work" tmp.XXXXXX); trap 'umount -l "$t"/chroot/{dev/pts,proc,sys} 2> /dev/null || true; rm -rf --one-file-system "$t"' EXIT
cd "$t"
export DEBIAN_FRONTEND=noninteractive
lb config --distribution bookworm --archive-areas main --debian-installer none --apt-recommends false --memtest none \
  --binary-images iso-hybrid --bootloaders syslinux,grub-efi --security false --updates false --firmware-chroot false --firmware-binary false \
  --uefi-secure-boot disable --checksums md5 --bootappend-live "boot=live components console=ttyS0,115200" --zsync false --compression gzip
sed -i 's/^LB_CHROOT_SQUASHFS_COMPRESSION_TYPE=.*/LB_CHROOT_SQUASHFS_COMPRESSION_TYPE="lz4"/' config/chroot
lb build
mkdir -p "$(dirname "$out")"
mv live-image-*.hybrid.iso "$out"
