#!/bin/bash
# An installer medium in the manner of CentOS 7, made with the classic command
# line: genisoimage (TRANS.TBL, Rock Ridge, long Joliet), isolinux, El Torito
# with an EFI entry, isohybrid --uefi, implantisomd5. Real boot loaders and
# kernel, invented packages.
# small is 44 MiB, medium 1 GiB with 4000 packages, large 8 GiB with a file of
# more than 4 GiB (written by xorriso: genisoimage cannot split a file).
# Kernel and initrd are those of payload.sh if it was run before in WORK, else
# Debian's installer.
# Needs: genisoimage isomd5sum isolinux syslinux-common syslinux-utils
# shim-signed grub-efi-amd64-signed grub-common mtools dosfstools squashfs-tools
# debian-installer-12-netboot-amd64, and xorriso for large.
# usage: rhel-like.sh WORK small|medium|large [OUT]
# PRELOAD=FILE.so is loaded into the programs that have no SOURCE_DATE_EPOCH.
set -euo pipefail
work=${1:?work directory}; size=${2:?small, medium or large}; mkdir -p "$work"; work=$(cd "$work" && pwd)
out=${3:-$work/rhel-like-$size.iso}; here=$(cd "$(dirname "$0")" && pwd)
export LC_ALL=C.UTF-8 TZ=UTC PATH="$PATH:/usr/sbin:/sbin" SOURCE_DATE_EPOCH=1604448000   # 2020-11-04
umask 022
steady() { LD_PRELOAD=${PRELOAD:-} "$@"; }

case $size in
  small) mib=12 n=120 ins=4;; medium) mib=890 n=4000 ins=40;; large) mib=3700 n=9000 ins=200;;
  *) echo "bad size" >&2; exit 2;; esac
V="CentOS 7 x86_64"; [ "$size" != large ] || V="RHEL-7.9 Server.x86_64"
K="inst.stage2=hd:LABEL=${V// /\\x20} check=/ks.cfg,/.treeinfo"
tmp=$(mktemp -d -p "$work" tmp.XXXXXX); trap 'rm -rf "$tmp"' EXIT
t=$tmp/tree; mkdir -p "$t"/{isolinux,images/pxeboot,EFI/BOOT/fonts,LiveOS,Packages,repodata}

di=/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64 pl=$work/payload
if [ -d "$pl" ]; then cp "$pl/vmlinuz" "$pl/initrd.img" "$t/isolinux/"
else cp "$di/linux" "$t/isolinux/vmlinuz"; cp "$di/initrd.gz" "$t/isolinux/initrd.img"; fi
ln "$t/isolinux/vmlinuz" "$t/isolinux/initrd.img" "$t/images/pxeboot/"
cp /usr/lib/ISOLINUX/isolinux.bin "$t/isolinux/"
cp /usr/lib/syslinux/modules/bios/{ldlinux,menu,libcom32,libutil,vesamenu}.c32 "$t/isolinux/"
echo 'Welcome to the test installer.' > "$t/isolinux/boot.msg"
cat > "$t/isolinux/isolinux.cfg" <<C
serial 0 115200
default linux
timeout 20
prompt 1
display boot.msg
label linux
  kernel vmlinuz
  append initrd=initrd.img $K console=tty0 console=ttyS0,115200
label check
  kernel vmlinuz
  append initrd=initrd.img $K rd.live.check quiet
C
cat > "$t/EFI/BOOT/grub.cfg" <<C
set default="0"
set timeout=2
serial --unit=0 --speed=115200
terminal_output console serial
search --no-floppy --set=root -l '$V'
menuentry 'Install (linuxefi)' {
  linux /images/pxeboot/vmlinuz $K console=tty0 console=ttyS0,115200
  initrd /images/pxeboot/initrd.img
}
C
cp /usr/lib/shim/shimx64.efi.signed "$t/EFI/BOOT/BOOTX64.EFI"
cp /usr/lib/shim/mmx64.efi.signed "$t/EFI/BOOT/mmx64.efi"
cp /usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed "$t/EFI/BOOT/grubx64.efi"
cp /usr/share/grub/unicode.pf2 "$t/EFI/BOOT/fonts/"

