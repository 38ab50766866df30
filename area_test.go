package isolayer_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isolayer/isolayer"
	"github.com/isolayer/isolayer/internal/isotest"
)

// TestAreasFillUp: names that need a continuation area go behind those that the
// directory has, as long as its blocks have room; trees stay where they are.
func TestAreasFillUp(t *testing.T) {
	dir, base := t.TempDir(), filepath.Join(t.TempDir(), "base.iso")
	long := func(c string) string { return strings.Repeat(c, 230) }
	for _, n := range []string{long("a"), long("b"), "c"} {
		if err := os.WriteFile(filepath.Join(dir, n), []byte(n), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	isotest.Run(t, "genisoimage", "-quiet", "-R", "-o", base, dir)
	for _, c := range []struct {
		names     []string
		placement string
	}{
		{[]string{"d"}, "in place"},
		{[]string{"e", "f"}, "in place"},
		{[]string{"d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n"}, "relaid"}, // the directory outgrows its block
	} {
		var steps []isolayer.Step
		for _, n := range c.names {
			steps = append(steps, isolayer.Add{Source: localFile(t, "x", n), Dest: "/" + long(n)})
		}
		made := filepath.Join(t.TempDir(), "made.iso")
		if got := rebuild(t, base, made, steps...).Report.Trees[0].Placement; got != c.placement {
			t.Errorf("%v: %s, want %s", c.names, got, c.placement)
		}
		for _, n := range append(c.names, "a", "b") {
			want := n
			if n == "a" || n == "b" {
				want = long(n)
			}
			out := filepath.Join(t.TempDir(), n)
			isotest.Run(t, "xorriso", "-osirrox", "on", "-indev", made, "-extract", "/"+long(n), out)
			if b, err := os.ReadFile(out); err != nil || string(b) != want {
				t.Errorf("%v: xorriso reads %q of %s, %v", c.names, b, n, err)
			}
			if b := isotest.Run(t, "bsdtar", "-xOf", made, long(n)); string(b) != want {
				t.Errorf("%v: bsdtar reads %q of %s", c.names, b, n)
			}
		}
	}
}
