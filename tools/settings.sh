#!/bin/bash
# settings.sh tests packages as root and as nobody, each where everybody may open /dev/fuse
# (as udev's rules have it), where only root may, and where there is none: six settings.
#
#   tools/settings.sh [-short] [-v] [-run=PATTERN] [-timeout=TIME] [PACKAGE ...]
#
# Without packages those that show images are tested. Each setting is a mount namespace of
# its own, with the /dev of internal/isotest/devices.sh: the machine's devices stay as they
# are. It needs root, and ends with 1 if a setting fails.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "settings.sh: needs root, to become others" >&2; exit 2; }
options=() packages=()
for a in "$@"; do
  case $a in
  -*) options+=("-test.${a#-}") ;;
  *) packages+=("$a") ;;
  esac
done
[ ${#packages[@]} -gt 0 ] || packages=(./internal/fsview ./internal/workspace ./cmd/isolayer)

# What nobody may read: a copy of the sources, with the tests compiled.
TOP=$(mktemp -d /tmp/settings.XXXXXX)
trap 'rm -rf "$TOP"' EXIT
mkdir "$TOP/src" "$TOP/dev" "$TOP/modules" "$TOP/over" "$TOP/tmp" "$TOP/home" "$TOP/cache" "$TOP/cache/go" "$TOP/cache/isolayer-corpus"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$TOP/src"
chmod -R a+rX "$TOP"
chown 65534:65534 "$TOP/tmp" "$TOP/home"
dirs=()
while read -r d; do
  dirs+=("$TOP/src${d#"$PWD"}")
  go test -c -o "${dirs[-1]}/settings.test" "$d"
done < <(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' "${packages[@]}" | grep .)
MODULES=$(go env GOMODCACHE) GO=$(go env GOCACHE) IMAGES=${XDG_CACHE_HOME:-$HOME/.cache}/isolayer-corpus
mkdir -p "$IMAGES"
export TOP MODULES GO IMAGES

# nobody borrows the modules, and below overlays what is compiled and the images: they are
# not his, and stay as they are.
borrow='mount --bind "$MODULES" "$TOP/modules"
mount -t tmpfs -o mode=755 over "$TOP/over"
mkdir "$TOP/over/1" "$TOP/over/2" "$TOP/over/3" "$TOP/over/4"
mount -t overlay -o "lowerdir=$GO,upperdir=$TOP/over/1,workdir=$TOP/over/2" go "$TOP/cache/go"
mount -t overlay -o "lowerdir=$IMAGES,upperdir=$TOP/over/3,workdir=$TOP/over/4" images "$TOP/cache/isolayer-corpus"
find "$TOP/cache" "(" -type d -o -name lock ")" -exec chmod a+rwx {} +
export GOMODCACHE="$TOP/modules" GOCACHE="$TOP/cache/go" XDG_CACHE_HOME="$TOP/cache" HOME="$TOP/home" TMPDIR="$TOP/tmp"
exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"'

failed=0
for who in root nobody; do
  become=()
  [ $who = root ] || become=(sh -ec "$borrow" sh)
  for fuse in 666 600 none; do
    for d in "${dirs[@]}"; do
      echo "== $who, /dev/fuse $fuse, ${d#"$TOP/src/"}"
      (cd "$d" && FUSE=$fuse DIR=$TOP/dev unshare -m sh -ec '. "$TOP/src/internal/isotest/devices.sh"; exec "$@"' sh \
        "${become[@]}" ./settings.test "${options[@]}") || failed=1
    done
  done
done
exit $failed
