package extent

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// memory is a source whose byte i is a function of its name and i.
type memory struct {
	name string
	data []byte
}

func source(name string, size int) *memory {
	m := &memory{name, make([]byte, size)}
	for i := range m.data {
		m.data[i] = name[0] ^ byte(i*7+i>>8)
	}
	return m
}

func (m *memory) Name() string { return m.name }
func (m *memory) Size() int64  { return int64(len(m.data)) }
func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(m.data).ReadAt(p, off)
}

var sources = []*memory{source("a", 500), source("b", 300)}

// drawExtent draws an extent of n bytes at off.
func drawExtent(t *rapid.T, off, n int64) Extent {
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 0:
		return ZeroOf(off, n)
	case 1:
		return BytesOf(off, rapid.SliceOfN(rapid.Byte(), int(n), int(n)).Draw(t, "data"))
	}
	src := rapid.SampledFrom(sources).Draw(t, "source")
	return CopyOf(off, src, rapid.Int64Range(0, src.Size()-n).Draw(t, "srcOff"), n)
}

// drawMap draws a map with its content; half of the copies continue the one before.
func drawMap(t *rapid.T) (*Map, []byte) {
	var list []Extent
	var want []byte
	for i := rapid.IntRange(0, 12).Draw(t, "extents"); i > 0; i-- {
		n := rapid.Int64Range(1, 40).Draw(t, "len")
		e := drawExtent(t, int64(len(want)), n)
		if k := len(list); k > 0 && list[k-1].Kind == Copy && rapid.Bool().Draw(t, "continue") {
			if l := list[k-1]; l.SrcOff+l.Len+n <= l.Src.Size() {
				e = CopyOf(e.Off, l.Src, l.SrcOff+l.Len, n)
			}
		}
		list = append(list, e)
		want = append(want, content(e)...)
	}
	m, err := New(rapid.Permutation(list).Draw(t, "order"))
	if err != nil {
		t.Fatal(err)
	}
	return m, want
}

// content is what e stands for, independent of the map's own reading.
func content(e Extent) []byte {
	switch e.Kind {
	case Bytes:
		return e.Data
	case Copy:
		return e.Src.(*memory).data[e.SrcOff : e.SrcOff+e.Len]
	}
	return make([]byte, e.Len)
}

// checkLaw fails unless m is sorted, without gap, overlap or joinable
// neighbours, as long as want, and reads as want, whole and at a drawn range.
func checkLaw(t *rapid.T, m *Map, want []byte) {
	var end int64
	for i, e := range m.Extents() {
		if e.Off != end || e.Len <= 0 {
			t.Fatalf("extent %d is %v, the one before ends at %d", i, e, end)
		}
		if err := e.check(); err != nil {
			t.Fatal(err)
		}
		if i > 0 && joins(m.Extents()[i-1], e) {
			t.Fatalf("extents %d and %d are one range", i-1, i)
		}
		end = e.End()
	}
	if m.Size() != end || end != int64(len(want)) {
		t.Fatalf("size %d, extents end at %d, want %d", m.Size(), end, len(want))
	}
	off := rapid.Int64Range(0, end+5).Draw(t, "off")
	n := rapid.Int64Range(0, end+10).Draw(t, "n")
	for _, r := range [][2]int64{{0, end}, {off, n}} {
		off, n := r[0], r[1]
		p := bytes.Repeat([]byte{0xaa}, int(n))
		got, err := m.ReadAt(p, off)
		part := want[min(off, end):min(off+n, end)]
		if got != len(part) || !bytes.Equal(p[:got], part) {
			t.Fatalf("ReadAt(%d, %d): %d bytes, differ from the extents'", off, n, got)
		}
		if short := int64(got) < n; short != (err == io.EOF) || !short && err != nil {
			t.Fatalf("ReadAt(%d, %d) of %d: %d bytes, error %v", off, n, end, got, err)
		}
	}
}

func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, want := drawMap(t)
		checkLaw(t, m, want)
		before := text(t, m)

		size := rapid.IntRange(0, len(want)+50).Draw(t, "size")
		checkLaw(t, m.Resize(int64(size)), append(want[:min(size, len(want)):min(size, len(want))], make([]byte, max(0, size-len(want)))...))

		var over []Extent
		changed := bytes.Clone(want)
		for at := int64(0); ; {
			at += rapid.Int64Range(0, 60).Draw(t, "gap")
			n := rapid.Int64Range(1, 30).Draw(t, "over")
			if at+n > m.Size() {
				break
			}
			e := drawExtent(t, at, n)
			over = append(over, e)
			copy(changed[at:], content(e))
			at += n
		}
		o, err := m.Overlay(rapid.Permutation(over).Draw(t, "order"))
		if err != nil {
			t.Fatal(err)
		}
		checkLaw(t, o, changed)
		if text(t, m) != before {
			t.Fatal("the map itself changed")
		}
	})
}

