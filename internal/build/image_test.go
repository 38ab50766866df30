package build_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/inplace"
	"github.com/isolayer/isolayer/internal/layer"
	"github.com/isolayer/isolayer/internal/mediacheck"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/sink"
)

// unsealed is an image whose media check is still to be computed.
func unsealed(t *testing.T) *build.Image {
	t.Helper()
	b := opened(t, made(t, map[string][]byte{"content": noise(1<<20, 1)}))
	img, err := build.Build(t.Context(), b, []edit.Step{edit.Add{Source: local(t, "ks.cfg", []byte("text\n"))}},
		stage.Options{MediaCheck: stage.MediaImplant, InPlace: true})
	if err != nil {
		t.Fatal(err)
	}
	if img.Sealed() {
		t.Fatal("the image has a media check and is sealed")
	}
	return img
}

// TestUnsealed: no way of reading gives bytes that are not final: they are ErrUnsealed.
func TestUnsealed(t *testing.T) {
	img := unsealed(t)
	all := io.NewSectionReader(img.Map, 0, img.Map.Size())
	out := filepath.Join(t.TempDir(), "out.iso")
	at := func(off, n int64) error { _, err := img.Map.ReadAt(make([]byte, n), off); return err }
	for name, err := range map[string]error{
		"all of the field": at(mediacheck.Offset, mediacheck.Size),
		"its first byte":   at(mediacheck.Offset-10, 11),
		"its last byte":    at(mediacheck.Offset+mediacheck.Size-1, 10),
		"all":              func() error { _, err := io.Copy(io.Discard, all); return err }(),
		"sink.Stream": func() error {
			_, err := sink.Stream(io.Discard).Write(t.Context(), sink.Plan{Map: img.Map}, sink.Options{})
			return err
		}(),
		"sink.File": func() error {
			_, err := sink.File(out).Write(t.Context(), sink.Plan{Map: img.Map}, sink.Options{})
			return err
		}(),
		"sink.Feed": func() error {
			err := sink.Feed(t.Context(), img.Map, nil, io.Discard)
			return err
		}(),
		"an observed stream": func() error {
			_, err := sink.Stream(io.Discard).Write(t.Context(), sink.Plan{Map: img.Map}, sink.Options{Observe: []io.Writer{io.Discard}})
			return err
		}(),
	} {
		if !errors.Is(err, build.ErrUnsealed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was left: %v", err)
	}
	if err := errors.Join(at(mediacheck.Offset-100, 100), at(mediacheck.Offset+mediacheck.Size, 1<<20)); err != nil {
		t.Errorf("beside the field: %v", err)
	}
	sealed, err := img.Seal(t.Context(), nil)
	if err != nil || !sealed.Sealed() || img.Sealed() {
		t.Fatalf("sealed %v, the image itself %v: %v", sealed.Sealed(), img.Sealed(), err)
	}
	var stream, plain bytes.Buffer
	if _, err := img.Stream(t.Context(), &stream, sink.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(&plain, io.NewSectionReader(sealed.Map, 0, sealed.Map.Size())); err != nil || !bytes.Equal(plain.Bytes(), stream.Bytes()) {
		t.Errorf("the sealed image is another than the stream: %v", err)
	}
}

// TestServeUnsealed: who serves the plan of an image that is not sealed gives no other
// bytes than those of the file; a range that has none of them is served.
func TestServeUnsealed(t *testing.T) {
	img := unsealed(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "x.iso", time.Time{}, io.NewSectionReader(img.Map, 0, img.Map.Size()))
	}))
	defer s.Close()
	get := func(r string) ([]byte, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if r != "" {
			req.Header.Set("Range", r)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		return io.ReadAll(resp.Body)
	}
	if b, err := get(""); err == nil {
		t.Errorf("%d bytes served", len(b))
	}
	if _, err := get("bytes=65536-131071"); err != nil {
		t.Error(err)
	}
}

