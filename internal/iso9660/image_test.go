package iso9660

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/isolayer/isolayer/internal/isotest/hostile"
)

// The blocks of the image that newImage makes.
const (
	atPVD    = hostile.AtPVD
	atSVD    = hostile.AtSVD
	atEnd    = hostile.AtEnd
	atRoot   = hostile.AtRoot
	atDir    = hostile.AtDir
	atFree   = hostile.AtFree
	atCE     = hostile.AtCE
	atJRoot  = hostile.AtJRoot
	atJDir   = hostile.AtJDir
	atHello  = hostile.AtHello
	atText   = hostile.AtText
	atChain  = hostile.AtChain
	allocate = hostile.Allocate
)

// image is a hand-made image: the bytes themselves, to be patched at will.
type image = hostile.Image

// The parts of images.
var (
	newImage = hostile.New
	le32     = hostile.LE32
	pair16   = hostile.Pair16
	pair32   = hostile.Pair32
	join     = hostile.Join
	rec      = hostile.Rec
	file     = hostile.File
	sub      = hostile.Sub
	entry    = hostile.SU
	px       = hostile.PX
	nm       = hostile.NM
	sp       = hostile.SP
	at       = hostile.At
	ce       = hostile.CE
	sl       = hostile.SL
	aTxt     = hostile.ATxt
	inDir    = hostile.InDir
	ucs      = hostile.UCS
)

func open(m image, o Options) (*Image, error) {
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
			fmt.Fprintf(&b, "%v %q %o %d %q %v %v\n", h, e.Path(), e.StMode(), e.Size(), e.Attributes().Link, e.ModTime(), e.Sections())
			for _, raw := range e.Raws() {
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
func quickly(limit time.Duration, what fmt.Stringer, f func()) {
	timer := time.AfterFunc(limit, func() { panic("takes too long: " + what.String()) })
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
