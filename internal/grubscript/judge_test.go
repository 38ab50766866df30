package grubscript

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/isolayer/isolayer/internal/loadertest"
)

// patience is long: where GRUB reads a disk, the machine's time runs ahead.
const patience = time.Hour

// judged makes a medium of files with a stand-in for every kernel that the model knows of,
// and returns what GRUB starts of it, as a line.
func judged(t *testing.T, loader loadertest.Loader, files memory, r *Result) string {
	t.Helper()
	m := loadertest.Medium{Loader: loader, Label: "MY_ISO", Files: map[string][]byte{}, Patience: patience}
	for name, text := range files {
		m.Files[name] = []byte(text)
	}
	kernels := r.loads()
	for _, e := range r.Entries() {
		for _, b := range e.Boots {
			kernels = append(kernels, b.Initrds...)
		}
	}
	for _, l := range kernels {
		if _, there := m.Files[l.Path]; !there && l.Path != "" && !strings.HasPrefix(l.Path, "missing") {
			m.Files[l.Path] = loadertest.Kernel("/" + l.Path)
		}
	}
	out := loadertest.Boot(t, m)
	if !out.Started {
		return "nothing"
	}
	return out.Kernel + " " + noDevice.ReplaceAllString(out.Command, "BOOT_IMAGE=/")
}

// noDevice fits the name of the medium, which is another one on each machine.
var noDevice = regexp.MustCompile(`^BOOT_IMAGE=\([^)]*\)/`)

// expected is what the model says, in the words of a judge.
func expected(s *Start) string {
	if s.Kind == Leaves {
		return loadertest.Local + " "
	}
	if s.Kind != Starts || s.Boot.Action != Boots {
		return "nothing"
	}
	k := s.Boot.Kernel
	return strings.TrimSpace("/" + k.Path + " " + noDevice.ReplaceAllString("BOOT_IMAGE="+k.File.String(), "BOOT_IMAGE=/") + " " + k.Cmdline(false))
}

// TestAsGRUB: GRUB itself starts what the model says, with the same command line.
func TestAsGRUB(t *testing.T) {
	if testing.Short() {
		t.Skip("boots virtual machines")
	}
	for i, test := range starts {
		if test.unjudged || i%16 != 2 && os.Getenv("ISOLAYER_SOAK") == "" {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			files := memory{"boot/grub/grub.cfg": test.text}
			for name, text := range test.files {
				files[name] = text
			}
			loader, platform := loadertest.GRUB, "pc"
			if test.platform == "efi" {
				loader, platform = loadertest.GRUBEFI, "efi"
			}
			r := Evaluate(at(platform, files))
			want := []string{expected(r.Start)}
			for _, o := range r.Start.Others {
				want = append(want, expected(o))
			}
			if got := judged(t, loader, files, r); !slices.Contains(want, got) {
				t.Errorf("GRUB: %s\nmodel: %s", got, strings.Join(want, " OR "))
			}
		})
	}
}

// TestMoreAsGRUB does so for the rules of the language.
func TestMoreAsGRUB(t *testing.T) {
	if testing.Short() || os.Getenv("ISOLAYER_SOAK") == "" {
		t.Skip("boots many virtual machines")
	}
	for _, test := range more {
		t.Run(test.name, func(t *testing.T) {
			files := withKernels(memory{"boot/grub/grub.cfg": test.text})
			f := at("pc", files)
			f.Trust = false
			want := expected(Evaluate(f).Start)
			for name, text := range files {
				if text == "" {
					files[name] = string(loadertest.Kernel("/" + name))
				}
			}
			if got := judged(t, loadertest.GRUB, files, Evaluate(f)); got != want {
				t.Errorf("GRUB: %s\nmodel: %s", got, want)
			}
		})
	}
}
