package fault

import (
	"errors"
	"math"
	"testing"
)

func TestParse(t *testing.T) {
	l, err := Parse("records=4M,depth=1000,out-bytes=none")
	if want := (Limits{Records: 4 << 20, Depth: 1000, OutBytes: math.MaxInt64}); err != nil || l != want {
		t.Errorf("%+v, %v", l, err)
	}
	for _, s := range []string{"x=1", "records", "records=", "records=0", "records=-1", "records=1Q", "records=9999999999G", "=", "records=M"} {
		if l, err := Parse(s); err == nil {
			t.Errorf("%s: %+v", s, l)
		}
	}
}

func TestBudget(t *testing.T) {
	b := NewBudget(1<<40, Limits{Records: 2, TreeBytes: 100})
	if b.Depth != 256 || b.OutBytes != 1<<48 {
		t.Errorf("defaults are %+v", b.Limits)
	}
	for i, want := range []bool{true, true, false, false} {
		if err := b.Record(1); (err == nil) != want || err != nil && !errors.Is(err, Limit) {
			t.Errorf("record %d: %v", i, err)
		}
	}
	for _, c := range []struct {
		n  int64
		ok bool
	}{{60, true}, {41, false}, {40, true}, {1, false}, {0, true}, {math.MaxInt64, false}, {-1, false}} {
		if err := b.Directory(c.n); (err == nil) != c.ok {
			t.Errorf("%d bytes: %v", c.n, err)
		}
	}
	if err := b.Out(math.MaxInt64); !errors.Is(err, Bomb) {
		t.Errorf("content without end: %v", err)
	}
	if d := Defaults(math.MaxInt64); d.OutBytes != math.MaxInt64 {
		t.Errorf("%+v", d)
	}
}

func TestCodes(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range []Kind{Format, Range, Truncated, Loop, Limit, Name, Bomb, Conflict, Unsupported, NotISO} {
		if k.Code() == "" || seen[k.Code()] {
			t.Errorf("code of %q: %q", k, k.Code())
		}
		seen[k.Code()] = true
	}
}
