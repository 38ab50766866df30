#!/bin/bash
# Build a tiny guest: the stock Debian kernel and a busybox initramfs with the
# modules for iso9660, udf, overlay, loop and squashfs. Needs no root.
# Needs: busybox-static kmod cpio xz-utils lz4 zstd; the kernel package itself
# is fetched with apt-get download.
# usage: vm-build.sh WORK      -> WORK/vm/{bzImage,vmlinux,initramfs,version}
# vmlinux is left out where it cannot be unpacked from bzImage.
set -euo pipefail
work=${1:?work directory}; mkdir -p "$work"; work=$(cd "$work" && pwd)
export LC_ALL=C.UTF-8 PATH="$PATH:/usr/sbin:/sbin"; umask 022
t=$(mktemp -d -p "$work" tmp.XXXXXX); trap 'rm -rf "$t"' EXIT
o=$t/vm; mkdir "$o"

# An abstract package names the newest kernel; a stale package list names one
# that is gone, so the list is refreshed once where that is allowed.
fetch() {
  pkg=$(apt-cache depends linux-image-amd64 2>/dev/null | awk '/Depends: linux-image/{print $2; exit}')
  [ -n "$pkg" ] && (cd "$t" && apt-get download "$pkg" > fetch.log 2>&1)
}
fetch || { apt-get update -q > "$t/update.log" 2>&1 || true; fetch; } ||
  { echo "cannot download the kernel package" >&2; cat "$t"/*.log >&2; exit 1; }
dpkg-deb -x "$t/$pkg"_*.deb "$t/k"
v=$(ls "$t/k/lib/modules"); cp "$t"/k/boot/vmlinuz-* "$o/bzImage"; echo "$v" > "$o/version"

# QEMU starts an unpacked kernel sooner: nothing to decompress without KVM.
python3 - "$o/bzImage" "$o/vmlinux" <<'P'
import subprocess, sys
image = open(sys.argv[1], 'rb').read()
for magic, cmd in ((b'\xfd7zXZ\0', ['xz', '-dc', '--single-stream']), (b'\x02\x21\x4c\x18', ['lz4', '-dc']),
                   (b'\x1f\x8b\x08', ['gzip', '-dc']), (b'\x28\xb5\x2f\xfd', ['zstd', '-dc'])):
    at = image.find(magic)
    while at >= 0:
        out = subprocess.run(cmd, input=image[at:], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        if out[:4] == b'\x7fELF' and len(out) > 8 << 20:
            open(sys.argv[2], 'wb').write(out)
            sys.exit(0)
        at = image.find(magic, at + 1)
print('no vmlinux found, bzImage will do', file=sys.stderr)
P

depmod -b "$t/k" "$v"
r=$t/root; mkdir -p "$r"/{bin,dev,proc,sys,in,out,tmp,mnt,run,lib/modules}
cp "$(command -v busybox)" "$r/bin/busybox"
# deps: one line for each module, itself and what it needs in loading order;
# nothing behind the name where it is built in.
for m in virtio_pci virtio_blk virtio_scsi loop isofs udf overlay squashfs vfat nls_utf8 nls_cp437 nls_iso8859-1 nls_ascii \
    sr_mod sd_mod ahci ata_piix usb-storage uas xhci_pci ehci_pci; do
  ko=$(modprobe -d "$t/k" -S "$v" --show-depends $m 2>/dev/null | awk '/^insmod/{print $2}') || ko=
  for f in $ko; do cp -n "$f" "$r/lib/modules/"; done
  echo "$m $(for f in $ko; do basename "$f"; done | tr '\n' ' ')" >> "$r/lib/modules/deps"
done
# /dev/vda: a tar archive with ./run; /dev/vdb: takes what ./run writes there.
cat > "$r/init" <<'I'
#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev; mount -t tmpfs t /tmp
for w in virtio_pci virtio_blk loop isofs udf overlay squashfs; do
  for m in $(sed -n "s/^$w //p" /lib/modules/deps); do
    case "$done" in *" $m "*) ;; *) insmod /lib/modules/$m 2>/dev/null; done="$done $m ";; esac; done; done
n=0; while [ ! -b /dev/vdb ] && [ $n -lt 100 ]; do sleep 0.05; n=$((n+1)); done
echo "VM-READY $(cut -d' ' -f1 /proc/uptime)"
tar xf /dev/vda -C /in
cd /in; if [ -x ./run ]; then ./run; rc=$?; else rc=125; fi
sync; echo "VM-RC $rc $(cut -d' ' -f1 /proc/uptime)"
poweroff -f
I
chmod +x "$r/init"
(cd "$r" && find . -exec touch -h -d @1700000000 {} + &&
  find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible 2>/dev/null) > "$o/initramfs"
rm -rf "$work/vm"; mv "$o" "$work/vm"
