package mediacheck

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/isotest"
)

// image is a volume of n blocks that isomd5sum takes for one.
func image(n int) []byte {
	b := make([]byte, n*blockSize)
	for x := range b {
		b[x] = byte(31*x + 17*(x>>11))
	}
	d := b[16*blockSize : 17*blockSize]
	clear(d)
	copy(d, "\x01CD001\x01")
	binary.LittleEndian.PutUint32(d[80:], uint32(n))
	binary.BigEndian.PutUint32(d[84:], uint32(n))
	copy(d[883:], strings.Repeat(" ", Size))
	return b
}

// implant computes a tag and puts it in.
func implant(t *testing.T, b []byte, like *Tag) *Tag {
	t.Helper()
	tag, err := Compute(t.Context(), bytes.NewReader(b), like, Blocks(b[16*blockSize:]), nil)
	if err != nil {
		t.Fatal(err)
	}
	field, err := tag.Field()
	if err != nil {
		t.Fatal(err)
	}
	copy(b[Offset:], field)
	return tag
}

// TestVectors compares with sums that implantisomd5 1.2.3 gave.
func TestVectors(t *testing.T) {
	for n, want := range map[int][2]string{
		2000: {"e128a1ae530fe1ed0169ed4629502ffb", "1e2192613ecaad617d46cd978cf6dfd2f83597246b3725c36a662e363cce"},
		400:  {"0490c299c98f5087d7cb68221f1fa097", "a28587f32c1294fe9418dcdba63d1397f32992d98ef8ee9387815aa64ffe"},
	} {
		tag := implant(t, image(n), New())
		if got := [2]string{tag.Sum, tag.FragmentSums}; got != want {
			t.Errorf("%d blocks: %q, want %q", n, got, want)
		}
	}
}

// TestBothDirections lets implantisomd5 write the same field, and checkisomd5 check
// ours, for volumes of many lengths.
func TestBothDirections(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []int{357, 358, 375, 400, 421, 1000, 1007, 2000, 2003} {
		b := image(n)
		theirs := filepath.Join(dir, fmt.Sprintf("%d.theirs", n))
		if err := os.WriteFile(theirs, b, 0o600); err != nil {
			t.Fatal(err)
		}
		like := New()
		if like.Supported = n%2 == 0; like.Supported {
			isotest.Run(t, "implantisomd5", "--supported-iso", theirs)
		} else {
			isotest.Run(t, "implantisomd5", theirs)
		}
		implant(t, b, like)
		want, err := os.ReadFile(theirs)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b, want) {
			t.Errorf("%d blocks:\nours   %q\ntheirs %q", n, b[Offset:Offset+Size], want[Offset:Offset+Size])
		}
		tag, err := Parse(want[Offset : Offset+Size])
		if err != nil {
			t.Fatal(err)
		}
		if out, err := Check(t.Context(), bytes.NewReader(want), int64(len(want)), tag, int64(n), nil); err != nil || !out.OK {
			t.Errorf("%d blocks: %+v, %v", n, out, err)
		}
		ours := filepath.Join(dir, "ours")
		if err := os.WriteFile(ours, b, 0o600); err != nil {
			t.Fatal(err)
		}
		isotest.Run(t, "checkisomd5", ours)
	}
}

// TestShort refuses what checkisomd5 fails on.
func TestShort(t *testing.T) {
	for _, n := range []int{17, 300, 350} {
		if _, err := NewHasher(New(), int64(n)); !errors.Is(err, ErrShort) {
			t.Errorf("%d blocks: %v", n, err)
		}
	}
}

// TestFlippedByte flips bytes everywhere: both programs find those that are covered, and
// the range we name holds them.
func TestFlippedByte(t *testing.T) {
	b := image(1000)
	tag := implant(t, b, New())
	covered, err := tag.Covered(1000)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "image")
	offsets := []int64{0, 1, Offset - 1, Offset + Size, covered - 1, covered, int64(len(b)) - 1}
	for i := range 60 {
		offsets = append(offsets, rand.New(rand.NewPCG(uint64(i), 1)).Int64N(int64(len(b))))
	}
	for _, off := range offsets {
		if off >= Offset && off < Offset+Size {
			continue
		}
		b[off] ^= 0x20
		out, err := Check(t.Context(), bytes.NewReader(b), int64(len(b)), tag, 1000, nil)
		if err != nil {
			t.Fatal(err)
		}
		if out.OK == (off < covered) || !out.OK && (off < out.From || off >= out.To) {
			t.Errorf("byte %d of %d: %+v", off, covered, out)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if theirs := exec.CommandContext(t.Context(), isotest.Tool(t, "checkisomd5"), path).Run() == nil; theirs != out.OK {
			t.Errorf("byte %d: sound for checkisomd5 %v, for us %v", off, theirs, out.OK)
		}
		b[off] ^= 0x20
	}
}

// TestPieces writes the same bytes in pieces of any length.
func TestPieces(t *testing.T) {
	b := image(700)
	part := &Tag{Kind: Checkmedia, Digest: "sha256", Pad: 7, Signature: 400, Partition: &Partition{Start: 100, Count: 2633}}
	for _, like := range []*Tag{New(), part, {Kind: Checkmedia, Digest: "sha1", Partition: &Partition{Start: 10, Count: 2785}}} {
		want, err := Compute(t.Context(), bytes.NewReader(b), like, 700, nil)
		if err != nil {
			t.Fatal(err)
		}
		for seed := range uint64(20) {
			r := rand.New(rand.NewPCG(seed, 2))
			h, err := NewHasher(like, 700)
			if err != nil {
				t.Fatal(err)
			}
			for rest := b; len(rest) > 0; {
				n := min(len(rest), 1+r.IntN([]int{3000, 70000, 300000}[seed%3]))
				if got, err := h.Write(rest[:n]); got != n || err != nil {
					t.Fatal(got, err)
				}
				rest = rest[n:]
			}
			got, err := h.Tag()
			if err != nil {
				t.Fatal(err)
			}
			if got.Sum != want.Sum || got.FragmentSums != want.FragmentSums || want.Partition != nil && *got.Partition != *want.Partition {
				t.Fatalf("seed %d: %+v, want %+v", seed, got, want)
			}
		}
	}
}

