package hostile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDump(t *testing.T) {
	d := os.Getenv("DUMP")
	if d == "" {
		t.Skip()
	}
	for _, r := range Rows {
		if r.Big {
			continue
		}
		n := strings.ReplaceAll(r.ID, " ", "_")
		if err := r.Write(filepath.Join(d, n+".iso"), r.Image()); err != nil {
			t.Fatal(err)
		}
		w := r
		w.Grow = 0
		w.Write(filepath.Join(d, n+".twin.iso"), r.Twin())
	}
}
