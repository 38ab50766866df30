#!/usr/bin/env bash
# Puts the ISO images and what resembles them that the tests of other programs have into
# the directory $1. They come from Debian's source packages; apt must know a mirror.
set -euo pipefail
out=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{parts,lists/partial,cache/archives/partial,src,unpacked} "$out"
for f in /etc/apt/sources.list.d/*.sources; do
  [ -e "$f" ] && sed 's/^Types:.*/Types: deb-src/' "$f" >"$work/parts/$(basename "$f")"
done
for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [ -e "$f" ] && sed -n 's/^deb /deb-src /p' "$f" >"$work/parts/$(basename "$f" .list)-src.list"
done
apt=(-o Dir::Etc::sourcelist=/nonexistent -o Dir::Etc::sourceparts="$work/parts" -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -q)
apt-get "${apt[@]}" update >/dev/null 2>&1
cd "$work/src"
# Only the authors' archives are wanted: that Debian's own part cannot be had is no error.
apt-get "${apt[@]}" source --download-only libarchive libcdio util-linux >/dev/null 2>&1 || true
for program in libarchive libcdio util-linux; do
  archive=$(ls "$program"_*.orig.tar.* | grep -v '\.asc$')
  mkdir "$work/unpacked/$program"
  bsdtar -tf "$archive" | grep -E '\.(iso|nrg)(\.(Z\.uu|gz))?$|/data/.*\.bin$|/images-fs/(iso|udf).*\.img' >"$work/names"
  bsdtar -xf "$archive" -C "$work/unpacked/$program" -T "$work/names"
  find "$work/unpacked/$program" -type f | while read -r f; do
    name=$(basename "$f" | sed 's/\.uu$//; s/\.\(Z\|xz\|gz\)$//')
    cat "$f" | bsdcat >"$out/$program-$name"
  done
done
