#!/usr/bin/env bash
# Rebuilds a bootable image with a kickstart file and shows it before and after.
# usage: tools/demo.sh [IMAGE.iso]
# Without an image: GRUB's rescue CD, from the Debian package grub-rescue-pc;
# fetched, not installed, if it is not there, so no root is needed.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d "${TMPDIR:-/tmp}/isolayer-demo.XXXXXX")
trap 'rm -rf "$work"' EXIT
tool=$PWD/bin/isolayer

iso=${1:-/usr/lib/grub-rescue/grub-rescue-cdrom.iso}
if [ ! -f "$iso" ] && [ $# -eq 0 ]; then
  echo "fetching the Debian package grub-rescue-pc"
  (cd "$work" && apt-get download -q grub-rescue-pc >/dev/null) ||
    { echo "cannot fetch it here; name an image: make demo ISO=path/to.iso" >&2; exit 1; }
  dpkg-deb -x "$work"/grub-rescue-pc_*.deb "$work/package"
  iso=$work/package/usr/lib/grub-rescue/grub-rescue-cdrom.iso
fi
[ -f "$iso" ] || { echo "$iso: no such image" >&2; exit 1; }

cp -s "$(realpath "$iso")" "$work/base.iso"
cd "$work"
show() { printf '\n$ isolayer %s\n' "$*"; "$tool" "$@"; }
printf 'text\nreboot\nrootpw --lock\n' > ks.cfg
mkdir notes; echo "made with isolayer" > notes/README

echo "== before"
show info base.iso
echo; echo "== the change: a kickstart file, and a directory with a note"
show build base.iso --add ks.cfg --add notes:/notes -o out.iso
echo; echo "== after"
show info out.iso
show ls -l out.iso /
show cat out.iso /ks.cfg
echo; echo "== and back again: the same tree as before"
show build out.iso --rm /ks.cfg --rm /notes -o back.iso
diff <("$tool" ls -lR base.iso) <("$tool" ls -lR back.iso) && echo "no difference"
