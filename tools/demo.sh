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

show() { printf '\n\033[1m$ isolayer %s\033[0m\n' "$*" | sed "s|$work/||g"; "$tool" "$@"; }
out=$work/out.iso
printf 'text\nreboot\nrootpw --lock\n' > "$work/ks.cfg"

echo "== before"
show info "$iso"
echo; echo "== the change: a kickstart file, and a directory with a note"
mkdir "$work/notes"; echo "made with isolayer" > "$work/notes/README"
show build "$iso" --add "$work/ks.cfg" --add "$work/notes:/notes" -o "$out"
echo; echo "== after"
show info "$out"
show ls -l "$out" /
show cat "$out" /ks.cfg
echo; echo "== and back again: the same tree as before"
show build "$out" --rm /ks.cfg --rm /notes -o "$work/back.iso"
diff <("$tool" ls -lR "$iso" /) <("$tool" ls -lR "$work/back.iso" /) && echo "no difference"
