package extent

import (
	"bytes"
	"testing"
)

// TestComposeFlat: a source made of sources that are composed reads as they do, and is
// made of what they are made of.
func TestComposeFlat(t *testing.T) {
	src := &memory{"m", []byte("0123456789")}
	inner, err := New([]Extent{CopyOf(0, src, 4, 4), BytesOf(4, []byte("ab")), ZeroOf(6, 2)})
	if err != nil {
		t.Fatal(err)
	}
	a := Compose("a", inner)
	outer, err := New([]Extent{CopyOf(0, a, 1, 6), BytesOf(6, []byte("x")), CopyOf(7, a, 0, 8)})
	if err != nil {
		t.Fatal(err)
	}
	b := Compose("b", outer)
	got := make([]byte, b.Size())
	if _, err := b.ReadAt(got, 0); err != nil || !bytes.Equal(got, []byte("567ab\x00x4567ab\x00\x00")) {
		t.Errorf("%q, %v", got, err)
	}
	for _, e := range b.Extents() {
		if e.Kind == Copy && e.Src != Source(src) {
			t.Errorf("%v is not from the first source", e)
		}
	}
}
