#!/bin/busybox sh
# Guest side: what the kernel sees in the images of the squashfs on /dev/vdc.
# Each image N is mounted with the default options (N/rr) and with norock
# (N/joliet). Written to /dev/vdb, one tar archive behind the other: first
# N.log, the kernel's messages while mounting, then each view that was mounted,
# then END. A view that cannot be mounted has a line "mount failed" in its log.
mkdir -p /b /m /log /done; mount -t squashfs -o ro /dev/vdc /b || exit 9
dmesg -n 1; dmesg -c > /dev/null
for p in /b/*; do
  n=${p##*/}
  for v in rr:ro joliet:ro,norock; do
    k=${v%%:*}; d=/m/$n/$k; mkdir -p "$d"
    # A loop device for each view: a second mount of one device takes over the
    # options of the first.
    l=$(losetup -f); losetup -r "$l" "$p" || exit 8
    mount -t iso9660 -o "${v#*:}" "$l" "$d" 2> /tmp/err ||
      { sed "s/^/$k: mount failed: /" /tmp/err >> "/log/$n.log"; rmdir "$d"; }
    dmesg -c | sed "s/^\\(<[0-9]*>\\)*\\[[^]]*\\] */$k: /" >> "/log/$n.log"
  done
done
echo end > /done/END
{ tar -c -f - -C /log . || exit 7
  for p in /b/*; do n=${p##*/}; for k in rr joliet; do
    [ ! -d "/m/$n/$k" ] || tar -c -f - -C /m "$n/$k" || exit 7; done; done
  tar -c -f - -C /done END
} > /dev/vdb
