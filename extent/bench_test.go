package extent

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkReadAt reads blocks of a map of 10 000 extents.
func BenchmarkReadAt(b *testing.B) {
	const size, count = 64 << 10, 10_000
	src := Memory("source", make([]byte, size))
	var list []Extent
	for i := range int64(count) {
		list = append(list, CopyOf(i*size, src, 0, size))
	}
	m, err := New(list)
	if err != nil {
		b.Fatal(err)
	}
	r, buf := rand.New(rand.NewPCG(1, 2)), make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.ReadAt(buf, r.Int64N(m.Size()-int64(len(buf)))); err != nil {
			b.Fatal(err)
		}
	}
}
