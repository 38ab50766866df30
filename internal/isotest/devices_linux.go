package isotest

import (
	_ "embed" // of Devices
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// Devices is a text of sh that gives a mount namespace a /dev of its own, in which
// /dev/fuse has the mode that the variable FUSE says, or is not there. So a test of what
// happens with or without FUSE makes its conditions, whatever the machine's device is like.
//
//go:embed devices.sh
var Devices string

// ownDevices is set where the devices are of the test's own.
const ownDevices = "ISOLAYER_OWN_DEVICES"

// NeedFUSE is for TestMain of tests that mount as root: where /dev/fuse cannot be opened,
// it starts the tests anew with one that can. It returns where that is not needed or not
// possible.
func NeedFUSE() {
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err == nil {
		_ = f.Close()
	}
	unshare, missing := exec.LookPath("unshare")
	if err == nil || missing != nil || os.Geteuid() != 0 || os.Getenv(ownDevices) != "" {
		return
	}
	env := append(os.Environ(), ownDevices+"=1", "FUSE=666", "DIR="+os.TempDir())
	probe := exec.Command(unshare, "-m", "sh", "-ec", Devices+": </dev/fuse")
	probe.Env = env
	if out, err := probe.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "no /dev/fuse, and none can be made: %v\n%s", err, out)
		return
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	argv := append([]string{"unshare", "-m", "sh", "-ec", Devices + `exec "$@"`, "sh", self}, os.Args[1:]...)
	fmt.Fprintln(os.Stderr, "start the tests:", syscall.Exec(unshare, argv, env)) // returns only if it fails
}
