package iso9660

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/isotest/hostile"
)

// read is what reading all of an image gives beside its error.
type read struct {
	warn  string // part of a warning
	shows string // part of what is listed
	not   string // what must not be listed
}

// reads are the rows of the catalogue that are read although they are odd.
var reads = map[string]read{
	"T4 once":    {warn: "listed twice", shows: `primary "/e/b"`},
	"T11":        {warn: "not a multiple", shows: `primary "/x/b"`},
	"T15":        {warn: `"." and ".."`},
	"T16":        {warn: "point elsewhere"},
	"R1 behind":  {shows: "a.txt"},
	"R7":         {shows: "[{80 5}]"},
	"R8":         {warn: "extent: contradiction", shows: "[{40 5}]"},
	"R9":         {warn: "data length: contradiction", shows: "[{40 5}]"},
	"R14 gap":    {shows: `"/X" 100444 2053 "" `},
	"R15":        {shows: `"/Y" 100444 5 `},
	"R16":        {shows: "\x01CD00"},
	"R18":        {shows: "hello"},
	"S7":         {warn: "CE, length", shows: `"/x"`},
	"S8":         {warn: "system use entry", shows: `"/x"`},
	"S9":         {warn: "crosses its block", shows: `"/x"`},
	"S10":        {warn: "length: malformed: 0", shows: `"/x"`},
	"S12":        {warn: "64 bytes, 6 are left", shows: `"/x"`},
	"S13":        {warn: "SP", shows: `primary "/A.TXT"`},
	"S14":        {warn: "strings pass the entry", shows: `"/x"`},
	"S15":        {warn: "NM, length", shows: `"/X"`},
	"S16":        {warn: "PX, length", shows: `"/x" 100000`},
	"S17":        {warn: "TF, length", shows: `"/x"`},
	"S18 late":   {shows: `"/x" 100644 0 "" 2156-01-01 00:00:00 +0000 UTC`},
	"S20":        {warn: "for a file", shows: `"/x" 100755`},
	"S20 dir":    {warn: "mode: contradiction", shows: `"/dir" 40755`},
	"S21":        {warn: "SL, component", shows: `"/x" 120777 0 "to"`},
	"S22":        {warn: "nothing follows", shows: `"/x" 120777 0 "to"`},
	"S24":        {warn: "mode: contradiction", shows: `"/dir" 40777`},
	"S29":        {shows: `primary "/a.txt"`},
	"S30":        {shows: `"/x"`},
	"S33":        {shows: `"/x"`},
	"N5":         {warn: "NM, name", shows: `primary "/X"`},
	"N10":        {shows: `..\\..\\x`},
	"N11":        {shows: `"/a\n\x1b[31m"`},
	"N12":        {shows: `"/a\xff"`},
	"J4":         {shows: "Joliet \"/\uFFFD\""},
	"J8":         {shows: `Joliet "/x"`},
	"V1":         {warn: "no terminator"},
	"V2 same":    {shows: `primary "/a.txt"`, not: "Joliet"},
	"V2":         {warn: "a second one", shows: `primary "/a.txt"`},
	"V5 0":       {shows: "[{0 0 VOLUME true}]"},
	"V5 max":     {shows: "[{0 4294967295 VOLUME true}]"},
	"V5 differs": {warn: "space size: contradiction"},
	"V9 length":  {shows: `"/a.txt"`},
}

// TestHostile reads every row and its twin.
func TestHostile(t *testing.T) {
	used := 0
	for _, r := range hostile.Rows {
		if r.Big && testing.Short() {
			continue
		}
		t.Run(r.ID, func(t *testing.T) {
			in, size := r.ReaderAt(r.Image())
			var got, twin result
			quickly(10*time.Second, quoted(r.ID), func() { got = survey(in, size) })
			if err := verdict(r, got); err != nil {
				t.Error(err)
			}
			m := r.Twin()
			if twin = survey(bytes.NewReader(m), int64(len(m))); twin.err != nil || len(twin.warnings) > 0 {
				t.Errorf("the twin: %v, %q", twin.err, twin.warnings)
			}
		})
		if _, ok := reads[r.ID]; ok {
			used++
		}
	}
	if used != len(reads) {
		t.Errorf("%d of %d outcomes belong to a row", used, len(reads))
	}
}

// verdict compares the outcome with the one that is wanted.
func verdict(r hostile.Row, got result) error {
	warnings := strings.Join(got.warnings, "\n")
	want := reads[r.ID]
	var kind Kind
	if errors.As(got.err, &kind); kind.Code() != string(r.Kind) {
		switch r.Stage {
		case hostile.Open, hostile.Content, hostile.Unpack, hostile.Joliet:
			return fmt.Errorf("error %w, want %s", got.err, r.Kind)
		}
	}
	var format *FormatError
	switch {
	case (r.Stage == hostile.Nobody || r.Stage == hostile.Noted) && got.err != nil:
		return fmt.Errorf("error %w", got.err)
	case got.err != nil && r.Stage != hostile.Unpack && !errors.As(got.err, &format):
		return fmt.Errorf("error %w does not tell the place", got.err)
	case !strings.Contains(warnings, want.warn):
		return fmt.Errorf("warnings %q, want %q", warnings, want.warn)
	case !strings.Contains(got.list, want.shows):
		return fmt.Errorf("%q is not shown in\n%s", want.shows, got.list)
	case want.not != "" && strings.Contains(got.list, want.not):
		return fmt.Errorf("%q is shown in\n%s", want.not, got.list)
	}
	return nil
}

