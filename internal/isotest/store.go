package isotest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// store is the directory in which images are made and kept, while this process
// holds its lock:
//
//	lock        held while something is made
//	work/       scripts and the pieces that images have in common
//	NAME.iso    read only
type store struct {
	dir  string
	lock *os.File
}

// guest makes work/vm.
func (s *store) guest() error {
	return s.script("vm-build.sh", s.work())
}

// payload makes work/payload, the kernel and initramfs of images, once.
func (s *store) payload() error {
	if exists(s.work("payload")) {
		return nil
	}
	if !exists(s.work("vm")) {
		if err := s.guest(); err != nil {
			return err
		}
	}
	return s.script("payload.sh", s.work())
}

// style makes one image of styles.sh.
func (s *store) style(name string) error {
	if err := s.payload(); err != nil {
		return err
	}
	if err := s.script("styles.sh", s.work(), s.work("out"), name); err != nil {
		return err
	}
	return s.keep(name + ".iso")
}

// rhelLike makes the installer medium of that size.
func (s *store) rhelLike(size string) error {
	if err := s.payload(); err != nil {
		return err
	}
	name := "rhel-like-" + size + ".iso"
	if err := os.MkdirAll(s.work("out"), 0o755); err != nil {
		return err
	}
	if err := s.script("rhel-like.sh", s.work(), size, s.work("out", name)); err != nil {
		return err
	}
	return s.keep(name)
}

// keep moves a finished image to its place.
func (s *store) keep(name string) error {
	made := s.work("out", name)
	if err := os.Chmod(made, 0o444); err != nil {
		return err
	}
	return os.Rename(made, filepath.Join(s.dir, name))
}

// unpack clears what a killed process left and writes the scripts.
func (s *store) unpack() error {
	stale, err := filepath.Glob(s.work("tmp.*"))
	if err != nil {
		return err
	}
	for _, path := range append(stale, s.work("out")) {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	err = fs.WalkDir(corpus, "corpus", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := corpus.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(s.work(filepath.Base(name)), text, 0o755)
	})
	if err != nil {
		return err
	}
	return s.command("gcc", "-shared", "-fPIC", "-o", s.work("steady.so"), s.work("steady.c"))
}

func (s *store) script(name string, args ...string) error {
	return s.command("bash", append([]string{s.work(name)}, args...)...)
}

// command runs a maker. It inherits the lock: should this process be killed,
// nobody else enters the store before the maker has ended.
func (s *store) command(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = append(environ(), "PRELOAD="+s.work("steady.so"))
	cmd.ExtraFiles = []*os.File{s.lock}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

func (s *store) work(names ...string) string {
	return filepath.Join(append([]string{s.dir, "work"}, names...)...)
}

// identity is a digest of the scripts and of the versions of the packages they
// use, as far as the system says.
var identity = sync.OnceValues(func() (string, error) {
	h := sha256.New()
	names, err := fs.Glob(corpus, "corpus/*")
	if err != nil {
		return "", err
	}
	for _, name := range names {
		text, err := corpus.ReadFile(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n%s", name, len(text), text)
	}
	h.Write(versions())
	return hex.EncodeToString(h.Sum(nil))[:16], nil
})

// versions lists the installed versions of the packages in packages.txt. A
// system without dpkg has none to tell.
func versions() []byte {
	text, err := corpus.ReadFile("corpus/packages.txt")
	if err != nil {
		panic("internal error: " + err.Error())
	}
	args := []string{"-W", "-f", "${Package} ${Version}\n"}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			args = append(args, line)
		}
	}
	out, _ := exec.Command("dpkg-query", args...).Output() // fails when one is missing, after printing the others
	return out
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
