package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/workspace"
)

// programs are what this test binary can be called as.
var programs = map[string]func(){"isolayer": main, "implantisomd5": main, "checkisomd5": main}

func TestMain(m *testing.M) {
	workspace.Main()
	if programs[filepath.Base(os.Args[0])] == nil {
		isotest.NeedFUSE()
	}
	testscript.Main(m, programs)
}

// fixture makes the image that scripts find as base.iso: Rock Ridge, Joliet, a
// boot image, a pair of hard links, a symbolic link.
func fixture(t *testing.T) []byte {
	t.Helper()
	tool, err := exec.LookPath("genisoimage")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{
		"boot/loader.bin": string(make([]byte, 4096)),
		"docs/README.txt": "read me\n", "docs/old.txt": "old\n", "packages/a-1.rpm": "package a\n", "packages/a-debuginfo-1.rpm": "debug a\n",
		"config.cfg": "default linux\n",
	} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(dir, "config.cfg"), filepath.Join(dir, "same.cfg")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("docs/README.txt", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	iso := filepath.Join(t.TempDir(), "base.iso")
	out, err := exec.Command(tool, "-quiet", "-R", "-J", "-cache-inodes", "-V", "FIXTURE", "-b", "boot/loader.bin", "-c", "boot/boot.cat",
		"-no-emul-boot", "-boot-load-size", "4", "-o", iso, dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(iso)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// home is where a script has its store, unless it names another place: testscript's own is
// made in the root directory by root, and can be made by nobody else.
func home(e *testscript.Env) string { return filepath.Join(e.WorkDir, ".home") }

// TestScripts runs the command line as users do.
func TestScripts(t *testing.T) {
	image, setup := fixture(t), installer(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			filler := make([]byte, 1<<20)
			for i := range filler {
				filler[i] = byte(i>>3 ^ i>>11)
			}
			e.Setenv("HOME", home(e))
			return errors.Join(
				os.WriteFile(filepath.Join(e.WorkDir, "base.iso"), image, 0o644),
				os.WriteFile(filepath.Join(e.WorkDir, "installer.iso"), setup, 0o644),
				os.WriteFile(filepath.Join(e.WorkDir, "filler.bin"), filler, 0o644))
		},
	})
}
