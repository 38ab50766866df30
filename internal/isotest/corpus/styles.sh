#!/bin/bash
# Images with the boot equipment of the well-known kinds of distribution media,
# all from one small tree (real boot loaders and kernel), and layouts that a
# remastering tool meets rarely. The tree is made once in WORK; each style
# works on a copy of it, so it is the same whether built alone or with others.
# Needs: vm-build.sh and payload.sh run before in WORK; xorriso genisoimage
# isolinux syslinux-common syslinux-utils grub-pc-bin grub-efi-amd64-bin
# grub-common shim-signed grub-efi-amd64-signed mtools dosfstools fdisk
# isomd5sum squashfs-tools.
# usage: styles.sh WORK OUT STYLE...     (no STYLE: list the names)
# PRELOAD=FILE.so is loaded into the programs that have no SOURCE_DATE_EPOCH.
set -euo pipefail
all="debian ubuntu2204 ubuntu2204-pkgs fedora rhel9-isolinux arch alpine grubrescue suse windows
floppy hdemul efionly-arm64style multisession multisession-xorriso multisession-gen deep hfs zisofs level4 nopad
bigdir sparc-label hppa dupinode utf8 norr nojoliet joliet-only padded-tail"
[ $# -gt 2 ] || { printf '%s\n' $all; exit 0; }
work=$1; out=$2; shift 2; mkdir -p "$work" "$out"
work=$(cd "$work" && pwd); out=$(cd "$out" && pwd); here=$(cd "$(dirname "$0")" && pwd)
export LC_ALL=C.UTF-8 TZ=UTC PATH="$PATH:/usr/sbin:/sbin" SOURCE_DATE_EPOCH=1700000000
umask 022
fix() { find "$1" -exec touch -h -d @$SOURCE_DATE_EPOCH {} +; }
steady() { LD_PRELOAD=${PRELOAD:-} "$@"; }
G() { steady genisoimage -quiet "$@"; }
X() { xorriso -as mkisofs "$@"; }

base() { # the common tree, in $1
  local t=$1 pl=$work/payload d K
  mkdir -p "$t"/{isolinux,boot/grub/i386-pc,EFI/BOOT,.disk,pool/main,live,images/pxeboot,dists/stable}
  cp "$pl/vmlinuz" "$pl/initrd.img" "$t/images/pxeboot/"
  for d in live isolinux; do ln "$t/images/pxeboot/vmlinuz" "$t/images/pxeboot/initrd.img" "$t/$d/"; done
  cp /usr/lib/ISOLINUX/isolinux.bin "$t/isolinux/"
  cp /usr/lib/syslinux/modules/bios/{ldlinux,libcom32,libutil,menu,vesamenu}.c32 "$t/isolinux/"
  K="console=tty0 console=ttyS0,115200 check=/ks.cfg,/README.txt"
  cat > "$t/isolinux/isolinux.cfg" <<C
serial 0 115200
default linux
prompt 1
timeout 10
say CORPUS-ISOLINUX
label linux
  kernel /isolinux/vmlinuz
  append initrd=/isolinux/initrd.img $K
C
  cat > "$t/boot/grub/grub.cfg" <<C
serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
echo CORPUS-GRUB
set timeout=1
menuentry 'Test kernel' {
  linux /images/pxeboot/vmlinuz $K
  initrd /images/pxeboot/initrd.img
}
C
  echo 'Corpus test medium 1' > "$t/.disk/info"; echo 'placeholder' > "$t/ks.cfg"; echo 'read me' > "$t/README.txt"
  grub-mkimage -O i386-pc-eltorito -p /boot/grub -o "$t/boot/grub/i386-pc/eltorito.img" biosdisk iso9660 normal linux serial terminal \
    configfile search search_label search_fs_uuid search_fs_file part_gpt part_msdos echo test ls cat
  cp /usr/lib/shim/shimx64.efi.signed "$t/EFI/BOOT/BOOTX64.EFI"
  cp /usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed "$t/EFI/BOOT/grubx64.efi"
  python3 "$here/fill-tree.py" "$t/pool/main" 6 60 styles _amd64.deb
  ln -s stable "$t/dists/bookworm"; fix "$t"
  mkdir "$t.sq"; cp -a "$t/EFI" "$t.sq/"; fix "$t.sq"
  mksquashfs "$t.sq" "$t/live/filesystem.squashfs" -quiet -no-progress -all-root -noappend > /dev/null; rm -rf "$t.sq"
  local esp=$t/boot/grub/efi.img
  truncate -s 5M "$esp"; steady mkfs.vfat --invariant -i C0E50001 -n ESP "$esp" > /dev/null
  steady mmd -i "$esp" ::EFI ::EFI/BOOT; steady mcopy -m -i "$esp" "$t"/EFI/BOOT/{BOOTX64.EFI,grubx64.efi} ::EFI/BOOT/
  cp "$esp" "$t/images/efiboot.img"; fix "$t"
}

bios=(-b isolinux/isolinux.bin -c isolinux/boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table)
grubbios=(-b boot/grub/i386-pc/eltorito.img -no-emul-boot -boot-load-size 4 -boot-info-table --grub2-boot-info)
hyb=/usr/lib/ISOLINUX/isohdpfx.bin; g2=/usr/lib/grub/i386-pc/boot_hybrid.img
ESPG=C12A7328-F81F-11D2-BA4B-00A0C93EC93B; BDP=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7

style() { # write style $1 to $o from the tree $t, with $m for anything else and $esp as the EFI system partition
  case $1 in
  debian) ln -s . "$t/debian"; fix "$t"
    X -r -checksum_algorithm_iso sha256,sha512 -V 'Debian 12.5.0 amd64 n' -o "$o" -J -joliet-long -cache-inodes -isohybrid-mbr $hyb \
      "${bios[@]}" -eltorito-alt-boot -e boot/grub/efi.img -no-emul-boot -isohybrid-gpt-basdat -isohybrid-apm-hfsplus "$t";;
  ubuntu2204)
    X -r -V 'Ubuntu-Server 22.04.4 LTS amd64' -J -joliet-long -l -iso-level 3 -partition_offset 16 --grub2-mbr $g2 --mbr-force-bootable \
      -append_partition 2 28732ac11ff8d211ba4b00a0c93ec93b "$esp" -appended_part_as_gpt -iso_mbr_part_type a2a0d0ebe5b9334487c068b6b72699c7 \
      -c /boot.catalog "${grubbios[@]}" -eltorito-alt-boot -e '--interval:appended_partition_2:::' -no-emul-boot -boot-load-size 10240 -o "$o" "$t";;
  ubuntu2204-pkgs) # the layout of newer Ubuntu: no partition offset, ESP appended, MBR type 0xcd
    X -r -V 'Ubuntu 24.04 LTS amd64' -J -joliet-long -iso-level 3 --grub2-mbr $g2 --protective-msdos-label -partition_cyl_align off \
      -append_partition 2 0xef "$esp" -appended_part_as_gpt -c /boot.catalog "${grubbios[@]}" \
      -eltorito-alt-boot -e '--interval:appended_partition_2:all::' -no-emul-boot -o "$o" "$t";;
  fedora)
    X -o "$o" -R -J -V 'Fedora-S-dvd-x86_64-39' --grub2-mbr $g2 -partition_offset 16 -appended_part_as_gpt -append_partition 2 $ESPG "$esp" \
      -iso_mbr_part_type $BDP -c boot.cat --boot-catalog-hide "${grubbios[@]}" \
      -eltorito-alt-boot -e '--interval:appended_partition_2:all::' -no-emul-boot "$t"
    implantisomd5 --supported-iso "$o";;
  rhel9-isolinux)
    G -o "$o" -R -J -joliet-long -V 'RHEL-8-9-0-BaseOS-x86_64' -volset RHEL -A RHEL "${bios[@]}" \
      -eltorito-alt-boot -e images/efiboot.img -no-emul-boot -graft-points "$t"
    steady isohybrid --uefi -i 0x7e570009 "$o"; implantisomd5 "$o";;
  arch)
    X -no-pad -iso-level 3 -full-iso9660-filenames -joliet -joliet-long -rational-rock -volid ARCH_202401 -appid 'Arch test' \
      -publisher 'Arch test' -preparer 'prepared by styles.sh' -partition_offset 16 -append_partition 2 $ESPG "$esp" -appended_part_as_gpt \
      "${bios[@]}" -isohybrid-mbr $hyb --mbr-force-bootable -iso_mbr_part_type $BDP \
      -eltorito-alt-boot -e '--interval:appended_partition_2:all::' -no-emul-boot -output "$o" "$t";;
  alpine)
    X -o "$o" -l -J -R -V 'alpine-std 3.19.0 x86_64' "${bios[@]}" -eltorito-alt-boot -e boot/grub/efi.img -no-emul-boot \
      -isohybrid-mbr $hyb -isohybrid-gpt-basdat "$t";;
  grubrescue) TMPDIR=$m steady grub-mkrescue -o "$o" "$t" -- -volid GRUBRESCUE;;
  suse)
    G -o "$o" -l -r -J -f -pad -joliet -joliet-long -V 'openSUSE-Leap-15.5-DVD-x86_64' -A 'openSUSE-Leap-15.5-DVD-x86_64-Build491.1#0' \
      -p 'test' -publisher 'SUSE LINUX GmbH' "${bios[@]}" -eltorito-alt-boot -b boot/grub/efi.img -no-emul-boot "$t"
    steady isohybrid -o 4 -i 0x7e570005 "$o";;
  windows) # UDF bridge
    cp -a "$t/EFI" "$t/live" "$m/"; mkdir "$m/boot"; printf 'This disc contains a "UDF" file system.\r\n' > "$m/README.TXT"
    head -c 4096 "$t/isolinux/isolinux.bin" > "$m/boot/etfsboot.com"; cp "$esp" "$m/boot/efisys.bin"; fix "$m"
    G -o "$o" -udf -iso-level 2 -J -l -D -N -relaxed-filenames -V 'CCCOMA_X64FRE_EN-US_DV9' -b boot/etfsboot.com -no-emul-boot \
      -boot-load-size 8 -hide boot.catalog -c boot.catalog -eltorito-alt-boot -e boot/efisys.bin -no-emul-boot "$m";;
  floppy)
    truncate -s 1440K "$t/boot/floppy.img"; steady mkfs.vfat --invariant -i F1099900 "$t/boot/floppy.img"; fix "$t"
    G -o "$o" -r -J -V FLOPPYEMU -b boot/floppy.img -c boot/boot.cat "$t";;
  hdemul)
    truncate -s 8M "$t/boot/hd.img"; printf 'label:dos\nlabel-id:0x7e570008\nstart=2048,type=c,bootable\n' | sfdisk -q "$t/boot/hd.img"; fix "$t"
    G -o "$o" -r -J -V HDEMU -hard-disk-boot -b boot/hd.img -c boot/boot.cat "$t";;
  efionly-arm64style)
    X -r -V 'Debian 12.5.0 arm64 n' -J -joliet-long -cache-inodes -e boot/grub/efi.img -no-emul-boot \
      -append_partition 2 0xef "$t/boot/grub/efi.img" -partition_cyl_align all -o "$o" "$t";;
  multisession) # genisoimage's first session, two more by another program
    echo two > "$m/second.txt"; fix "$m"
    G -o "$o" -r -J -V MULTI -c isolinux/boot.cat -b isolinux/isolinux.bin -no-emul-boot -boot-load-size 4 -boot-info-table "$t"
    xorriso -dev "$o" -joliet on -boot_image any keep -map "$m/second.txt" /second.txt -rm /README.txt -- -commit
    xorriso -dev "$o" -joliet on -boot_image any keep -map "$m/second.txt" /third.txt -commit;;
  multisession-xorriso)
    for i in 2 3; do echo "session $i" > "$m/s$i.txt"; done; fix "$m"
    xorriso -outdev "$o" -volid SESS1 -joliet on -map "$t" / -boot_image isolinux dir=/isolinux -commit
    for i in 2 3; do
      xorriso -dev "$o" -joliet on -boot_image any keep -volid SESS$i -map "$m/s$i.txt" /s$i.txt -commit; done;;
  multisession-gen) # as burned with cdrecord -multi: a second session appended, referring to extents of the first
    mkdir "$m/s"; echo second > "$m/s/second.txt"; fix "$m"
    G -o "$o" -r -J -V SESS1 "${bios[@]}" "$t"
    n=$(( ($(stat -c %s "$o")/2048 + 15) / 16 * 16 )); truncate -s $((n*2048)) "$o"
    G -C 16,$n -M "$o" -r -J -V SESS2 -o "$m/s2.iso" "$m/s" || G -C 0,$n -M "$o" -r -J -V SESS2 -o "$m/s2.iso" "$m/s"
    cat "$m/s2.iso" >> "$o";;
  deep) # deeper than eight levels: relocated directories
    mkdir -p "$m/a1/a2/a3/a4/a5/a6/a7/a8/"{a9/a10,b}; cp -a "$t/isolinux" "$m/"
    echo deep > "$m/a1/a2/a3/a4/a5/a6/a7/a8/a9/a10/file"; echo x > "$m/a1/a2/a3/a4/a5/a6/a7/a8/b/y"; fix "$m"
    G -o "$o" -r -J -V DEEP "${bios[@]}" "$m";;
  hfs) G -o "$o" -r -J -hfs -V HFSHYB -hfs-volid HFSHYB "${bios[@]}" "$t";;
  zisofs)
    xorriso -outdev "$o" -volid ZISOFS -zisofs level=6 -map "$t" / -set_filter_r --zisofs /pool -- -boot_image isolinux dir=/isolinux -commit;;
  level4) G -o "$o" -iso-level 4 -r -V 'enhanced volume descriptor' "${bios[@]}" "$t";;
  nopad) G -o "$o" -no-pad -r -J -V NOPAD "${bios[@]}" "$t";;
  bigdir)
    mkdir "$m/d"; cp -a "$t/isolinux" "$m/"
    (cd "$m/d"; seq -f 'file-with-a-fairly-long-name-%06.0f.txt' 1 12000 | xargs touch; seq -f 'd%04.0f' 1 3000 | xargs mkdir); fix "$m"
    G -o "$o" -r -J -joliet-long -V BIGDIR "${bios[@]}" "$m";;
  sparc-label) xorriso -outdev "$o" -volid SPARC -map "$t" / -boot_image any sparc_label='corpus' -commit;;
  hppa)
    xorriso -outdev "$o" -volid HPPA -map "$t" / -boot_image any hppa_cmdline='0/vmlinux HOME=/' \
      -boot_image any hppa_bootloader=/isolinux/isolinux.bin -boot_image any hppa_kernel_32=/isolinux/vmlinuz \
      -boot_image any hppa_kernel_64=/isolinux/vmlinuz -boot_image any hppa_ramdisk=/isolinux/initrd.img -commit;;
  dupinode) # two names, one extent; a boot image that is also visible under another name
    ln "$t/isolinux/isolinux.bin" "$t/loader.copy"; fix "$t"
    X -o "$o" -r -J -V DUPINODE -cache-inodes -isohybrid-mbr $hyb "${bios[@]}" "$t";;
  utf8)
    mkdir "$m/données" "$m/日本語"; cp -a "$t/isolinux" "$m/"
    for n in 'naïve café.txt' '文件.cfg' 'Ελλάδα' 'emoji😀name' 'a;b' 'sp ace' "quote'x" 'back\slash' '.hidden' \
        'UPPER.TXT' 'upper.txt' 'x.tar.gz' 'no_ext' 'trail.'; do echo "$n" > "$m/données/$n"; done
    ln -s '../données/naïve café.txt' "$m/日本語/link"; ln -s /absolute/target "$m/abs"
    ln -s "$(printf 'long/%.0s' $(seq 60))" "$m/longlink"
    mkfifo "$m/fifo"; mknod "$m/null" c 1 3 || true   # devices only as root
    chmod 4711 "$m/données/sp ace"; fix "$m"
    X -o "$o" -R -J -joliet-long -V UTF8NAMES "${bios[@]}" "$m";;
  norr) G -o "$o" -l -J -V NORR "${bios[@]}" "$t";;
  nojoliet) G -o "$o" -r -V NOJOLIET "${bios[@]}" "$t"; steady isohybrid -i 0x7e57000a "$o";;
  joliet-only) G -o "$o" -J -joliet-long -V JOLIETONLY "${bios[@]}" "$t";;
  padded-tail)
    X -o "$o" -r -J -V TAIL -isohybrid-mbr $hyb "${bios[@]}" "$t"; head -c 3000000 /dev/zero | tr '\0' 'T' >> "$o";;
  *) echo "unknown style $1" >&2; return 2;;
  esac
}

tmp=$(mktemp -d -p "$work" tmp.XXXXXX); trap 'rm -rf "$tmp"' EXIT
if [ ! -d "$work/style-tree" ]; then base "$tmp/base"; mv "$tmp/base" "$work/style-tree"; fi
for s; do
  rm -rf "$tmp/t" "$tmp/m" "$tmp/esp.img"; cp -a "$work/style-tree" "$tmp/t"; mkdir "$tmp/m"
  t=$tmp/t m=$tmp/m esp=$tmp/esp.img o=$tmp/iso; cp -p "$t/boot/grub/efi.img" "$esp"; fix "$t"
  style "$s"
  mv "$o" "$out/$s.iso"
done
