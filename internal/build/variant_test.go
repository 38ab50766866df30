package build_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
	"github.com/isolayer/isolayer/sink"
)

// putSource is a step that puts a source into the image.
type putSource struct {
	edit.Other
	path string
	src  extent.Source
}

func (p putSource) String() string { return "put " + p.path }

func (p putSource) Apply(s *stage.Stage) error {
	return s.Put(p.path, tree.Attr{Mode: iso9660.ModeRegular | 0o644, ModTime: s.Tree.Epoch}, p.src)
}

// TestVariants: images of one plan differ in their slots alone, are those that are planned
// with the content from the start, and can be made and written at once.
func TestVariants(t *testing.T) {
	b := opened(t, made(t, map[string][]byte{"a": []byte("a"), "dir/b": bytes.Repeat([]byte("b"), 800_000)}))
	slot := extent.NewSlot("answer", 3000)
	for _, o := range []stage.Options{{}, {MediaCheck: stage.MediaImplant}} {
		img, err := build.Build(t.Context(), b, []edit.Step{putSource{path: "/ks.cfg", src: slot}}, o)
		if err != nil {
			t.Fatal(err)
		}
		if img.Sealed() {
			t.Error("an image with an empty slot is sealed")
		}
		if _, err := img.Seal(t.Context(), nil); !errors.Is(err, build.ErrUnsealed) {
			t.Errorf("to seal it gives %v", err)
		}
		if _, err := img.Map.ReadAt(make([]byte, img.Map.Size()), 0); !errors.Is(err, build.ErrUnsealed) {
			t.Errorf("to read it gives %v", err)
		}
		digests := map[string]bool{}
		var mu sync.Mutex
		var all sync.WaitGroup
		for n := range 8 {
			all.Go(func() {
				content := []byte(fmt.Sprintf("host %d%s", n, strings.Repeat("\n", 3000)))[:3000]
				v, err := img.With(map[*extent.Slot][]byte{slot: content})
				if err != nil {
					t.Error(err)
					return
				}
				var out bytes.Buffer
				if _, err := v.Stream(t.Context(), &out, sink.Options{}); err != nil {
					t.Error(err)
					return
				}
				want, err := build.Build(t.Context(), b, []edit.Step{putSource{path: "/ks.cfg", src: bytesSource{bytes.NewReader(content)}}}, o)
				if err != nil {
					t.Error(err)
					return
				}
				var direct bytes.Buffer
				if _, err := want.Stream(t.Context(), &direct, sink.Options{}); err != nil {
					t.Error(err)
				}
				if !bytes.Equal(out.Bytes(), direct.Bytes()) {
					t.Errorf("variant %d is not the image that is planned with its content", n)
				}
				d, err := v.Digest()
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				digests[d] = true
				mu.Unlock()
			})
		}
		all.Wait()
		if len(digests) != 8 {
			t.Errorf("8 variants have %d digests", len(digests))
		}
		for name, content := range map[string]map[*extent.Slot][]byte{
			"short": {slot: []byte("x")}, "another slot": {extent.NewSlot("x", 1): []byte("x")},
		} {
			if _, err := img.With(content); !errors.Is(err, build.ErrSlot) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// bytesSource is content in memory.
type bytesSource struct{ *bytes.Reader }

func (bytesSource) Name() string { return "memory" }

// TestDigest: it is that of the same steps on the same file again, and another one as soon as
// any byte is another one.
func TestDigest(t *testing.T) {
	base := made(t, map[string][]byte{"a": []byte("a"), "b": make([]byte, 800_000)})
	digest := func(b *baseimage.Base, o stage.Options, steps ...edit.Step) string {
		img, err := build.Build(t.Context(), b, steps, o)
		if err != nil {
			t.Fatal(err)
		}
		defer img.Close()
		d, err := img.Digest()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	add := func(text string) edit.Step {
		return putSource{path: "/ks.cfg", src: bytesSource{bytes.NewReader([]byte(text))}}
	}
	implant := stage.Options{MediaCheck: stage.MediaImplant}
	one := digest(opened(t, base), stage.Options{}, add("x"))
	if two := digest(opened(t, base), stage.Options{}, add("x")); one != two {
		t.Error("the same steps have two digests")
	}
	seen := map[string]string{one: "x"}
	for name, d := range map[string]string{
		"other content": digest(opened(t, base), stage.Options{}, add("y")),
		"no step":       digest(opened(t, base), stage.Options{}),
		"media check":   digest(opened(t, base), implant, add("x")),
		"other base":    digest(opened(t, made(t, map[string][]byte{"a": []byte("a"), "b": bytes.Repeat([]byte("c"), 800_000)})), stage.Options{}, add("x")),
	} {
		if was := seen[d]; was != "" {
			t.Errorf("%s has the digest of %s", name, was)
		}
		seen[d] = name
	}
}

// TestRegions: they cover the image once, and say of each byte what it is: the content of a
// file is found by them.
func TestRegions(t *testing.T) {
	b := opened(t, made(t, map[string][]byte{"a": bytes.Repeat([]byte("a"), 70_000), "gone": bytes.Repeat([]byte("g"), 9000), "dir/b": []byte("b"), "large": make([]byte, 800_000)}))
	img, err := build.Build(t.Context(), b, []edit.Step{
		putSource{path: "/dir/new", src: bytesSource{bytes.NewReader(bytes.Repeat([]byte("n"), 5000))}}, edit.Remove{Pattern: "/gone"},
	}, stage.Options{MediaCheck: stage.MediaImplant})
	if err != nil {
		t.Fatal(err)
	}
	list, err := img.Regions()
	if err != nil {
		t.Fatal(err)
	}
	at, late := int64(0), int64(0)
	content := map[string]string{}
	kinds := map[build.RegionKind]bool{}
	for _, r := range list {
		if r.Off != at || r.Len <= 0 {
			t.Fatalf("%+v does not begin at %d", r, at)
		}
		at += r.Len
		kinds[r.Kind] = true
		if r.Origin == build.OriginLate {
			late += r.Len
			continue
		}
		p := make([]byte, r.Len)
		if _, err := img.Map.ReadAt(p, r.Off); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if r.Kind == build.RegionFile {
			content[r.Path+" "+string(r.Origin)] += string(p)
		}
		if r.Origin == build.OriginZero && len(bytes.Trim(p, "\x00")) > 0 {
			t.Errorf("%+v is not zero", r)
		}
	}
	if at != img.Map.Size() {
		t.Errorf("regions end at %d of %d", at, img.Map.Size())
	}
	if late != 512 {
		t.Errorf("%d bytes are late, the media check has 512", late)
	}
	for name, want := range map[string]string{
		"/a vendor": strings.Repeat("a", 70_000), "/dir/b vendor": "b", "/large vendor": strings.Repeat("\x00", 800_000), "/dir/new ours": strings.Repeat("n", 5000),
	} {
		if content[name] != want {
			t.Errorf("%s has %d bytes in %d regions", name, len(content[name]), len(list))
		}
		delete(content, name)
	}
	if len(content) > 0 {
		t.Errorf("more files than there are: %d", len(content))
	}
	for _, k := range []build.RegionKind{build.RegionSystemArea, build.RegionDescriptors, build.RegionPathTable, build.RegionDirectory, build.RegionUnused} {
		if !kinds[k] {
			t.Errorf("no region is %s", k)
		}
	}
}