# efiboot.img: Debian's GRUB for media looks for /EFI/debian/grub.cfg on its own device first.
efi=$t/images/efiboot.img; truncate -s 9M "$efi"; steady mkfs.vfat --invariant -i 7E570001 -n ANACONDA "$efi" > /dev/null
find "$t" -exec touch -h -d @$SOURCE_DATE_EPOCH {} +
steady mmd -i "$efi" ::EFI ::EFI/BOOT ::EFI/debian
steady mcopy -m -i "$efi" "$t"/EFI/BOOT/{BOOTX64.EFI,mmx64.efi,grubx64.efi,grub.cfg} ::EFI/BOOT/
steady mcopy -m -i "$efi" "$t/EFI/BOOT/grub.cfg" ::EFI/debian/grub.cfg

python3 "$here/fill-tree.py" "$tmp/stage2" $ins 60 "stage2-$size" .so
find "$tmp/stage2" -exec touch -h -d @$SOURCE_DATE_EPOCH {} +
mksquashfs "$tmp/stage2" "$t/LiveOS/squashfs.img" -quiet -no-progress -all-root -noappend -comp gzip > /dev/null
python3 "$here/fill-tree.py" "$t/Packages" $mib $n "pk-$size"
[ "$size" != large ] || python3 "$here/fill-tree.py" "$t/images/oem" 4300 1 big .img
for f in primary filelists other comps; do
  h=$(echo "$f $size" | sha256sum | cut -c1-64); ls "$t/Packages" | gzip -n > "$t/repodata/$h-$f.xml.gz"; done
echo '<?xml version="1.0"?><repomd/>' > "$t/repodata/repomd.xml"
echo 'Test licence terms.' > "$t/EULA"
for _ in $(seq 340); do echo 'General Public Licence placeholder line.'; done > "$t/GPL"
echo 'key placeholder' > "$t/RPM-GPG-KEY-CentOS-7"; ln -s RPM-GPG-KEY-CentOS-7 "$t/RPM-GPG-KEY"
printf '1604001756.129990\n7.9\nx86_64\n' > "$t/.discinfo"
{ printf '%s\n' '[general]' 'name = CentOS-7' 'family = CentOS' 'timestamp = 1604001756.12' 'variant =' 'version = 7' \
    'packagedir =' 'arch = x86_64' '' '[stage2]' 'mainimage = LiveOS/squashfs.img' '' '[images-x86_64]' \
    'kernel = images/pxeboot/vmlinuz' 'initrd = images/pxeboot/initrd.img' '' '[checksums]'
  for f in images/efiboot.img images/pxeboot/vmlinuz images/pxeboot/initrd.img LiveOS/squashfs.img repodata/repomd.xml; do
    echo "$f = sha256:$(sha256sum < "$t/$f" | cut -d' ' -f1)"; done; } > "$t/.treeinfo"
chmod -R u+rwX,go+rX "$t"
find "$t" -exec touch -h -d @$SOURCE_DATE_EPOCH {} +

boot=(-b isolinux/isolinux.bin -c isolinux/boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table
      -eltorito-alt-boot -e images/efiboot.img -no-emul-boot)
names=(-V "$V" -volset "$V" -A "$V")
if [ "$size" = large ]; then
  xorriso -as mkisofs -iso-level 3 -U -r -J -joliet-long "${names[@]}" "${boot[@]}" -o "$tmp/iso" "$t"
else
  steady genisoimage -quiet -U -r -T -J -joliet-long "${names[@]}" "${boot[@]}" -o "$tmp/iso" "$t"
fi
steady isohybrid --uefi -i 0x7e570001 "$tmp/iso"
implantisomd5 "$tmp/iso"
mv "$tmp/iso" "$out"
