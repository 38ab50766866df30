package build_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
	"github.com/isolayer/isolayer/internal/verify"
)

// smallImages makes a few images of some hundred KiB for mutations to start from.
func smallImages(f *testing.F) [][]byte {
	dir := f.TempDir()
	src := filepath.Join(dir, "tree")
	for _, p := range []string{"a/b/c/d/e/f/g/h/i/deep", "docs/a name that is rather long and has spaces.txt", "x.cfg", "boot/grub/grub.cfg", "boot/x.bin", "many/" + string(bytes.Repeat([]byte("n"), 200))} {
		p = filepath.Join(src, p)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			f.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(p), 0o644); err != nil {
			f.Fatal(err)
		}
	}
	if err := os.Symlink("../x.cfg", filepath.Join(src, "docs", "link")); err != nil {
		f.Fatal(err)
	}
	var out [][]byte
	for i, args := range [][]string{
		{"genisoimage", "-quiet", "-R", "-J", "-no-pad", "-b", "boot/x.bin", "-c", "boot/boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"},
		{"genisoimage", "-quiet", "-J", "-no-pad"},
		{"xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "-no-pad"},
		{"xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "-partition_offset", "16", "-append_partition", "2", "0xef", filepath.Join(src, "x.cfg"), "-appended_part_as_gpt"},
	} {
		if _, err := exec.LookPath(args[0]); err != nil {
			if os.Getenv("CI") != "" {
				f.Fatal(err)
			}
			f.Skip(err)
		}
		iso := filepath.Join(dir, fmt.Sprint(i, ".iso"))
		if b, err := exec.Command(args[0], append(args[1:], "-o", iso, src)...).CombinedOutput(); err != nil {
			f.Fatalf("%s: %v\n%s", args, err, b)
		}
		b, err := os.ReadFile(iso)
		if err != nil {
			f.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

// patch applies a mutation: records of a 32-bit offset into the first 128 KiB and a
// byte; with the top bit of the offset set, four bytes from a small range, in
// both byte orders, as addresses and lengths are recorded.
func patch(image, program []byte) []byte {
	image = bytes.Clone(image)
	area := min(len(image), 128<<10) - 8
	for ; len(program) >= 5; program = program[5:] {
		at := binary.LittleEndian.Uint32(program)
		off := int(at&0x7fffffff) % area
		if at>>31 == 0 {
			image[off] = program[4]
			continue
		}
		binary.LittleEndian.PutUint32(image[off:], uint32(program[4]))
		binary.BigEndian.PutUint32(image[off+4:], uint32(program[4]))
	}
	return image
}

// FuzzBuild checks and changes mutated images. Whatever the image: no panic, no hang,
// and if a change succeeds, the result opens and has it, and is sound if the base was.
func FuzzBuild(f *testing.F) {
	images := smallImages(f)
	ks := filepath.Join(f.TempDir(), "ks.cfg")
	if err := os.WriteFile(ks, []byte("text\n"), 0o644); err != nil {
		f.Fatal(err)
	}
	for i := range images {
		f.Add(byte(i), []byte{})
		for at := uint32(32 << 10); at < 128<<10; at += 2048 {
			f.Add(byte(i), append(binary.LittleEndian.AppendUint32(nil, at+2), 40, byte(at>>11), 0, 0, 0x80, 33))
		}
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, which byte, program []byte) {
		if len(program) > 100 {
			return
		}
		guard := time.AfterFunc(10*time.Second, func() { panic("one input takes more than ten seconds") })
		defer guard.Stop()
		base := filepath.Join(dir, fmt.Sprintf("%d.iso", os.Getpid()))
		if err := os.WriteFile(base, patch(images[int(which)%len(images)], program), 0o644); err != nil {
			t.Fatal(err)
		}
		before, err := build.Verify(t.Context(), base, verify.Options{})
		if err != nil {
			return
		}
		b, err := baseimage.Open(base, baseimage.OpenOptions{})
		if err != nil {
			return
		}
		defer b.Close()
		img, err := build.Build(t.Context(), b, []edit.Step{edit.Add{Source: ks, Dest: "/new/ks.cfg"}, edit.Remove{Pattern: "/docs"}}, stage.Options{})
		if err != nil {
			return
		}
		out, err := iso9660.Open(img.Map, img.Map.Size(), iso9660.Options{})
		if err != nil {
			t.Fatalf("the result does not open: %v", err)
		}
		tr, err := tree.FromImage(out)
		if err != nil {
			t.Fatalf("the tree of the result: %v", err)
		}
		n, err := tr.Lookup("/new/ks.cfg")
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, n.Size())
		if _, err := img.Map.ReadAt(got, n.Content()[0].LBA.Offset()); err != nil || string(got) != "text\n" {
			t.Fatalf("the added file reads %q, %v", got, err)
		}
		after, err := verify.Image(t.Context(), img.Map, img.Map.Size(), verify.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if before.Problems() == 0 && after.Problems() > 0 {
			t.Fatalf("a sound image became unsound:\n%+v", after)
		}
		for _, c := range tr.Root.Children {
			if c.Name == "docs" {
				t.Fatal("the removed directory is still there")
			}
		}
	})
}
