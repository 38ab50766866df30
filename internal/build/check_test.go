package build_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/mediacheck"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/verify"
	"github.com/isolayer/isolayer/sink"
)

// passes reports whether checkisomd5 accepts an image.
func passes(t *testing.T, image string) bool {
	t.Helper()
	return exec.CommandContext(t.Context(), isotest.Tool(t, "checkisomd5"), image).Run() == nil
}

// stream is an image as a pipe gets it.
func stream(t *testing.T, base string, o stage.Options, steps ...edit.Step) []byte {
	t.Helper()
	b, err := baseimage.Open(base, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	img, err := build.Build(t.Context(), b, steps, o)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := img.Stream(t.Context(), &out, sink.Options{}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestMediaCheck: a result has a valid media check if the base had one, or if asked.
func TestMediaCheck(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	add := edit.Add{Source: local(t, "ks.cfg", []byte("text\n")), Dest: "/added.cfg"}
	for _, name := range rebuilt {
		t.Run(name, func(t *testing.T) {
			base := isotest.Image(t, name)
			had := passes(t, base)
			auto, report := mustBuild(t, base, stage.Options{}, add)
			if passes(t, auto) != had || (report.MediaCheck != "") != had {
				t.Errorf("the base has a media check: %v; the result %q: %v", had, report.MediaCheck, passes(t, auto))
			}
			if !had {
				if tags, err := build.ReadMediaCheck(auto); err == nil {
					t.Errorf("nobody asked for %v", tags.Tag)
				}
			}
			if raw, err := os.ReadFile(auto); err != nil || !bytes.Equal(raw, stream(t, base, stage.Options{}, add)) {
				t.Errorf("a stream has other bytes (%v)", err)
			}
			strip, _ := mustBuild(t, base, stage.Options{MediaCheck: stage.MediaStrip})
			if _, err := build.ReadMediaCheck(strip); err == nil {
				t.Error("strip leaves a media check")
			}
			same, _ := mustBuild(t, base, stage.Options{})
			if isotest.SHA256File(t, same) != isotest.SHA256File(t, base) {
				t.Error("without an edit, the image differs")
			}

			b, err := baseimage.Open(base, baseimage.OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			img, err := build.Build(t.Context(), b, []edit.Step{add}, stage.Options{MediaCheck: stage.MediaImplant})
			if err != nil {
				if !strings.Contains(err.Error(), mediacheck.ErrShort.Error()) || b.Size() > 2<<20 {
					t.Error(err)
				}
				return
			}
			out := filepath.Join(t.TempDir(), "implanted.iso")
			if _, err := img.WriteFile(t.Context(), out, sink.Options{}); err != nil {
				t.Fatal(err)
			}
			if !passes(t, out) {
				t.Error("checkisomd5 does not accept an implanted media check")
			}
			if s, err := build.CheckMedia(t.Context(), out, nil); err != nil || !s.OK {
				t.Errorf("we do not accept it: %+v, %v", s, err)
			}
		})
	}
}

// TestCheckmedia: SUSE's tags are kept valid; a signature and what it cannot follow is
// reported.
func TestCheckmedia(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	for name, partition := range map[string]string{"suse": "", "ubuntu2204": "64", "debian": "99"} {
		raw, err := os.ReadFile(isotest.Image(t, name))
		if err != nil {
			t.Fatal(err)
		}
		field := "check=1;pad=150;sha256sum=" + strings.Repeat("0", 64) + ";signature=700"
		if partition != "" {
			field += ";partition=" + partition + ",100," + strings.Repeat("0", 64)
		}
		copy(raw[mediacheck.Offset:], field+strings.Repeat(" ", mediacheck.Size-len(field)))
		tag, err := mediacheck.Parse(raw[mediacheck.Offset:][:mediacheck.Size])
		if err != nil {
			t.Fatal(err)
		}
		tag, err = mediacheck.Compute(t.Context(), bytes.NewReader(raw), tag, mediacheck.Blocks(raw[16*2048:]), nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := tag.Field()
		if err != nil {
			t.Fatal(err)
		}
		copy(raw[mediacheck.Offset:], text)
		base := filepath.Join(t.TempDir(), "base.iso")
		if err := os.WriteFile(base, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		out, report := mustBuild(t, base, stage.Options{}, edit.Add{Source: local(t, "big", noise(3_000_000, 5)), Dest: "/big"})
		s, err := build.CheckMedia(t.Context(), out, nil)
		if err != nil || !s.OK || s.Tag.Kind != mediacheck.Checkmedia || s.Tag.Signature != 0 {
			t.Fatalf("%s: %+v, %v", name, s, err)
		}
		warnings := strings.Join(report.Warnings, "\n")
		if !strings.Contains(warnings, "is signed") {
			t.Errorf("%s: no word about the signature: %s", name, warnings)
		}
		switch partition {
		case "64": // the partition that grew
			if p := s.Tag.Partition; p == nil || p.Start != 64 || p.Count == 100 {
				t.Errorf("%s: partition %+v", name, p)
			}
		case "99":
			if s.Tag.Partition != nil || !strings.Contains(warnings, "partition") {
				t.Errorf("%s: a partition that nothing has: %+v; %s", name, s.Tag.Partition, warnings)
			}
		}
	}
}

// TestImplant puts a media check into the images themselves, as implantisomd5 does.
func TestImplant(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	for _, name := range []string{"debian", "arch", "grub-rescue-cdrom"} {
		raw, err := os.ReadFile(isotest.Image(t, name))
		if err != nil {
			t.Fatal(err)
		}
		theirs, ours := filepath.Join(t.TempDir(), "theirs"), filepath.Join(t.TempDir(), "ours")
		for _, p := range []string{theirs, ours} {
			if err := os.WriteFile(p, raw, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		isotest.Run(t, "implantisomd5", theirs)
		if _, err := build.ImplantMedia(t.Context(), ours, build.ImplantOptions{}); err != nil {
			t.Fatal(err)
		}
		if isotest.SHA256File(t, theirs) != isotest.SHA256File(t, ours) {
			t.Errorf("%s: implantisomd5 makes another image", name)
		}
		if _, err := build.ImplantMedia(t.Context(), ours, build.ImplantOptions{}); err == nil {
			t.Errorf("%s: implanted twice without force", name)
		}
		if _, err := build.ImplantMedia(t.Context(), ours, build.ImplantOptions{Force: true}); err != nil {
			t.Error(err)
		}
		r, err := build.Verify(t.Context(), ours, verify.Options{})
		if err != nil || r.Problems() > 0 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		f, err := os.OpenFile(ours, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{raw[3_000_000] ^ 1}, 3_000_000); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		s, err := build.CheckMedia(t.Context(), ours, nil)
		if err != nil || s.OK || s.From > 3_000_000 || s.To <= 3_000_000 {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

// TestChecksum: observers hear what the file has in the end, media check and all.
func TestChecksum(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	b, err := baseimage.Open(isotest.Image(t, "rhel9-isolinux"), baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	img, err := build.Build(t.Context(), b, []edit.Step{edit.Add{Source: local(t, "x", []byte("x")), Dest: "/x"}}, stage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	out := filepath.Join(t.TempDir(), "out.iso")
	if _, err := img.WriteFile(t.Context(), out, sink.Options{Observe: []io.Writer{h}}); err != nil {
		t.Fatal(err)
	}
	if got, want := hex.EncodeToString(h.Sum(nil)), isotest.SHA256File(t, out); got != want {
		t.Errorf("observed %s, the file has %s", got, want)
	}
	if img.MediaCheck() == "" || !passes(t, out) {
		t.Error("no media check")
	}
}

// TestStubInESP: a configuration in the EFI system partition that only leads to the one of
// the tree is no copy of it; one with entries is.
func TestStubInESP(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	base, _, _ := isotest.Family(t, "../distro/testdata/debian.txtar")
	for text, want := range map[string]bool{
		"search --set=root --file /.disk/info\nset prefix=($root)/boot/grub\nconfigfile ($root)/boot/grub/grub.cfg\n": false,
		"menuentry 'Other' {\n\tlinux /install.amd/vmlinuz other\n\tinitrd /install.amd/initrd.gz\n}\n":               true,
	} {
		made := filepath.Join(t.TempDir(), "made.iso")
		rebuild(t, base, made, edit.Add{Source: localFile(t, "grub.cfg", text), Dest: "@efi:/boot/grub/grub.cfg"})
		report, err := build.Verify(t.Context(), made, verify.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(fmt.Sprint(report.Groups), "differs from /boot/grub/grub.cfg"); got != want {
			t.Errorf("told of a difference: %v, want %v, for\n%s", got, want, text)
		}
	}
}
