package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/isotest"
)

// listedVM is how many cases the guest runs: none may get lost.
const listedVM = 18

// guestMatrix runs in a guest with the kernel's own iso9660. Each case prints a line.
const guestMatrix = `
mkdir -p /t /m /n; mount -t tmpfs -o size=1100m t /t; cd /t; export TMPDIR=/t SOURCE_DATE_EPOCH=1700000000
isolayer=/b/isolayer; base=/b/base.iso; bad=0
ok() { echo "CASE ok $*"; }
no() { echo "CASE FAILED $*"; bad=1; }
say() { if [ $? = 0 ]; then ok "$@"; else no "$@"; fi; }
echo text > kickstart.cfg; echo 'Other terms.' > EULA; touch -d @1690000000 kickstart.cfg EULA
sums() { mount -t iso9660 -o ro,loop "$1" /m || return 1
  (cd /m; find . -type f ! -name boot.cat ! -name isolinux.bin ! -name TRANS.TBL | sort | xargs md5sum; find . ! -name boot.cat ! -name isolinux.bin ! -type l -exec stat -c '%n %a %u %g %F' {} + | sort) > "$2"; r=$?; umount /m; return $r; }
for s in copy overlay bind; do
  case $s in copy) add=kickstart.cfg;; bind) add=EULA:/EULA;; esac
  [ $s = overlay ] || { $isolayer build $base --add $add -o native.iso > log 2>&1 && sums native.iso want; say native for $s; }
  for m in native genisoimage xorriso; do
    $isolayer build $base --add $add --strategy $s --mastering $m -o r.iso --json > log 2>&1 && sums r.iso got && cmp want got; say $s $m || cat log
    [ $s = copy ] || [ $m = native ] || { grep -q '"view": "iso9660"' log; say the kernel showed the base to $s $m; }
    rm -f r.iso
  done
done
$isolayer edit $base -o edited.iso -- sh -c 'echo x > x; rm -r repodata; mv GPL GPL2' > log 2>&1 && mount -t iso9660 -o ro,loop edited.iso /m && [ -f /m/x ] && [ ! -e /m/repodata ] && [ -f /m/GPL2 ]; say edit; umount /m
$isolayer mount $base /n && grep -q '/n iso9660' /proc/mounts && [ -f /n/GPL ] && $isolayer umount /n; say mount
! grep -q '/t/' /proc/mounts && [ -z "$(losetup -a | grep -v /dev/vd)" ] && ! ls -d /t/isolayer-* 2>/dev/null; say nothing is left
[ $bad = 0 ] || { losetup -a; cat log; }
exit $bad
`

// TestInGuest runs every strategy with every mastering over real kernel mounts: loop
// device, isofs, overlay, bind. The results are mounted and read there, too.
func TestInGuest(t *testing.T) {
	bin, full := shared(t, "rhel-like-small")
	base := filepath.Join(t.TempDir(), "base.iso") // with less to read for a guest without KVM
	if out, err := exec.Command(bin, "build", full, "--rm", "/Packages", "--rm", "/LiveOS", "-o", base).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out := isotest.Guest(t, guestMatrix, isotest.GuestOptions{
		MountOptions: isotest.MountOptions{Memory: 2048},
		Files:        map[string]string{"isolayer": bin, "base.iso": base},
		Programs:     []string{"genisoimage", "xorriso", "isohybrid"},
	})
	passed := strings.Count(out, "CASE ok ")
	counted(t, "guest", passed, listedVM)
	if strings.Contains(out, "CASE FAILED") || t.Failed() {
		t.Errorf("the guest said:\n%s", out)
	}
}
