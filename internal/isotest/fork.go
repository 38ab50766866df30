package isotest

import (
	"bytes"
	"testing"
)

// Associate makes one file of an image the associated file of another (ECMA-119 9.1.6): it
// takes on its identifier, and the flag that says so. Both are given by their identifiers,
// as long as each other, such as A.;1; where they have the same directory, the fork must be
// in front of its file (9.3). Every hierarchy with such identifiers changes.
func Associate(tb testing.TB, image []byte, fork, file string) {
	tb.Helper()
	found := false
	record := append([]byte{byte(len(fork))}, fork...)
	for from := 0; ; {
		i := bytes.Index(image[from:], record)
		if i < 0 {
			break
		}
		at := from + i
		from = at + 1
		if at >= 32 && int(image[at-32]) >= 33+len(fork) { // the length of the record
			copy(image[at+1:], file)
			image[at-32+25] |= 4
			found = true
		}
	}
	if !found || len(fork) != len(file) {
		tb.Fatalf("no record has the identifier %q, or it is not as long as %q", fork, file)
	}
}
