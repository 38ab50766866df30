package iso9660

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"
)

// The blocks of the image that newImage makes.
const (
	atPVD    = 16
	atSVD    = 17
	atEnd    = 18
	atRoot   = 20
	atDir    = 21
	atFree   = 22 // 22 to 29: zero
	atCE     = 24
	atJRoot  = 30
	atJDir   = 31
	atHello  = 40 // "hello"
	atText   = 41 // "There is a lot of text here. …"
	atChain  = 50 // and behind: zero
	allocate = 128
)

// image is a hand-made image: the bytes themselves, to be patched at will.
type image []byte

func le16(v uint16) []byte { return binary.LittleEndian.AppendUint16(nil, v) }
func le32(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }

func pair16(v uint16) []byte { return binary.BigEndian.AppendUint16(le16(v), v) }
func pair32(v uint32) []byte { return binary.BigEndian.AppendUint32(le32(v), v) }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// rec is a directory record with the given system use entries.
func rec(id string, lba, size uint32, flags byte, su ...[]byte) []byte {
	r := join([]byte{0, 0}, pair32(lba), pair32(size), []byte{126, 11, 23, 9, 5, 45, 0, flags, 0, 0}, pair16(1), []byte{byte(len(id))}, []byte(id))
	if len(id)%2 == 0 {
		r = append(r, 0)
	}
	r = append(r, join(su...)...)
	if len(r)%2 == 1 {
		r = append(r, 0)
	}
	r[0] = byte(len(r))
	return r
}

func file(id string, lba, size uint32, su ...[]byte) []byte { return rec(id, lba, size, 0, su...) }
func sub(id string, lba uint32, su ...[]byte) []byte        { return rec(id, lba, BlockSize, 2, su...) }

// entry is a system use entry.
func entry(sig string, data ...[]byte) []byte {
	e := join([]byte(sig), []byte{0, 1}, join(data...))
	e[2] = byte(len(e))
	return e
}

func px(mode uint32) []byte {
	return entry("PX", pair32(mode), pair32(1), pair32(0), pair32(0))
}
func nm(name string) []byte        { return entry("NM", []byte{0}, []byte(name)) }
func sp(skip byte) []byte          { return entry("SP", []byte{0xbe, 0xef, skip}) }
func at(e string, v uint32) []byte { return entry(e, pair32(v)) } // CL, PL
func ce(block, off, n uint32) []byte {
	return entry("CE", pair32(block), pair32(off), pair32(n))
}

// sl is an SL entry of one component.
func sl(more, flags byte, text string) []byte {
	return entry("SL", []byte{more, flags, byte(len(text))}, []byte(text))
}

// put copies b to offset off of block lba.
func (m image) put(lba, off int, b ...[]byte) { copy(m[lba*BlockSize+off:], join(b...)) }

// clear zeroes a block.
func (m image) clear(lba int) { clear(m[lba*BlockSize : (lba+1)*BlockSize]) }

// dir writes a directory at block lba, one block as a rule; dot are the system
// use entries of its own record, up those of its parent's.
func (m image) dir(lba, parent uint32, dot, up []byte, recs ...[]byte) {
	m.clear(int(lba))
	off := 0
	for _, r := range append([][]byte{rec("\x00", lba, BlockSize, 2, dot), rec("\x01", parent, BlockSize, 2, up)}, recs...) {
		if left := BlockSize - off%BlockSize; len(r) > left {
			off += left
		}
		m.put(int(lba), off, r)
		off += len(r)
	}
}

// root writes the root directory with Rock Ridge, "a.txt", and recs.
func (m image) root(recs ...[]byte) {
	m.dir(atRoot, atRoot, join(sp(0), px(ModeDir|0o755)), px(ModeDir|0o755), append([][]byte{aTxt()}, recs...)...)
}

// plainRoot writes the root directory without Rock Ridge.
func (m image) plainRoot(recs ...[]byte) { m.dir(atRoot, atRoot, nil, nil, recs...) }

func aTxt(su ...[]byte) []byte {
	return file("A.TXT;1", atHello, 5, append([][]byte{px(ModeRegular | 0o644), nm("a.txt")}, su...)...)
}

// inDir is the record of the subdirectory that newImage has.
func inDir() []byte { return sub("DIR", atDir, px(ModeDir|0o700), nm("dir")) }

func ucs(s string) string { return string(encodeUCS2(s)) }

// descriptor writes a volume descriptor whose root directory is at block root.
func (m image) descriptor(lba int, kind byte, root uint32) {
	m.clear(lba)
	m.put(lba, 0, []byte{kind}, []byte("CD001\x01"))
	if kind == TypeTerminator {
		return
	}
	name := []byte("VOLUME ")
	if kind == TypeSupplementary {
		name = []byte(ucs("VOLUME "))
		m.put(lba, offEscapes, []byte("%/E"))
	}
	m.put(lba, 8, bytes.Repeat([]byte{' '}, 64))
	m.put(lba, OffVolumeID, name)
	m.put(lba, OffSpaceSize, pair32(uint32(len(m)/BlockSize)))
	m.put(lba, 120, pair16(1), pair16(1), pair16(BlockSize))
	m.put(lba, OffRootRecord, rec("\x00", root, BlockSize, 2))
	m.put(lba, offCreated, []byte("2026112309054500\x00"), []byte("2026112309054577\x04"))
	m[lba*BlockSize+881] = 1
}

