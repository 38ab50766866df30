package extent

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPatched: old bytes, patches and what is added behind come to one file.
func TestPatched(t *testing.T) {
	src := source("a", 100)
	for name, c := range map[string]struct {
		p    Patched
		want string
	}{
		"nothing": {Patched{Src: src, Off: 10, Len: 50}, "0 +50 copy a@10\n"},
		"inside": {
			Patched{Src: src, Off: 10, Len: 50, Patches: []Extent{ZeroOf(20, 5), ZeroOf(0, 1)}},
			"0 +1 zero\n1 +19 copy a@11\n20 +5 zero\n25 +25 copy a@35\n",
		},
		"tail":     {Patched{Src: src, Len: 50, Patches: []Extent{ZeroOf(50, 5)}}, "0 +50 copy a@0\n50 +5 zero\n"},
		"gap":      {Patched{Src: src, Len: 50, Patches: []Extent{CopyOf(60, src, 90, 5)}}, "0 +50 copy a@0\n50 +10 zero\n60 +5 copy a@90\n"},
		"longer":   {Patched{Src: src, Len: 50, Size: 60}, "0 +50 copy a@0\n50 +10 zero\n"},
		"shorter":  {Patched{Src: src, Len: 50, Size: 10}, "0 +10 copy a@0\n"},
		"only new": {Patched{Patches: []Extent{CopyOf(0, src, 1, 2)}}, "0 +2 copy a@1\n"},
	} {
		m, err := c.p.Map()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(c.want, text(t, m)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for name, p := range map[string]Patched{
		"overlap":      {Src: src, Len: 50, Patches: []Extent{ZeroOf(5, 5), ZeroOf(9, 5)}},
		"past the end": {Src: src, Len: 50, Size: 50, Patches: []Extent{ZeroOf(45, 10)}},
		"past the old": {Src: src, Off: 60, Len: 50},
	} {
		if m, err := p.Map(); err == nil {
			t.Errorf("%s: %s", name, text(t, m))
		}
	}
}
