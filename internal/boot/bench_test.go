package boot

import (
	"os"
	"testing"

	"github.com/isolayer/isolayer/internal/isotest"
)

// BenchmarkParse reads the boot equipment of an image with nearly all that there is.
func BenchmarkParse(b *testing.B) {
	f, err := os.Open(isotest.Image(b, "debian"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		b.Fatal(err)
	}
	v := readTree(b, f, info.Size()).volume
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(f, info.Size(), v); err != nil {
			b.Fatal(err)
		}
	}
}