// newImage makes an image with Rock Ridge and Joliet: /a.txt and /dir/b.
func newImage() image {
	m := make(image, allocate*BlockSize)
	m.descriptor(atPVD, TypePrimary, atRoot)
	m.descriptor(atSVD, TypeSupplementary, atJRoot)
	m.descriptor(atEnd, TypeTerminator, 0)
	m.root(inDir())
	m.dir(atDir, atRoot, px(ModeDir|0o700), px(ModeDir|0o755), file("B.;1", atText, 60, px(ModeRegular|0o600), nm("b")))
	m.dir(atJRoot, atJRoot, nil, nil, file(ucs("a.txt"), atHello, 5), sub(ucs("dir"), atJDir))
	m.dir(atJDir, atJRoot, nil, nil, file(ucs("b"), atText, 60))
	m.put(atHello, 0, []byte("hello"))
	m.put(atText, 0, bytes.Repeat([]byte("There is a lot of text here. "), 50))
	return m
}

func (m image) open(o Options) (*Image, error) {
	return Open(bytes.NewReader(m), int64(len(m)), o)
}

// result is what a reader that asks for everything learns of an image.
type result struct {
	list     string // "h path mode size link" lines and contents
	warnings []string
	err      error // all that went wrong
}

// maxContent is how much of one file survey reads.
const maxContent = 1 << 16

// survey reads all that r holds through every entry point of the package.
func survey(r io.ReaderAt, size int64) (res result) {
	img, err := Open(r, size, Options{})
	if err != nil {
		return result{err: err}
	}
	var b bytes.Buffer
	var errs []error
	for _, d := range img.Descriptors {
		if t := d.Type(); t == TypePrimary || t == TypeSupplementary {
			fmt.Fprintln(&b, d.VolumeID(), d.SystemID(), d.SpaceSize(), d.Created().UUID(), d.Modified().Time())
		}
	}
	fmt.Fprintln(&b, img.Sessions(), img.UDF(), img.BootCatalog())
	for _, h := range Hierarchies {
		root, err := img.Tree(h)
		if errs = append(errs, err); root == nil {
			continue
		}
		if rr, _ := img.RockRidge(h); rr {
			fmt.Fprintln(&b, RockOf(root))
		}
		namer := NamingOf(h, root).Namer()
		for i := range 12 {
			id, err := namer.ID("\xc3\xa4"[:1+i%2]+".a long extension of thirty-seven byte", false)
			errs = append(errs, err)
			fmt.Fprintf(&b, "%q\n", id)
		}
		for e := range root.Walk() {
			fmt.Fprintf(&b, "%v %q %o %d %q %v %v\n", h, e.Path(), e.StMode(), e.Size(), e.Link, e.ModTime(), e.Sections())
			for _, raw := range e.Raws {
				fmt.Fprintf(&b, "%x\n", raw.Draft(0).Record)
			}
			if !e.IsDir() {
				err := readContent(&b, img, e)
				errs = append(errs, err)
			}
		}
	}
	return result{b.String(), img.Warnings(), errors.Join(append(errs, img.Missing()...)...)}
}

func readContent(w io.Writer, img *Image, e *Entry) error {
	r, size, err := img.Open(e)
	if err != nil {
		return err
	}
	n, err := io.Copy(w, io.NewSectionReader(r, 0, min(size, maxContent)))
	if err == nil && n < min(size, maxContent) {
		err = fmt.Errorf("%s: %d bytes of %d", e.Path(), n, size)
	}
	return err
}

// quickly panics if f takes longer than the limit: a hang must not pass for a slow test.
func quickly(limit time.Duration, what string, f func()) {
	timer := time.AfterFunc(limit, func() { panic("takes too long: " + what) })
	defer timer.Stop()
	f()
}

func TestImage(t *testing.T) {
	m := newImage()
	got := survey(bytes.NewReader(m), int64(len(m)))
	if got.err != nil || len(got.warnings) > 0 {
		t.Fatal(got.err, got.warnings)
	}
	for _, want := range []string{
		`primary "/a.txt" 100644 5 ""`, `primary "/dir" 40700 2048 ""`, `primary "/dir/b" 100600 60 ""`,
		`Joliet "/a.txt" 100444 5 ""`, `Joliet "/dir/b" 100444 60 ""`, "hello",
		"VOLUME  128 ", "2026-11-23 09:05:45.77 +0100",
	} {
		if !bytes.Contains([]byte(got.list), []byte(want)) {
			t.Errorf("%q is missing in\n%s", want, got.list)
		}
	}
}
