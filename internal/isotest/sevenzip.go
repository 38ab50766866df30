package isotest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// SevenZip is what 7-Zip lists: the size of each path, -1 for a directory. It
// reads Joliet or UDF where the image has one of them. Boot images, which it
// shows below [BOOT], are left out.
func SevenZip(tb testing.TB, image string) map[string]int64 {
	tb.Helper()
	_, list, ok := strings.Cut(string(Run(tb, "7z", "l", "-slt", image)), "\n----------\n")
	if !ok {
		tb.Fatalf("7z l %s: no list", image)
	}
	out := map[string]int64{}
	for block := range strings.SplitSeq(list, "\n\n") {
		f := map[string]string{}
		for line := range strings.Lines(block) {
			if key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " = "); ok {
				f[key] = value
			}
		}
		path, listed := f["Path"]
		switch {
		case !listed || within(path, "[BOOT]"):
		case f["Folder"] == "+":
			out[path] = -1
		case f["Size"] == "": // a symbolic link or a device
			out[path] = 0
		default:
			out[path] = number(tb, f["Size"])
		}
	}
	return out
}

// SevenZipTest is nil if 7-Zip can read all of the image.
func SevenZipTest(tb testing.TB, image string) error {
	tb.Helper()
	stdout, stderr, err := run(tb, "7z", "t", image)
	if err != nil || !bytes.Contains(stdout, []byte("Everything is Ok")) {
		return fmt.Errorf("7z t %s: %w\n%s%s", image, err, stdout, stderr)
	}
	return nil
}
