#!/usr/bin/env bash
# Runs everything that judges isolayer on an image of yours, and writes a report.
# usage: tools/try.sh IMAGE.iso [REPORT.md]
# The image is only read. Copies of it are made in $TMPDIR, two at a time. The report has
# the image's label, sizes and what went wrong; no content of files. It is a good thing to
# attach to an issue. Judges that are not installed are named and left out.
# TRY_BOOT=0 leaves the virtual machines out; TRY_SECONDS is how long each may take.
set -uo pipefail
cd "$(dirname "$0")/.."
iso=${1:-}; report=$(realpath -m "${2:-try-report.md}"); seconds=${TRY_SECONDS:-60}
[ -f "$iso" ] || { echo "usage: make try ISO=path/to.iso" >&2; exit 2; }
iso=$(realpath "$iso"); tool=$PWD/bin/isolayer
work=$(mktemp -d "${TMPDIR:-/tmp}/isolayer-try.XXXXXX"); trap 'rm -rf "$work"' EXIT
export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C.UTF-8 TZ=UTC
failed=0; missing=
have() { command -v "$1" >/dev/null || { case " $missing " in *" $1 "*) ;; *) missing="$missing $1";; esac; return 1; }; }
line() { printf '| %s | %s | %s |\n' "$1" "$2" "$(tr '|\n' '/ ' <<< "${3:-}" | cut -c1-300)" >> "$report"; printf '%-6s %s\n' "$2" "$1"; }
check() { # check NAME COMMAND...: the command says by its exit code
  local name=$1 out; shift
  if out=$("$@" 2>&1); then line "$name" ok; else failed=$((failed + 1)); line "$name" FAILED "$(tail -n 3 <<< "$out" | sed "s|$work/||g; s|$iso|IMAGE|g")"; return 1; fi
}

{
  echo "# isolayer on an image"
  echo
  echo "$("$tool" version | head -n 1), $(uname -sm), $(date -u +%F)"
  echo
  echo '```'
  "$tool" info "$iso" 2>&1 | grep -E '^(Image|Volume|Distribution|Application|Tree|Boots|Media check|Rebuild|Warning|Made by|  )' | sed "s|$(dirname "$iso")/||g"
  echo '```'
  printf '\n| check | result | |\n|---|---|---|\n'
} > "$report"

# What the readers see of an image, without what was added.
seen() { # seen READER IMAGE
  case $1 in
  bsdtar) bsdtar -cf - --format=pax "@$2" 2>/dev/null | tar -tvf - --full-time 2>/dev/null | sed -E 's/^.(.{9}) +([^ ]+) +[0-9]+ /\1 \2 /; s/ link to .*//';; # which of hard links comes first differs
  xorriso) xorriso -indev "$2" -find / -exec lsdl 2>/dev/null;;
  7z) 7z l -slt "$2" 2>/dev/null | grep -E '^(Path|Size|Folder) ' | grep -v '^Path = /';;
  isoinfo) isoinfo -R -f -i "$2" 2>/dev/null;;
  esac | grep -v isolayer-try | LC_ALL=C sort
}

