package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/isotest"
)

// TestMasterUnreadable: what an ordinary user may not read is named, and nothing is left.
func TestMasterUnreadable(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	bin := program(t)
	open(t, filepath.Dir(bin))
	u := &user{t: t, bin: bin, dir: t.TempDir()}
	if os.Getuid() == 0 {
		u = asNobody(t, bin)
	}
	must(t, os.Mkdir(u.path("tree"), 0o755))
	must(t, os.Mkdir(u.path("out"), 0o777))
	must(t, os.Chmod(u.path("out"), 0o777))
	u.write("tree/plain", "plain\n")
	made := func() string {
		t.Helper()
		list, err := os.ReadDir(u.path("out"))
		must(t, err)
		var names []string
		for _, e := range list {
			names = append(names, e.Name())
		}
		return strings.Join(names, " ")
	}
	if o := u.with(onlyRoot, nil, "master", "-r", "-o", "out/all.iso", "tree"); o.code != 0 || made() != "all.iso" {
		t.Fatalf("%s\nmade %q", o, made())
	}
	big := strings.Repeat("secret", 100_000) // copied by the kernel, small ones through memory
	for name, make := range map[string]func(p string) error{
		"secret-file": func(p string) error { return os.WriteFile(p, []byte("secret"), 0) },
		"secret-big":  func(p string) error { return os.WriteFile(p, []byte(big), 0) },
		"secret-dir":  func(p string) error { return os.Mkdir(p, 0) },
	} {
		p := u.path("tree/" + name)
		must(t, make(p))
		o := u.with(onlyRoot, nil, "master", "-r", "-o", "out/out.iso", "tree")
		if o.code != exitFailed || !strings.Contains(o.errout, name) || !strings.Contains(o.errout, "permission denied") || made() != "all.iso" {
			t.Errorf("%s: %s\nmade %q", name, o, made())
		}
		must(t, os.Remove(p))
	}
}

// fullDisk masters onto a file system of 2 MiB, in front of which a file of that name was
// there already, and shows what is on it then.
const fullDisk = `set -e
mount -t tmpfs -o size=2m t "$DIR/disk"; echo old >"$DIR/disk/kept.iso"
set +e; cd "$DIR"
for out in new kept; do $TRACE "$BIN" master -r -o disk/$out.iso tree; echo "exit $?"; done
ls -A disk; cat disk/kept.iso`

// TestMasterDiskFull: a full disk is reported, before the first byte where the system knows
// how much is free, else when it is full. Nothing new is left, what was there stays.
func TestMasterDiskFull(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	isotest.Tool(t, "unshare")
	bin := program(t)
	for name, c := range map[string]struct{ trace, want string }{
		"planned": {"", ": not enough space: 4206592 bytes needed, 2093056 free\n"},
		// This is a file system that neither says what is free nor allocates ahead.
		"written": {isotest.Tool(t, "strace") + " -f -qq -e trace=fallocate,fstatfs -e inject=fallocate:error=EOPNOTSUPP -e inject=fstatfs:error=ENOSYS:when=1 -o strace", ": no space left on device\n"},
	} {
		t.Run(name, func(t *testing.T) {
			u := asRoot(t, "sh")
			u.argv = []string{"unshare", "-m"}
			must(t, os.Mkdir(u.path("disk"), 0o755))
			must(t, os.Mkdir(u.path("tree"), 0o755))
			for _, n := range []string{"a", "b", "c", "d"} {
				u.write("tree/"+n, strings.Repeat(n, 1<<20))
			}
			o := u.with(onlyRoot, []string{"BIN=" + bin, "TRACE=" + c.trace}, "-c", fullDisk)
			if o.code != 0 || o.out != "exit 1\nexit 1\nkept.iso\nold\n" || strings.Count(o.errout, c.want) != 2 || strings.Contains(o.errout, "EiB") {
				t.Error(o)
			}
		})
	}
}
