package sink_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"testing"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/sink"
)

// silent is a source of a server that does not answer: a read ends when its context does.
type silent struct {
	asked     chan struct{}
	announced []extent.Range
}

func (s *silent) Name() string                      { return "silent" }
func (s *silent) Size() int64                       { return 1 << 20 }
func (s *silent) ReadAt([]byte, int64) (int, error) { return 0, errors.New("read without a context") }

func (s *silent) ReadAtContext(ctx context.Context, _ []byte, _ int64) (int, error) {
	close(s.asked)
	<-ctx.Done()
	return 0, ctx.Err()
}

func (s *silent) Prefetch(_ context.Context, ranges []extent.Range) { s.announced = ranges }

// TestSilentSource: sinks announce what they will read, in the order of the image, and end
// with their context though a source does not answer.
func TestSilentSource(t *testing.T) {
	for name, to := range map[string]sink.Sink{"stream": sink.Stream(io.Discard), "file": sink.File(filepath.Join(t.TempDir(), "out"))} {
		src := &silent{asked: make(chan struct{})}
		m, err := extent.New([]extent.Extent{extent.CopyOf(0, src, 5000, 1000), extent.ZeroOf(1000, 24), extent.CopyOf(1024, src, 0, 4096)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-src.asked
			cancel()
		}()
		if _, err := to.Write(ctx, sink.Plan{Map: m}, sink.Options{}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		if got := fmt.Sprint(src.announced); got != "[{5000 1000} {0 4096}]" {
			t.Errorf("%s: %s was announced", name, got)
		}
		cancel()
	}
}
