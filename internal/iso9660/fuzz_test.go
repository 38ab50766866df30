package iso9660

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/isolayer/isolayer/internal/isotest/hostile"
)

// surveyTwice reads an image twice and fails unless it learns the same, in
// less than a second, of bounded length, and only names that are names.
func surveyTwice(t *testing.T, m image) result {
	t.Helper()
	var first, second result
	for _, r := range []*result{&first, &second} {
		quickly(time.Second, quoted(m), func() { *r = survey(bytes.NewReader(m), int64(len(m))) })
	}
	if a, b := first.text(), second.text(); a != b {
		t.Fatalf("not deterministic: %s", cmp.Diff(a, b))
	}
	if len(first.warnings) > maxWarnings+1 {
		t.Fatalf("%d warnings", len(first.warnings))
	}
	return first
}

// quoted is bytes that are quoted only if they are shown.
type quoted []byte

func (q quoted) String() string { return fmt.Sprintf("%q", bytes.Trim(q, "\x00")) }

func (r result) text() string { return fmt.Sprint(r.list, r.warnings, fmt.Sprint(r.err)) }

// FuzzDescriptors patches the volume descriptors: input is a list of offset and byte.
func FuzzDescriptors(f *testing.F) {
	f.Add([]byte{})
	for _, c := range hostile.Rows {
		if c.Big {
			continue
		}
		if !strings.HasPrefix(c.ID, "V") {
			continue
		}
		base := newImage()
		m := c.Image()
		if len(m) != len(base) {
			continue
		}
		var patch []byte
		for i := atPVD * BlockSize; i < (atEnd+1)*BlockSize; i++ {
			if m[i] != base[i] && len(patch) < 3000 {
				patch = append(binary.BigEndian.AppendUint16(patch, uint16(i-atPVD*BlockSize)), m[i])
			}
		}
		f.Add(patch)
	}
	f.Fuzz(func(t *testing.T, patch []byte) {
		m := newImage()
		for ; len(patch) >= 3; patch = patch[3:] {
			at := int(binary.BigEndian.Uint16(patch)) % (3 * BlockSize)
			m[atPVD*BlockSize+at] = patch[2]
		}
		surveyTwice(t, m)
	})
}

// FuzzDirectory takes the blocks of two directories and one of content.
func FuzzDirectory(f *testing.F) {
	for _, c := range hostile.Rows {
		if c.Big {
			continue
		}
		if !strings.ContainsAny(c.ID[:1], "TRNZS") {
			continue
		}
		m := c.Image()
		if len(m) == allocate*BlockSize {
			block := func(lba int) []byte { return bytes.TrimRight(m[lba*BlockSize:(lba+1)*BlockSize], "\x00") }
			f.Add(block(atRoot), block(atDir), block(atChain))
		}
	}
	f.Fuzz(func(t *testing.T, root, dir, data []byte) {
		m := newImage()
		m.Clear(atRoot)
		m.Clear(atDir)
		m.Put(atRoot, 0, root[:min(len(root), BlockSize)])
		m.Put(atDir, 0, dir[:min(len(dir), BlockSize)])
		m.Put(atChain, 0, data[:min(len(data), BlockSize)])
		surveyTwice(t, m)
	})
}

// FuzzJoliet takes the block of the Joliet root directory.
func FuzzJoliet(f *testing.F) {
	for _, c := range hostile.Rows {
		if c.Big {
			continue
		}
		if c.ID[0] == 'J' {
			m := c.Image()
			f.Add(bytes.TrimRight(m[atJRoot*BlockSize:(atJRoot+1)*BlockSize], "\x00"))
		}
	}
	f.Fuzz(func(t *testing.T, root []byte) {
		m := newImage()
		m.Clear(atJRoot)
		m.Put(atJRoot, 0, root[:min(len(root), BlockSize)])
		surveyTwice(t, m)
	})
}