// Overlaying a map with its own parts gives the map again.
func TestOverlayItself(t *testing.T) {
	src := source("a", 100)
	m := Whole(src)
	o, err := m.Overlay([]Extent{CopyOf(10, src, 10, 20), CopyOf(30, src, 30, 5)})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("0 +100 copy a@0\n", text(t, o)); diff != "" {
		t.Error(diff)
	}
}

func text(t interface{ Fatal(...any) }, m *Map) string {
	var b strings.Builder
	if err := m.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestText(t *testing.T) {
	a, b := source("a", 100), source("b", 100)
	m, err := New([]Extent{
		CopyOf(64, b, 24, 16),
		ZeroOf(0, 10), ZeroOf(10, 6), // one
		CopyOf(16, a, 0, 8), CopyOf(24, a, 8, 8), // one
		CopyOf(32, a, 17, 7),        // leaves out a byte
		CopyOf(39, b, 24, 1),        // another source
		BytesOf(40, []byte("0123")), // bytes never join: each is a thing of its own
		BytesOf(44, []byte("01230123012301230123")),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `0 +16 zero
16 +16 copy a@0
32 +7 copy a@17
39 +1 copy b@24
40 +4 bytes 1be2e452b46d7a0d
44 +20 bytes 5d4b40acfbd77639
64 +16 copy b@24
`
	if diff := cmp.Diff(want, text(t, m)); diff != "" {
		t.Error(diff)
	}
	if got := m.Written(b); got != 80 { // nothing of b is at its own offset
		t.Errorf("Written = %d, want 80", got)
	}
	if got := Whole(a).Written(a); got != 0 {
		t.Errorf("Written of the source itself = %d", got)
	}
}

func TestRefused(t *testing.T) {
	src := source("a", 100)
	base, err := New([]Extent{CopyOf(0, src, 0, 100)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		list []Extent
		over bool // Overlay refuses it as well
	}{
		{"gap", []Extent{ZeroOf(0, 4), ZeroOf(5, 4)}, false},
		{"does not begin at 0", []Extent{ZeroOf(1, 4)}, false},
		{"overlap", []Extent{ZeroOf(0, 4), ZeroOf(3, 4)}, true},
		{"same offset", []Extent{ZeroOf(0, 4), ZeroOf(0, 4)}, true},
		{"empty", []Extent{ZeroOf(0, 0)}, true},
		{"negative length", []Extent{ZeroOf(0, -1)}, true},
		{"negative offset", []Extent{ZeroOf(-4, 4)}, true},
		{"overflow", []Extent{ZeroOf(1, math.MaxInt64)}, true},
		{"too little data", []Extent{{Off: 0, Len: 4, Kind: Bytes, Data: []byte("abc")}}, true},
		{"no source", []Extent{{Off: 0, Len: 4, Kind: Copy}}, true},
		{"before the source", []Extent{CopyOf(0, src, -1, 4)}, true},
		{"behind the source", []Extent{CopyOf(0, src, 97, 4)}, true},
		{"far behind the source", []Extent{CopyOf(0, src, math.MaxInt64, 4)}, true},
	} {
		if m, err := New(c.list); err == nil {
			t.Errorf("%s: New gave %v", c.name, m.Extents())
		}
		if m, err := base.Overlay(c.list); (err != nil) != c.over {
			t.Errorf("%s: Overlay gave %v, %v", c.name, m, err)
		}
	}
	if _, err := base.Overlay([]Extent{ZeroOf(90, 11)}); err == nil {
		t.Error("an overlay past the end was taken")
	}
}

// A source that ends early or fails must not pass for a short image.
func TestReadErrors(t *testing.T) {
	src := source("a", 100)
	m := Whole(src)
	src.data = src.data[:60]
	if n, err := m.ReadAt(make([]byte, 80), 0); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("short source: %d, %v", n, err)
	}
	if _, err := m.ReadAt(make([]byte, 1), -1); err == nil || err == io.EOF {
		t.Errorf("negative offset: %v", err)
	}
	huge, err := New([]Extent{ZeroOf(0, math.MaxInt64)})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := huge.ReadAt(make([]byte, 10), math.MaxInt64-4); n != 4 || err != io.EOF {
		t.Errorf("end of the largest map: %d, %v", n, err)
	}
	if n, err := Whole(source("a", 0)).ReadAt(make([]byte, 1), 0); n != 0 || err != io.EOF {
		t.Errorf("empty map: %d, %v", n, err)
	}
}

// TestSlot: what is not given yet is not read.
func TestSlot(t *testing.T) {
	s := NewSlot("answer", 10)
	if n, err := Whole(s).ReadAt(make([]byte, 4), 0); n != 0 || !errors.Is(err, ErrUnsealed) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if s.Size() != 10 || s.Name() != "answer" {
		t.Errorf("%s, %d bytes", s.Name(), s.Size())
	}
}
