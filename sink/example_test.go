package sink_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/sink"
)

// digest is a sink that keeps nothing of an image but its sum.
type digest struct{ sum []byte }

// Write implements sink.Sink.
func (d *digest) Write(ctx context.Context, p sink.Plan, o sink.Options) (sink.Result, error) {
	m, err := p.Seal(ctx, o.Progress) // bytes that depend on others are made first
	if err != nil {
		return sink.Result{}, err
	}
	h := sha256.New()
	if err := sink.Feed(ctx, m, o.Progress, append(o.Observe, h)...); err != nil {
		return sink.Result{}, err
	}
	if err := sink.Check(ctx, m, nil); err != nil { // the sources are what they were
		return sink.Result{}, err
	}
	d.sum = h.Sum(nil)
	return sink.Result{Size: m.Size(), Written: m.Size(), Method: "sum"}, nil
}

// A sink is whatever takes a plan. One that can write some bytes last needs no pass
// beforehand: see Plan.Start.
func ExampleSink() {
	m, err := extent.New([]extent.Extent{extent.BytesOf(0, []byte("an image")), extent.ZeroOf(8, 1024)})
	if err != nil {
		log.Fatal(err)
	}
	d := &digest{}
	res, err := d.Write(context.Background(), sink.Plan{Map: m}, sink.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d bytes, %x\n", res.Size, d.sum[:4])
	// Output: 1032 bytes, eb9f8b34
}

// The last bytes of this image are the length of what stands before them.
func ExampleLate() {
	m, err := extent.New([]extent.Extent{extent.BytesOf(0, []byte("text ")), extent.LateOf(5, 2)})
	if err != nil {
		log.Fatal(err)
	}
	length := sink.Late{Off: 5, Len: 2, Start: func() (io.Writer, func() ([]byte, error), error) {
		c := &counter{}
		return c, func() ([]byte, error) { return fmt.Appendf(nil, "%02d", c.n-2), nil }, nil
	}}
	if _, err := sink.Stream(os.Stdout).Write(context.Background(), sink.Plan{Map: m, Late: []sink.Late{length}}, sink.Options{}); err != nil {
		log.Fatal(err)
	}
	// Output: text 05
}

type counter struct{ n int }

func (c *counter) Write(p []byte) (int, error) {
	c.n += len(p)
	return len(p), nil
}
