package isotest

import (
	"archive/tar"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// GuestOptions say what [Guest] has at hand.
type GuestOptions struct {
	MountOptions
	Files    map[string]string // below /b: the paths of files outside
	Programs []string          // of this system, with their libraries, below /b/bin
}

// Guest runs a busybox script as root with Debian's kernel, which has loop, isofs and
// overlay, and returns what it printed. The test fails if the script does.
func Guest(tb testing.TB, script string, o GuestOptions) string {
	tb.Helper()
	qemu, squash, vm := Tool(tb, "qemu-system-x86_64"), Tool(tb, "mksquashfs"), guest(tb)
	dir := tb.TempDir()
	in := filepath.Join(dir, "b")
	for _, d := range []string{"bin", "lib"} {
		if err := os.MkdirAll(filepath.Join(in, d), 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	for name, path := range o.Files {
		if err := linkOrCopy(path, filepath.Join(in, name)); err != nil {
			tb.Fatal(err)
		}
	}
	for _, p := range o.Programs {
		takeProgram(tb, Tool(tb, p), in)
	}
	Run(tb, squash, in, filepath.Join(dir, "bundle"), "-noI", "-noD", "-noF", "-noX", "-no-progress", "-quiet", "-b", "1M", "-all-root")
	if err := os.RemoveAll(in); err != nil {
		tb.Fatal(err)
	}
	head := "#!/bin/busybox sh\nmkdir -p /b; mount -t squashfs -o ro /dev/vdc /b || exit 9\nexport PATH=/b/bin:/bin\n"
	var disk bytes.Buffer
	w := tar.NewWriter(&disk)
	if err := w.WriteHeader(&tar.Header{Name: "run", Mode: 0o755, Size: int64(len(head) + len(script))}); err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write([]byte(head + script)); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	for name, content := range map[string][]byte{"in": disk.Bytes(), "out": make([]byte, 1<<20)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	console, err := boot(tb.Context(), qemu, vm, dir, o.MountOptions)
	text := strings.ReplaceAll(string(console), "\r\n", "\n")
	if err != nil {
		tb.Fatalf("guest: %v\n%s", err, text)
	}
	return text
}

var library = regexp.MustCompile(`(?m)(/\S+) \(0x`)

// takeProgram copies a program with its libraries, and makes a script that starts it with
// them.
func takeProgram(tb testing.TB, path, in string) {
	tb.Helper()
	name := filepath.Base(path)
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		tb.Fatal(err)
	}
	if err := linkOrCopy(real, filepath.Join(in, "lib", "program-"+name)); err != nil {
		tb.Fatal(err)
	}
	loader := ""
	libs, err := exec.Command("ldd", real).Output()
	if err != nil {
		tb.Fatalf("ldd %s: %v", real, err)
	}
	for _, m := range library.FindAllSubmatch(libs, -1) {
		lib := string(m[1])
		base := filepath.Base(lib)
		if strings.HasPrefix(base, "ld-linux") {
			loader = base
		}
		if !exists(filepath.Join(in, "lib", base)) {
			if err := linkOrCopy(lib, filepath.Join(in, "lib", base)); err != nil {
				tb.Fatal(err)
			}
		}
	}
	script := "#!/bin/busybox sh\nexec /b/lib/" + loader + " --library-path /b/lib /b/lib/program-" + name + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(in, "bin", name), []byte(script), 0o755); err != nil {
		tb.Fatal(err)
	}
}
