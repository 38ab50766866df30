package hostile

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// Kind is the class of error that a row is refused with. It is the code that
// "--json" gives for it.
type Kind string

// The kinds.
const (
	None        Kind = "" // the image is read
	Format      Kind = "format"
	Range       Kind = "range"
	Trunc       Kind = "truncated"
	Loop        Kind = "loop"
	Limit       Kind = "limit"
	Name        Kind = "name"
	Bomb        Kind = "bomb"
	Conflict    Kind = "conflict"
	Unsupported Kind = "unsupported"
	NotISO      Kind = "not-iso"
)

// Stage says who has to refuse a row. Whoever does not, has to read the image.
type Stage uint8

// The stages.
const (
	// Nobody refuses: the damage is outside of what is read, or harmless.
	Nobody Stage = iota
	// Noted is as Nobody, but info or verify reports it.
	Noted
	// Open is refused by all that open the image.
	Open
	// Content is refused by what needs the content of all files, and by build.
	Content
	// Unpack is refused by what needs the content uncompressed.
	Unpack
	// Edit is refused by build.
	Edit
	// Extract is refused by extract.
	Extract
	// Joliet is refused by what needs all trees.
	Joliet
)

// Row is an image that breaks a rule.
type Row struct {
	ID    string // in the catalogue
	What  string // is broken
	Kind  Kind
	Stage Stage
	// Shows is what ls -R must show although the image is odd, Hides what it must not.
	Shows, Hides string
	// File is the path of the file that cannot be read.
	File string
	// Big rows take more than a second to make.
	Big bool
	// Grow is how long the file is made behind the image, sparse.
	Grow int64

	twin, make func(Image) Image
	dirBytes   int64 // that are to be read, if not few
}

// Image makes the broken image.
func (r Row) Image() Image { return r.make(r.Twin()) }

// Twin makes the same image unbroken.
func (r Row) Twin() Image {
	m := New()
	if r.twin != nil {
		m = r.twin(m)
		m.Tables()
	}
	return m
}

// DirBytes bounds the bytes of directories that reading the image takes.
func (r Row) DirBytes() int64 { return max(r.dirBytes, 64<<10) }

// Write writes an image to a file, with the length that the row gives it.
func (r Row) Write(path string, m Image) error {
	if err := os.WriteFile(path, m, 0o644); err != nil || r.Grow == 0 {
		return err
	}
	return os.Truncate(path, r.Grow)
}

// Change is a run of bytes in which a broken image differs from its twin.
type Change struct {
	Off       int
	Was, Made []byte
}

// String shows the first bytes of the change.
func (c Change) String() string {
	short := func(b []byte) string {
		const limit = 16
		if len(b) > limit {
			return fmt.Sprintf("% x … %d", b[:limit], len(b))
		}
		return fmt.Sprintf("% x", b)
	}
	return fmt.Sprintf("%d: %s -> %s", c.Off, short(c.Was), short(c.Made))
}

// Changes are the bytes that make the row hostile. An image that is longer than its
// twin ends with a change of what is behind it.
func (r Row) Changes() (out []Change) {
	const joined = 8 // runs so near to each other are one
	was, made := r.Twin(), r.Image()
	n := min(len(was), len(made))
	for i := 0; i < n; i++ {
		if was[i] == made[i] {
			continue
		}
		end := i + 1
		for j := end; j < n && j < end+joined; j++ {
			if was[j] != made[j] {
				end = j + 1
			}
		}
		out = append(out, Change{i, was[i:end], made[i:end]})
		i = end
	}
	if len(was) != len(made) {
		out = append(out, Change{n, was[n:], made[n:]})
	}
	return out
}

// ReaderAt is the image as long as its file would be.
func (r Row) ReaderAt(m Image) (io.ReaderAt, int64) {
	if r.Grow == 0 {
		return bytes.NewReader(m), int64(len(m))
	}
	return zeroBehind{m}, max(int64(len(m)), r.Grow)
}

type zeroBehind struct{ m Image }

func (z zeroBehind) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(z.m)) {
		copy(p, z.m[off:])
	}
	return len(p), nil
}

// By finds a row.
func By(id string) Row {
	for _, r := range Rows {
		if r.ID == id {
			return r
		}
	}
	panic("internal error: no row " + id)
}

// Rows is the catalogue. An id is that of the catalogue, with a word behind it where
// there are several of it.
var Rows = concat(treeRows, recordRows, suspRows, nameRows, jolietRows, volumeRows, bootRows, zisofsRows, fileRows)

func concat(lists ...[]Row) (out []Row) {
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// Patched is an image with bytes put at an offset of a block.
func patched(lba, off int, b ...[]byte) func(Image) Image {
	return func(m Image) Image { m.Put(lba, off, b...); return m }
}

// rooted is an image with further records in the root directory, and no Joliet.
func rooted(recs ...[]byte) func(Image) Image {
	return func(m Image) Image {
		m.Descriptor(AtSVD, 255, 0)
		m.Root(recs...)
		return m
	}
}

// dirred is an image with /dir of these records, and no Joliet.
func dirred(recs ...[]byte) func(Image) Image {
	return func(m Image) Image {
		m = rooted(InDir())(m)
		m.Dir(AtDir, AtRoot, PX(ModeDir|0o755), PX(ModeDir|0o755), recs...)
		return m
	}
}

// plain is an image without Rock Ridge and Joliet, with these records in the root directory.
func plain(recs ...[]byte) func(Image) Image {
	return func(m Image) Image {
		m.Descriptor(AtSVD, 255, 0)
		m.PlainRoot(recs...)
		return m
	}
}

// used is an image with a file of these system use entries and continuation area.
func used(ce []byte, su ...[]byte) func(Image) Image {
	return func(m Image) Image {
		m = rooted(File("X.;1", 0, 0, su...))(m)
		m.Put(AtCE, 0, ce)
		return m
	}
}

// also makes several changes.
func also(f ...func(Image) Image) func(Image) Image {
	return func(m Image) Image {
		for _, f := range f {
			m = f(m)
		}
		return m
	}
}

// alone is the plain image without Joliet.
var alone = rooted(InDir())

// changed is a record with a byte set.
func changed(r []byte, off int, b ...byte) []byte {
	copy(r[off:], b)
	return r
}
