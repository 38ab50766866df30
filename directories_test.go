package isolayer_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isolayer/isolayer"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/sink"
)

// TestOddDirectories: writers such as go-diskfs give directories the length of their
// records, no whole blocks. Whatever is edited, all that names a directory agrees.
func TestOddDirectories(t *testing.T) {
	base := filepath.Join(t.TempDir(), "odd.iso")
	src := t.TempDir()
	for _, name := range []string{"a", "d/b", "d/sub/deep", "e/c"} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(src, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(src, name), []byte(name+"\n"), 0o644))
	}
	out, err := exec.Command(isotest.Tool(t, "genisoimage"), "-quiet", "-r", "-J", "-o", base, src).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	shortenDirectories(t, base)
	many := t.TempDir()
	for i := range 60 {
		must(t, os.WriteFile(filepath.Join(many, fmt.Sprintf("a file of a long name %d", i)), nil, 0o644))
	}
	mode := func(path string) isolayer.Step { return isolayer.Chmod{Path: path, Mode: 0o700} }
	edits := map[string][]isolayer.Step{
		"file added":          {isolayer.Add{Source: base, Dest: "/d/n"}},
		"file in the root":    {isolayer.Add{Source: base, Dest: "/n"}},
		"more than a block":   {isolayer.Add{Source: many, Dest: "/d/sub"}},
		"file removed":        {isolayer.Remove{Pattern: "/e/c"}},
		"directory moved":     {isolayer.Move{Old: "/d/sub", New: "/e/sub"}},
		"directory removed":   {isolayer.Remove{Pattern: "/d/sub"}},
		"directory renamed":   {isolayer.Move{Old: "/d", New: "/a-longer-name"}},
		"attributes":          {mode("/d/sub")},
		"directory added":     {isolayer.Mkdir{Path: "/d/new/new"}},
		"volume label":        {isolayer.Label{ID: "OTHER"}},
		"content made larger": {isolayer.Add{Source: base, Dest: "/a"}},
	}
	for name, steps := range edits {
		for how, o := range map[string]isolayer.Options{"keep": {}, "compact": {Compact: true}, "end": {AtEnd: true}} {
			image, _ := build(t, base, o, steps...)
			for _, f := range isotest.DirectoryFaults(t, read(t, image)) {
				t.Errorf("%s, %s: %s", name, how, f)
			}
			if s := isotest.BsdtarErrors(t, image); s != "" {
				t.Errorf("%s, %s: bsdtar: %s", name, how, s)
			}
		}
		image := filepath.Join(t.TempDir(), "inplace.iso")
		must(t, os.WriteFile(image, read(t, base), 0o644))
		edit(t, image, isolayer.Options{}, steps...)
		for _, f := range isotest.DirectoryFaults(t, read(t, image)) {
			t.Errorf("%s, in place: %s", name, f)
		}
	}
	same := filepath.Join(t.TempDir(), "same.iso")
	b, err := isolayer.Open(base, isolayer.OpenOptions{})
	must(t, err)
	defer b.Close()
	img, err := b.Build(t.Context(), nil, isolayer.Options{})
	must(t, err)
	_, err = img.WriteFile(t.Context(), same, sink.Options{})
	must(t, err)
	if string(read(t, same)) != string(read(t, base)) {
		t.Error("without an edit, the image is another one")
	}
}

// shortenDirectories gives each directory of an image the length of its records.
func shortenDirectories(t *testing.T, image string) {
	t.Helper()
	b := read(t, image)
	for _, desc := range []int{16 * 2048, 17 * 2048} {
		used := map[int]int{}
		queue := []int{desc + 156}
		var all []int
		for len(queue) > 0 {
			at := queue[0]
			queue = queue[1:]
			all = append(all, at)
			off := int(binary.LittleEndian.Uint32(b[at+2:])) * 2048
			if used[off] > 0 {
				continue
			}
			p := off
			for i := 0; b[p] != 0; i++ {
				if b[p+25]&2 != 0 && i > 1 {
					queue = append(queue, p)
				} else if i < 2 {
					all = append(all, p)
				}
				p += int(b[p])
			}
			used[off] = p - off
		}
		for _, at := range all {
			n := used[int(binary.LittleEndian.Uint32(b[at+2:]))*2048]
			binary.LittleEndian.PutUint32(b[at+10:], uint32(n))
			binary.BigEndian.PutUint32(b[at+14:], uint32(n))
		}
	}
	if faults := isotest.DirectoryFaults(t, b); len(faults) > 0 {
		t.Fatal(strings.Join(faults, "\n"))
	}
	must(t, os.WriteFile(image, b, 0o644))
}
