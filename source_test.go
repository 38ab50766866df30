package isolayer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/isolayer/isolayer"
	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/extent/sourcetest"
	"github.com/isolayer/isolayer/sink"
)

// server is what a source that is no file has: it answers ranges of whole blocks, as an HTTP
// server does for Range and If-Match, and nothing else.
type server struct {
	mu     sync.Mutex
	body   []byte
	tag    string // entity tag (RFC 9110, 8.8.3)
	asked  int64  // bytes
	ranges int

	announced int64 // bytes
}

var errPrecondition = errors.New("412 Precondition Failed")

// get answers "bytes=FROM-TO" for one entity tag.
func (s *server) get(ctx context.Context, header, match string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var from, to int64
	if _, err := fmt.Sscanf(header, "bytes=%d-%d", &from, &to); err != nil || from < 0 || from > to || from >= int64(len(s.body)) {
		return nil, fmt.Errorf("416 Range Not Satisfiable: %s", header)
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case match != s.tag:
		return nil, errPrecondition
	case from%blockOfServer != 0:
		return nil, fmt.Errorf("400 Bad Request: %s begins no block", header)
	}
	to = min(to+1, int64(len(s.body)))
	s.asked += to - from
	s.ranges++
	return bytes.Clone(s.body[from:to]), nil
}

const blockOfServer = 16 << 10

// remote is a source that has nothing but ranges of a server, in blocks.
type remote struct {
	server *server
	size   int64
	tag    string
}

func (s *server) open() *remote { return &remote{s, int64(len(s.body)), s.tag} }

func (r *remote) Name() string     { return "https://example.org/base.iso" }
func (r *remote) Size() int64      { return r.size }
func (r *remote) Identity() string { return r.Name() + " " + r.tag }

func (r *remote) Check(ctx context.Context) error {
	_, err := r.server.get(ctx, "bytes=0-0", r.tag)
	if errors.Is(err, errPrecondition) {
		err = fmt.Errorf("%s: %w", r.Name(), extent.ErrChanged)
	}
	return err
}

func (r *remote) ReadAt(p []byte, off int64) (int, error) {
	return r.ReadAtContext(context.Background(), p, off)
}

// Prefetch notes what is announced.
func (r *remote) Prefetch(_ context.Context, ranges []extent.Range) {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	for _, x := range ranges {
		r.server.announced += x.Len
	}
}

func (r *remote) ReadAtContext(ctx context.Context, p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	for n < len(p) && off+int64(n) < r.size {
		at := (off + int64(n)) / blockOfServer * blockOfServer
		b, err := r.server.get(ctx, fmt.Sprintf("bytes=%d-%d", at, at+blockOfServer-1), r.tag)
		if errors.Is(err, errPrecondition) {
			err = fmt.Errorf("%s: %w", r.Name(), extent.ErrChanged)
		}
		if err != nil {
			return n, err
		}
		n += copy(p[n:], b[off+int64(n)-at:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// TestRemoteSource: a base that only answers ranges passes the suite, and a build over it is
// the same image as one over a file, of which nothing is read that the plan does not name.
func TestRemoteSource(t *testing.T) {
	dir := exampleDir()
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "base.iso")
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{body: body, tag: `"one"`}
	if err := sourcetest.Test(s.open(), body); err != nil {
		t.Fatal(err)
	}
	steps := []edit.Step{edit.Add{Source: localText(t, strings.Repeat("text\n", 1000)), Dest: "/ks.cfg"}, edit.Mkdir{Path: "/new"}}
	image := func(base *isolayer.Base, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer base.Close()
		img, err := base.Build(t.Context(), steps, isolayer.BuildOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer img.Close()
		sealed, err := img.Seal(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if _, err := sealed.WriteTo(t.Context(), sink.Stream(&out), sink.Options{}); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	want := image(isolayer.Open(t.Context(), path, isolayer.OpenOptions{}))
	s.asked, s.ranges, s.announced = 0, 0, 0
	got := image(isolayer.OpenSource(t.Context(), s.open(), isolayer.OpenOptions{}))
	if !bytes.Equal(got, want) {
		t.Errorf("over ranges the image is another one: %d bytes, %d over a file", len(got), len(want))
	}
	if s.ranges == 0 || s.announced < int64(len(body))/2 || s.announced > int64(len(body))*5/2 {
		t.Errorf("%d ranges were asked for, %d bytes announced", s.ranges, s.announced)
	}
	err = sourcetest.TestChanged(s.open(), func() error {
		s.body, s.tag = append([]byte{1}, body[1:]...), `"two"`
		return nil
	}, func() (extent.Source, error) { return s.open(), nil })
	if err != nil {
		t.Error(err)
	}
}

// localText is a local file of a text.
func localText(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ks.cfg")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
