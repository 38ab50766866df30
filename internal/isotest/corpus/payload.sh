#!/bin/bash
# Kernel and small initramfs for test media. On the serial console and the screen the guest prints
#   CORPUS-BOOT-OK <cmdline>          as soon as its init runs
#   CORPUS-FW bios|efi                how it was started
#   CORPUS-MEDIA <dev> <volume id>    when it has found and mounted the image it was booted from
#   CORPUS-FILE <path> <sha256>       for every path given as check=/a,/b on the kernel command line
#   CORPUS-DONE                       and then powers off
# so a boot test knows that the loader chain worked and which content the kernel saw.
# Needs: vm-build.sh run before in WORK (its kernel and modules are used), cpio.
# usage: payload.sh WORK      -> WORK/payload/{vmlinuz,initrd.img}
set -euo pipefail
work=${1:?work directory}; work=$(cd "$work" && pwd); g=$work/vm
export LC_ALL=C.UTF-8; umask 022
t=$(mktemp -d -p "$work" tmp.XXXXXX); trap 'rm -rf "$t"' EXIT
o=$t/payload; r=$t/root; mkdir "$o" "$r"
(cd "$r" && cpio -id --quiet < "$g/initramfs")
keep=' '
for m in isofs sr_mod sd_mod ahci ata_piix usb-storage xhci_pci ehci_pci virtio_pci virtio_blk virtio_scsi loop squashfs overlay udf; do
  keep="$keep$(sed -n "s/^$m //p" "$r/lib/modules/deps") "; done
for f in "$r"/lib/modules/*.ko; do case "$keep" in *" $(basename "$f") "*) ;; *) rm "$f";; esac; done
cat > "$r/init" <<'I'
#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev
say() { echo "$*"; for c in /dev/ttyS0 /dev/tty0; do [ -c $c ] && echo "$*" > $c 2>/dev/null; done; }
exec 2>/dev/null
say "CORPUS-BOOT-OK $(cat /proc/cmdline)"
[ -d /sys/firmware/efi ] && say "CORPUS-FW efi" || say "CORPUS-FW bios"
for m in virtio_pci virtio_blk virtio_scsi ahci ata_piix xhci_pci ehci_pci usb-storage sd_mod sr_mod isofs; do
  for k in $(sed -n "s/^$m //p" /lib/modules/deps); do insmod /lib/modules/$k; done; done
n=0; while [ $n -lt 60 ]; do
  for d in /dev/sr0 /dev/sd[a-c] /dev/sd[a-c]1 /dev/vd[a-c] /dev/vd[a-c]1; do
    [ -b $d ] || continue
    if mount -t iso9660 -o ro $d /mnt; then
      say "CORPUS-MEDIA $d $(dd if=$d bs=1 skip=32808 count=32 | sed 's/ *$//')"
      for f in $(sed -n 's/.*check=\([^ ]*\).*/\1/p' /proc/cmdline | tr , ' '); do
        say "CORPUS-FILE $f $(sha256sum < /mnt$f | cut -d' ' -f1)"; done
      umount /mnt; say CORPUS-DONE; sleep 1; poweroff -f; sleep 9; fi; done
  sleep 0.5; n=$((n+1)); done
say CORPUS-NOMEDIA; poweroff -f
I
chmod +x "$r/init"; cp "$g/bzImage" "$o/vmlinuz"
(cd "$r" && find . -exec touch -h -d @1700000000 {} + &&
  find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible 2>/dev/null) | gzip -9n > "$o/initrd.img"
rm -rf "$work/payload"; mv "$o" "$work/payload"