// FuzzSystemUse takes the system use field of the root's own record, of a file
// and a block of continuation areas, of which the first begins the chain.
func FuzzSystemUse(f *testing.F) {
	for _, c := range hostile.Rows {
		if c.Big {
			continue
		}
		if !strings.ContainsAny(c.ID[:1], "SNZ") {
			continue
		}
		m := c.Image()
		if len(m) != allocate*BlockSize {
			continue
		}
		off := atRoot * BlockSize
		for m[off] != 0 && off < (atRoot+1)*BlockSize-256 {
			r, err := checkRecord(m[off:(atRoot+1)*BlockSize], 0)
			if err != nil {
				break
			}
			f.Add([]byte(sp(0)), []byte(r.SystemUse()), bytes.TrimRight(m[atCE*BlockSize:(atCE+1)*BlockSize], "\x00"))
			off += int(m[off])
		}
	}
	f.Add(sp(0), join(nm("x"), px(ModeChar), entry("PN", pair32(0), pair32(0x12345))), []byte{})
	f.Add(sp(0), join(nm("x"), px(ModeSymlink), entry("SL", []byte{0}, []byte{8, 0}, []byte{2, 0}, []byte{4, 0}, []byte{1, 1, 'x'}, []byte{0, 1, 'y'})), []byte{})
	f.Add(sp(0), join(nm("x"), entry("TF", []byte{0x82}, []byte("2026112309054577\x04"))), []byte{})
	f.Fuzz(func(t *testing.T, dot, su, area []byte) {
		m := newImage()
		room := maxRecord - recordFixed - 1
		dot, su, area = dot[:min(len(dot), room-ceLen)], su[:min(len(su), room-len("X.;1"))], area[:min(len(area), BlockSize)]
		if len(area) > 0 {
			dot = join(dot, ce(atCE, 0, uint32(len(area))))
		}
		m.Put(atCE, 0, area)
		m.Dir(atRoot, atRoot, dot, nil, aTxt(), file("X.;1", atText, 60, su), inDir())
		got := surveyTwice(t, m)
		if img, err := open(m, Options{}); err == nil && got.err == nil {
			repack(t, m, img)
		}
	})
}

// repack packs the entries of every file anew, reads them and compares.
func repack(t *testing.T, m image, img *Image) {
	root, err := img.Tree(Primary)
	if err != nil {
		t.Fatal(err)
	}
	rock := RockOf(root)
	for _, e := range root.Children() {
		d := e.Raws()[0].Draft(rock.Skip)
		before := d.Entries()
		d.Pack(before)
		for _, a := range d.Areas {
			if len(a) > BlockSize {
				t.Fatalf("an area of %d bytes", len(a))
			}
		}
		if len(d.Record) > maxRecord || int(d.Record[0]) != len(d.Record) {
			t.Fatalf("a record of %d bytes says %d", len(d.Record), d.Record[0])
		}
		names := func(list []SystemUseEntry) (s []byte) { // a name may be cut in two
			for _, e := range list {
				if e.Sig() != "NM" {
					s = append(s, e...)
				} else if len(e) > 5 {
					s = append(s, e[5:]...)
				}
			}
			return s
		}
		if a, b := names(before), names(d.Entries()); !bytes.Equal(a, b) {
			t.Fatalf("%q became %q", a, b)
		}
	}
}

// FuzzNames forms identifiers as an image with the given names has them.
func FuzzNames(f *testing.F) {
	for _, known := range [][]string{level1, level2, untouched, {strings.Repeat("x", 80)}, {"a;1"}} {
		for _, name := range []string{"new.txt", "a." + strings.Repeat("e", 60), ".x", "größe", "\xff\x00/", strings.Repeat("ä", 100)} {
			f.Add(strings.Join(known, "\n"), name, false)
			f.Add(strings.Join(known, "\n"), name, true)
		}
	}
	f.Fuzz(func(t *testing.T, known, name string, dir bool) {
		if len(known) > 1000 || len(name) > 255 || name == "" {
			return
		}
		var names []string
		for s := range strings.SplitSeq(known, "\n") {
			if s = s[:min(len(s), 100)]; s != "" && s != "/" {
				names = append(names, s)
			}
		}
		for _, h := range Hierarchies {
			var last []byte
			for range 2 {
				namer := learned(h, names...).Namer()
				var all []byte
				for range 15 {
					var id []byte
					var err error
					quickly(time.Second, quoted(name), func() { id, err = namer.ID(name, dir) })
					if err != nil {
						t.Fatal(err)
					}
					if len(id) == 0 || len(id) > 222 || h == Joliet && len(id)%2 != 0 {
						t.Fatalf("%v: %q is %q", h, name, id)
					}
					if h == Primary && bytes.ContainsAny(id, "\x00/\x01") && !strings.ContainsAny(known, "\x00/\x01") {
						t.Fatalf("%q is %q", name, id)
					}
					all = append(append(all, id...), '|')
				}
				if last != nil && !bytes.Equal(last, all) {
					t.Fatal("not deterministic")
				}
				last = all
			}
		}
		if s := shown(name); !utf8.ValidString(s) {
			t.Fatalf("%q is shown as %q", name, s)
		}
	})
}
