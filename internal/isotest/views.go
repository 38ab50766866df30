package isotest

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// viewsScript mounts each image with each of the mount options and writes the trees as
// vm-manifest.sh does.
const viewsScript = `#!/bin/busybox sh
mkdir -p /b /m /log /done; mount -t squashfs -o ro /dev/vdc /b || exit 9
dmesg -n 1
for p in /b/*; do
  n=${p##*/}; k=0
  for o in OPTIONS; do
    d=/m/$n/$k; mkdir -p $d; k=$((k + 1))
    l=$(losetup -f); losetup -r "$l" "$p" || exit 8
    mount -t iso9660 -o "$o" "$l" "$d" || exit 7
  done
done
echo end > /done/END
{ tar -c -f - -C /log . || exit 6
  for d in /m/*/*; do tar -c -f - -C /m "${d#/m/}" || exit 6; done
  tar -c -f - -C /done END
} > /dev/vdb
`

// KernelViews says how Debian's kernel shows the images when they are mounted with each
// of the options, such as "ro" or "ro,nojoliet": the trees, in the order of the options.
// The test fails where an image cannot be mounted or read.
func KernelViews(tb testing.TB, opts MountOptions, options []string, images ...string) map[string][]Manifest {
	tb.Helper()
	all, _ := mounted(tb, opts, strings.Replace(viewsScript, "OPTIONS", strings.Join(options, " "), 1), images)
	views := make(map[string][]Manifest, len(images))
	for i, image := range images {
		for k := range options {
			views[image] = append(views[image], all.below(filepath.Join(slot(i), strconv.Itoa(k))))
		}
	}
	return views
}
