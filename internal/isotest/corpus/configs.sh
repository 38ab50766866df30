#!/bin/bash
# The boot configurations that Debian's packages ship: those of its installer, of the
# builders of live systems, of boot loaders and their tests. From binary packages and,
# for templates, from source packages. Nothing is changed in them.
# Needs: apt-get with the system's sources, cpio.
# usage: configs.sh WORK      -> WORK/configs/PACKAGE/...
set -euo pipefail
work=${1:?work directory}; mkdir -p "$work"; work=$(cd "$work" && pwd)
export LC_ALL=C.UTF-8 PATH="$PATH:/usr/sbin:/sbin"; umask 022
t=$(mktemp -d -p "$work" tmp.XXXXXX); trap 'rm -rf "$t"' EXIT
binary="live-build open-infrastructure-system-build grub-common grub-legacy fai-server grub-rescue-pc
  debian-installer-12-netboot-amd64 debian-installer-12-netboot-i386"
source="debian-installer grub2 syslinux fai"

mkdir -p "$t/deb" "$t/src" "$t/lists/partial" "$t/configs"
(cd "$t/deb" && apt-get download $binary) > "$t/log" 2>&1 ||
  { apt-get update -q >> "$t/log" 2>&1 || true; (cd "$t/deb" && apt-get download $binary) >> "$t/log" 2>&1; } ||
  { cat "$t/log" >&2; exit 1; }
# Lists of sources of our own, from where the system gets its binaries.
for f in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
  if [ -f "$f" ]; then sed 's/^Types: deb$/Types: deb-src/; s/^deb /deb-src /' "$f" > "$t/our.${f##*.}"; break; fi; done
list=$(ls "$t"/our.*)
apt=(apt-get -q -o Dir::Etc::sourcelist="$list" -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists="$t/lists"
  -o Dir::Cache::srcpkgcache= -o Dir::Cache::pkgcache=)
"${apt[@]}" update >> "$t/log" 2>&1 || { cat "$t/log" >&2; exit 1; }
for p in $source; do # lists may be newer than a mirror; tests count what came
  (cd "$t/src" && "${apt[@]}" source --download-only "$p") >> "$t/log" 2>&1 || echo "no source of $p" >&2; done

keep() { # the configurations below directory $1, for package $2
  (cd "$1" && find . -type f -size -200k \( -name '*.cfg' -o -name '*.cfg.*' -o -name '*.conf' -o -name 'menu.lst*' -o -name 'grub_script*.in' \
      -o -name '*.menu' -o -name '*.prm' -o -name 'parmfile*' -o -path '*/pxelinux.cfg/*' -o -path './usr/share/doc/grub*/examples/*' \) |
    { grep -E '/(boot|grub|isolinux|syslinux|pxelinux|extlinux|debian-installer|tests|com32|fai|examples|docs)' || true; } |
    { grep -vE '/build/config/|/(apt|fai|nfsroot|dhcpd|dhclient-fai|mtools)\.conf$' || true; } |
    cpio -pdm --quiet "$t/configs/$2")
}
for d in "$t"/deb/*.deb; do
  p=$(basename "$d"); mkdir "$t/x"; dpkg-deb -x "$d" "$t/x"; keep "$t/x" "${p%%_*}"; rm -rf "$t/x"; done
for d in "$t"/src/*.tar.*; do
  case $d in *.asc|*.debian.tar.*) continue;; esac
  p=$(basename "$d"); mkdir "$t/x"; tar -xf "$d" -C "$t/x"; keep "$t/x" "src-${p%%_*}"; rm -rf "$t/x"; done
rm -rf "$work/configs"; mv "$t/configs" "$work/configs"