// TestWrittenAtOnce: an image may be written any number of times at once, with one result.
func TestWrittenAtOnce(t *testing.T) {
	img := unsealed(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	results := map[string]int{}
	for n := range 9 {
		wg.Go(func() {
			var out bytes.Buffer
			var err error
			switch n % 3 {
			case 0:
				_, err = img.Stream(t.Context(), &out, sink.Options{})
			case 1:
				var sealed *build.Image
				if sealed, err = img.Seal(t.Context(), nil); err == nil {
					_, err = io.Copy(&out, io.NewSectionReader(sealed.Map, 0, sealed.Map.Size()))
				}
			case 2:
				p := filepath.Join(t.TempDir(), "out.iso")
				if _, err = img.WriteFile(t.Context(), p, sink.Options{}); err == nil {
					out.Write(read(t, p))
				}
			}
			if err != nil || img.MediaCheck() == "" {
				t.Errorf("writer %d: media check %q: %v", n, img.MediaCheck(), err)
			}
			mu.Lock()
			defer mu.Unlock()
			results[string(out.Bytes())]++
		})
	}
	wg.Wait()
	if len(results) != 1 {
		t.Errorf("%d different images", len(results))
	}
}

// TestWriteInPlaceUnsealed: package inplace changes nothing by a map that is not sealed.
func TestWriteInPlaceUnsealed(t *testing.T) {
	path := made(t, map[string][]byte{"content": noise(1<<20, 1)})
	before := read(t, path)
	b := opened(t, path)
	img, err := build.Build(t.Context(), b, []edit.Step{edit.Mkdir{Path: "/d"}}, stage.Options{MediaCheck: stage.MediaImplant, InPlace: true})
	if err != nil {
		t.Fatal(err)
	}
	src := img.Map.Extents()[0].Src
	if _, err := inplace.Apply(t.Context(), inplace.Target{Image: path}, inplace.Edit{Map: img.Map, Base: src}); !errors.Is(err, build.ErrUnsealed) {
		t.Errorf("got %v", err)
	}
	if !bytes.Equal(read(t, path), before) {
		t.Error("the image changed")
	}
}

// packed is a layer that adds a file to a base, compressed.
func packed(t *testing.T, base string, content []byte) string {
	t.Helper()
	b := opened(t, base)
	img, err := build.Build(t.Context(), b, []edit.Step{edit.Add{Source: local(t, "x", content)}}, stage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	after := filepath.Join(t.TempDir(), "after.iso")
	if _, err := img.WriteFile(t.Context(), after, sink.Options{}); err != nil {
		t.Fatal(err)
	}
	l, _, err := build.MakeLayer(t.Context(), opened(t, after), b, build.LayerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := layer.Compress(&out, layer.Gzip)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Write(w), w.Close()); err != nil {
		t.Fatal(err)
	}
	return local(t, "x.tar.gz", out.Bytes())
}

// descriptors counts the open files of this process.
func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc here")
	}
	return len(list)
}

// TestDescriptors: images that were closed hold no descriptor, and those of one layer at a
// time share its temporary file.
func TestDescriptors(t *testing.T) {
	base := made(t, map[string][]byte{"a": []byte("a")})
	first, second := packed(t, base, []byte("first")), packed(t, base, []byte("second"))
	b := opened(t, base)
	withLayer := func(path string) *build.Image {
		img, err := build.Build(t.Context(), b, []edit.Step{edit.Layer{Path: path}}, stage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return img
	}
	withLayer(first).Close()
	before := descriptors(t)
	builds := 1000
	if testing.Short() {
		builds = 100
	}
	for n := range builds {
		img := withLayer([]string{first, second}[n%2])
		if n%100 == 0 { // another one that is closed does not take its file away
			var out bytes.Buffer
			if err := withLayer(first).Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := img.Stream(t.Context(), &out, sink.Options{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := img.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if after := descriptors(t); after > before+1 {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	for range 50 {
		withLayer(first)
	}
	if after := descriptors(t); after > before+2 { // the layer, and what it unpacks to
		t.Errorf("images of one layer hold %d descriptors, %d before", after, before)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors when all is closed, %d before", after, before)
	}
}
