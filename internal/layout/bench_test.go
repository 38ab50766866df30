package layout

import (
	"fmt"
	"testing"

	"github.com/isolayer/isolayer/internal/tree"
)

// BenchmarkPlan plans one more file in an image of 2000 files, and the image without one of
// its directories.
func BenchmarkPlan(b *testing.B) {
	fs := files{}
	for i := range 2000 {
		fs[fmt.Sprintf("dir%d/small-file-%04d.txt", i%7, i)] = fmt.Sprint(i)
	}
	base := open(b, isofs(b, fs, "-r", "-J"))
	for name, edit := range map[string]tree.Edit{"add": put("/new", 5), "remove": tree.Remove{Path: "/dir3"}} {
		b.Run(name, func(b *testing.B) {
			tr := edited(b, base, edit)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Plan(base, tr, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