// T6: directories that are made up as they are read, without end.
type endless struct{ image }

func (r endless) ReadAt(p []byte, off int64) (int, error) {
	if off < int64(len(r.image)) {
		return bytes.NewReader(r.image).ReadAt(p, off)
	}
	m := make(image, BlockSize)
	at := uint32(off / BlockSize)
	m.Put(0, 0, rec("\x00", at, BlockSize, 2), rec("\x01", at-1, BlockSize, 2), sub("D", at+1))
	return copy(p, m), nil
}

func TestDeeperThanAllowed(t *testing.T) {
	m := newImage()
	m.Root(sub("D", allocate))
	got := survey(endless{m}, 60_000*BlockSize)
	if !errors.Is(got.err, ErrLimit) {
		t.Errorf("error %v, want %v", got.err, ErrLimit)
	}
}

// Memory and time are bounded by the counters, not by what the image claims.
func TestLimits(t *testing.T) {
	t.Run("directory", func(t *testing.T) {
		m := newImage()
		m.Root(rec("X", allocate, 64<<20+BlockSize, 2, nm("x")))
		if got := survey(zeroBehind{m}, 1<<40); !errors.Is(got.err, ErrLimit) {
			t.Errorf("error %v", got.err)
		}
	})
	t.Run("all directories", func(t *testing.T) {
		m := newImage()
		var recs [][]byte
		for i := range 5 {
			recs = append(recs, rec(fmt.Sprint("X", i), uint32(allocate+i<<15), 64<<20, 2))
		}
		m.Root(recs...)
		if got := survey(endlessOnce{zeroBehind{m}}, 1<<40); !errors.Is(got.err, ErrLimit) {
			t.Errorf("error %v", got.err)
		}
	})
	t.Run("records", func(t *testing.T) {
		if testing.Short() {
			t.Skip("reads a million records")
		}
		m := newImage()
		m.PlainRoot(rec("X", allocate, 32<<20, 2), rec("Y", allocate+1<<14, 32<<20, 2))
		if got := survey(full{m}, 1<<40); !errors.Is(got.err, ErrLimit) {
			t.Errorf("error %v", got.err)
		}
	})
}

// zeroBehind is an image that zeros follow.
type zeroBehind struct{ image }

func (r zeroBehind) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(r.image)) {
		copy(p, r.image[off:])
	}
	return len(p), nil
}

// endlessOnce has an empty directory wherever somebody reads behind the image.
type endlessOnce struct{ zeroBehind }

func (r endlessOnce) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.zeroBehind.ReadAt(p, off)
	if off >= int64(len(r.image)) {
		copy(p, rec("\x00", uint32(off/BlockSize), 64<<20, 2))
	}
	return n, err
}

// full has directories full of records behind the image.
type full struct{ image }

func (r full) ReadAt(p []byte, off int64) (int, error) {
	if off < int64(len(r.image)) {
		return zeroBehind(r).ReadAt(p, off)
	}
	one := rec("A", 0, 0, 0)
	for b := p; len(b) >= BlockSize; b = b[BlockSize:] {
		clear(b[:BlockSize])
		for i := 0; i+len(one) <= BlockSize; i += len(one) {
			copy(b[i:], one)
		}
	}
	copy(p, rec("\x00", uint32(off/BlockSize), 0, 2))
	return len(p), nil
}

// A Joliet tree that cannot be read does not keep FS from showing Rock Ridge.
func TestBrokenJoliet(t *testing.T) {
	m := newImage()
	binary.LittleEndian.PutUint32(m[atSVD*BlockSize+OffRootRecord+2:], 0x7fffffff)
	img, err := open(m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	fsys, err := img.FS()
	if err != nil {
		t.Fatal(err)
	}
	if f, err := fsys.Open("a.txt"); err != nil {
		t.Error(err)
	} else if b, err := io.ReadAll(f); string(b) != "hello" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := img.FSOf(Joliet); !errors.Is(err, ErrRange) {
		t.Errorf("Joliet: %v", err)
	}
	if _, err := img.FSOf(Enhanced); err == nil {
		t.Error("there is no enhanced hierarchy")
	}
}

// TestRaisedLimits reads what the defaults refuse.
func TestRaisedLimits(t *testing.T) {
	m := hostile.By("T5").Image()
	got, err := open(m, Options{Budget: fault.NewBudget(1<<20, fault.Limits{Depth: 2001})})
	if err != nil {
		t.Fatal(err)
	}
	if root, err := got.Tree(Primary); err != nil {
		t.Error(err)
	} else if n := len(root.Children()); n == 0 {
		t.Error("the tree is empty")
	}
	if got, err = open(m, Options{Budget: fault.NewBudget(1<<20, fault.Limits{Depth: 2000})}); err != nil {
		t.Fatal(err)
	}
	if _, err := got.Tree(Primary); !errors.Is(err, ErrLimit) {
		t.Errorf("one level less: %v", err)
	}
}