// TestCheckmedia computes SUSE's sums over a copy in which everything that does not
// count is blank.
func TestCheckmedia(t *testing.T) {
	b := image(700)
	field := "check=1;pad=150;sha256sum=" + strings.Repeat("0", 64) + ";partition=64,300," + strings.Repeat("0", 64) + ";signature=500;extra"
	copy(b[Offset:], field+strings.Repeat(" ", Size-len(field)))
	like, err := Parse(b[Offset : Offset+Size])
	if err != nil {
		t.Fatal(err)
	}
	got := implant(t, b, like)

	norm := bytes.Clone(b)
	clear(norm[:512])
	copy(norm[Offset:Offset+Size], strings.Repeat(" ", Size))
	clear(norm[500*512+64 : 500*512+2048])
	clear(norm[len(norm)-150*blockSize:])
	hexSum := func(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }
	if want := hexSum(norm); got.Sum != want {
		t.Errorf("sum %s, want %s", got.Sum, want)
	}
	if want := hexSum(norm[64*512 : 364*512]); got.Partition.Sum != want {
		t.Errorf("partition %s, want %s", got.Partition.Sum, want)
	}
	want := fmt.Sprintf("check=1;pad=150;sha256sum=%s;partition=64,300,%s;signature=500;extra", got.Sum, got.Partition.Sum)
	if text := strings.TrimRight(string(b[Offset:Offset+Size]), " "); text != want {
		t.Errorf("field %q, want %q", text, want)
	}
	again, err := Parse(b[Offset : Offset+Size])
	if err != nil {
		t.Fatal(err)
	}
	if out, err := Check(t.Context(), bytes.NewReader(b), int64(len(b)), again, 700, nil); err != nil || !out.OK {
		t.Errorf("%+v, %v", out, err)
	}
	b[64*512+5]++
	if out, err := Check(t.Context(), bytes.NewReader(b), int64(len(b)), again, 700, nil); err != nil || out.OK {
		t.Errorf("a damaged partition: %+v, %v", out, err)
	}
}

// TestParse reads fields that are odd or wrong.
func TestParse(t *testing.T) {
	sum := strings.Repeat("ab", 16)
	for text, want := range map[string]string{
		"": "none", "SOME OTHER USE": "none", "\x00\x01\x02": "none",
		"ISO MD5SUM = " + sum + ";SKIPSECTORS = 15;RHLISOSTATUS=1": "isomd5sum",
		"SKIPSECTORS = 20;ISO MD5SUM=" + sum:                       "isomd5sum",
		"md5sum=" + sum:                                            "checkmedia",
		"ISO MD5SUM = " + sum[1:]:                                  "error",
		"ISO MD5SUM = " + sum + ";SKIPSECTORS = -1":                "error",
		"ISO MD5SUM = " + sum + ";SKIPSECTORS = x":                 "error",
		"ISO MD5SUM = zz" + sum[2:]:                                "error",
		"sha256sum=" + sum:                                         "error",
		"md5sum=" + sum + ";partition=1,2":                         "error",
		"md5sum=" + sum + ";pad=99999999999999999999":              "error",
	} {
		field := append([]byte(text), strings.Repeat(" ", Size-len(text))...)
		tag, err := Parse(field)
		got := "none"
		switch {
		case errors.Is(err, ErrMalformed):
			got = "error"
		case err != nil:
			t.Errorf("%q: %v", text, err)
		case tag != nil:
			got = string(tag.Kind)
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// TestEnds: reading that fails, ends early or is cancelled.
func TestEnds(t *testing.T) {
	b := image(2000)
	tag := implant(t, b, New())
	if _, err := Check(t.Context(), bytes.NewReader(b[:1<<20]), 1<<20, tag, 2000, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a short image: %v", err)
	}
	if _, err := Check(t.Context(), bytes.NewReader(b[:1<<20]), int64(len(b)), tag, 2000, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("an image that shrank: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Check(ctx, bytes.NewReader(b), int64(len(b)), tag, 2000, func(int64, int64) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	h, err := NewHasher(tag, 2000)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Tag(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("nothing written: %v", err)
	}
}

// FuzzParse: what is read can be written and read again.
func FuzzParse(f *testing.F) {
	sum := strings.Repeat("ab", 16)
	f.Add("ISO MD5SUM = " + sum + ";SKIPSECTORS = 15;RHLISOSTATUS=1;FRAGMENT SUMS = " + strings.Repeat("a", 60) + ";FRAGMENT COUNT = 20;" + warning)
	f.Add("check=1;pad=150;sha256sum=" + sum + sum + ";partition=1,2," + sum + ";signature=7")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > Size {
			return
		}
		tag, err := Parse(append([]byte(text), strings.Repeat(" ", Size-len(text))...))
		if err != nil || tag == nil {
			return
		}
		if h, err := NewHasher(tag, 5000); err == nil {
			_, _ = h.Write(make([]byte, 100_000))
		}
		field, err := tag.Field()
		if err != nil {
			return
		}
		again, err := Parse(field)
		if err != nil || again == nil || again.Sum != tag.Sum || again.Skip != tag.Skip && tag.Kind == ISOMD5 {
			t.Fatalf("%q read %+v, written %q, read %+v, %v", text, tag, field, again, err)
		}
	})
}