echo "== rebuild"
check "without an edit: the same bytes" bash -c '"$0" build "$1" -o "$2" && cmp "$1" "$2"' "$tool" "$iso" "$work/same.iso"
rm -f "$work/same.iso"
mkdir "$work/isolayer-try"; echo "one more file" > "$work/isolayer-try/file"
if check "with a file more" "$tool" build "$iso" --add "$work/isolayer-try" -o "$work/made.iso"; then
  made=$work/made.iso
  cp --reflink=auto "$made" "$work/back.iso"
  check "taken out again: the tree of the image" bash -c '"$0" build "$1" --rm /isolayer-try --in-place --no-undo && diff <("$0" ls -lR "$2") <("$0" ls -lR "$1")' "$tool" "$work/back.iso" "$iso"
  rm -f "$work/back.iso"

  echo "== verify"
  before=$("$tool" verify "$iso" 2>&1 | grep -c problem)
  after=$("$tool" verify "$made" 2>&1 | grep -c problem)
  [ "$after" -le "$before" ] && line "verify: no problem that the image did not have ($before)" ok || { failed=$((failed + 1)); line "verify" FAILED "$after problems, the image has $before: $("$tool" verify "$made" 2>&1 | grep problem | tail -n 2)"; }
  check "every other file is the same, byte for byte" bash -c '"$0" diff "$1" "$2" --json > "$3" || [ $? = 1 ]' "$tool" "$iso" "$made" "$work/diff.json"
  if "$tool" md5 show "$made" > /dev/null 2>&1; then
    have checkisomd5 && check "checkisomd5: media check" checkisomd5 "$made"
  fi
  have sgdisk && if sgdisk -v "$iso" > "$work/g0" 2>&1 && ! grep -q 'Creating new GPT' "$work/g0"; then
    sgdisk -v "$made" > "$work/g1" 2>&1
    n0=$(grep -ciE 'problem|caution|warning' "$work/g0"); n1=$(grep -ciE 'problem|caution|warning' "$work/g1")
    [ "$n1" -le "$n0" ] && line "sgdisk: partition table" ok || { failed=$((failed + 1)); line "sgdisk: partition table" FAILED "$(grep -iE 'problem|caution|warning' "$work/g1" | head -n 2)"; }
  fi

  echo "== readers"
  for reader in bsdtar xorriso 7z isoinfo; do
    have $reader || continue
    seen $reader "$iso" > "$work/r0"; seen $reader "$made" > "$work/r1"
    # Links counts of the root and addresses may differ; names may not.
    sed -E 's/^(.{10}) +[0-9]+ /\1 /' "$work/r0" | sed -E 's/ (\.|\/)$//' > "$work/n0"; sed -E 's/^(.{10}) +[0-9]+ /\1 /' "$work/r1" | sed -E 's/ (\.|\/)$//' > "$work/n1"
    n=$(diff "$work/n0" "$work/n1" | grep -c '^<')
    [ "$n" -le 2 ] && line "$reader lists what it did" ok || { failed=$((failed + 1)); line "$reader lists what it did" FAILED "$n entries differ"; }
  done

  echo "== lists of checksums"
  for list in md5sum.txt sha256sum.txt CHECKSUMS; do
    "$tool" cat "$made" "/$list" > "$work/list" 2>/dev/null || continue
    have bsdtar || continue
    mkdir -p "$work/tree" && bsdtar -xf "$made" -C "$work/tree" 2>/dev/null
    prog=md5sum; case $list in md5sum.txt) ;; *) prog=sha256sum;; esac
    bad=$(cd "$work/tree" && $prog -c --quiet "$list" 2>/dev/null | grep -c FAILED)
    mkdir -p "$work/orig" && bsdtar -xf "$iso" -C "$work/orig" 2>/dev/null
    had=$(cd "$work/orig" && $prog -c --quiet "$list" 2>/dev/null | grep -c FAILED)
    [ "$bad" -le "$had" ] && line "$list holds, but for $had sums that the image had wrong" ok || { failed=$((failed + 1)); line "$list" FAILED "$bad sums are wrong, the image had $had"; }
    chmod -R u+w "$work/tree" "$work/orig"; rm -rf "$work/tree" "$work/orig"
  done

  if [ "${TRY_BOOT:-1}" = 1 ] && have qemu-system-x86_64; then
    echo "== boots ($seconds s each)"
    for firmware in bios uefi; do for media in cd usb; do
      # What the image shows in its time, the new one must show in three times that: how
      # far a machine gets in a time is no measure.
      text=$("$tool" boot "$iso" --firmware $firmware --media $media --timeout ${seconds}s 2>/dev/null | sed 's/\x1b\[[0-9;=?]*[A-Za-z]//g' |
        grep -av BdsDxe | grep -aoE "[A-Za-z][A-Za-z ]{8,40}[a-z]" | awk 'length > n { n = length; t = $0 } END { print t }')
      if [ -z "$text" ]; then line "boots: $firmware, $media" 'not told' "the image shows no text in $seconds s"
      elif "$tool" boot "$made" --firmware $firmware --media $media --timeout $((3 * seconds))s --expect "$text" > "$work/c1" 2>/dev/null; then line "boots as the image does: $firmware, $media" ok "$text"
      else failed=$((failed + 1)); line "boots as the image does: $firmware, $media" FAILED "it did not show: $text"; fi
    done; done
  fi
fi
{ echo; [ -z "$missing" ] || echo "Not installed, so not asked:$missing."; echo; [ $failed = 0 ] && echo "All that was asked is ok." || echo "$failed failed."; } >> "$report"
echo; tail -n 1 "$report"; echo "report: $report"
[ $failed = 0 ]
