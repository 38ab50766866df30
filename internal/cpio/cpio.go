// Package cpio reads initrds and adds files to them. An initrd is several archives in a
// row, in cpio's format newc, each compressed in a way of its own or not at all; what
// comes later wins.
//
// It changes no byte of an initrd: files go into an archive of their own. It does not
// unpack to disk.
package cpio

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/cavaliergopher/cpio"
)

// Compression is how an archive is compressed.
type Compression string

// The compressions that Linux reads (lib/decompress.c).
const (
	None  Compression = "none"
	Gzip  Compression = "gzip"
	XZ    Compression = "xz"
	Zstd  Compression = "zstd"
	Bzip2 Compression = "bzip2"
	LZMA  Compression = "lzma"
	LZ4   Compression = "lz4"
	LZO   Compression = "lzo" // not read here
)

// The limits on what is read of a hostile initrd.
const (
	maxArchives = 64
	maxEntries  = 1 << 20
	maxUnpacked = 8 << 30 // bytes of all archives
	maxPath     = 4096
	maxLinks    = 40 // that a path may pass, as Linux has it
	maxKept     = 16 << 20
)

// Errors that callers tell apart.
var (
	ErrFormat      = errors.New("is not an initrd")
	ErrLimit       = errors.New("exceeds a limit")
	ErrCompression = errors.New("is compressed in a way that cannot be read here")
	ErrNotDir      = errors.New("is not a directory")
	ErrIsDir       = errors.New("is a directory")
)

// Archive is one of those that an initrd is made of.
type Archive struct {
	Off         int64 // in the initrd
	Len         int64 // without zeros behind it
	Compression Compression
	Entries     int
}

// Entry is a file, directory, link or device of an initrd.
type Entry struct {
	Name    string // without a slash in front
	Mode    uint32 // as stat has it
	Size    int64
	UID     int
	GID     int
	ModTime time.Time
	Link    string // of a symbolic link

	archive int
	inode   int64
	number  int // in its archive
}

// trailer is the name of the entry at the end of an archive.
const trailer = "TRAILER!!!\x00"

// The types of entries (cpio's mode bits).
const (
	modeType = 0o170000
	ModeDir  = 0o040000
	ModeReg  = 0o100000
	ModeLink = 0o120000
)

// IsDir reports a directory.
func (e *Entry) IsDir() bool { return e.Mode&modeType == ModeDir }

// IsRegular reports a file with content.
func (e *Entry) IsRegular() bool { return e.Mode&modeType == ModeReg }

// IsLink reports a symbolic link.
func (e *Entry) IsLink() bool { return e.Mode&modeType == ModeLink }

// Initrd is an initrd whose entries are known.
type Initrd struct {
	Archives []Archive

	r       io.ReaderAt // while it is opened, through a window
	raw     io.ReaderAt
	size    int64
	entries map[string]*Entry // by name, the last one of each
	keep    func(*Entry) bool // unless nil: of which files the content is kept
	kept    map[*Entry][]byte
	room    int64 // for what is kept
	all     map[[2]int64]*Entry
	names   []string // in order of first appearance
}

// Open reads all archives of an initrd and keeps what they list. It unpacks them for
// that, once, and reads r from its beginning to its end.
func Open(r io.ReaderAt, size int64) (*Initrd, error) { return Options{}.Open(r, size) }

// Options are what Open can do besides. The zero value is nothing.
type Options struct {
	// Keep reports files whose content is kept, up to 16 MiB of them, so that Copy need not
	// unpack anything for it.
	Keep func(*Entry) bool
	// Hear gets all bytes of the initrd, in order, while they are read.
	Hear io.Writer
}

// Open is the function Open with options.
func (o Options) Open(r io.ReaderAt, size int64) (*Initrd, error) {
	i := &Initrd{
		r: &window{r: r, size: size, hear: o.Hear}, raw: r, size: size, entries: map[string]*Entry{}, all: map[[2]int64]*Entry{},
		keep: o.Keep, kept: map[*Entry][]byte{}, room: maxKept,
	}
	defer func() { i.r = r }()
	left := int64(maxUnpacked)
	if err := i.archives(0, &left); err != nil {
		return nil, err
	}
	if len(i.Archives) == 0 {
		return nil, fmt.Errorf("%w: there is nothing in it", ErrFormat)
	}
	return i, nil
}

// archives reads those from off on.
func (i *Initrd) archives(off int64, left *int64) error {
	for {
		var err error
		if off, err = i.skipZeros(off); err != nil || off >= i.size {
			return err
		}
		if len(i.Archives) == maxArchives {
			return fmt.Errorf("more than %d archives: %w", maxArchives, ErrLimit)
		}
		a := Archive{Off: off}
		if err := i.scan(&a, left); err != nil {
			if len(i.Archives) == 0 && a.Compression == "" {
				return err
			}
			return fmt.Errorf("archive %d at %d: %w", len(i.Archives)+1, off, err)
		}
		i.Archives = append(i.Archives, a)
		off += a.Len
	}
}

// From lets Copy read the bytes of the initrd from r from now on.
func (i *Initrd) From(r io.ReaderAt) { i.r, i.raw = r, r }

// Grown opens an initrd that is this one with more archives behind it, of which only
// those are read; nil if it is none such: where Add put files in front of the last archive.
func (i *Initrd) Grown(r io.ReaderAt, size int64) (*Initrd, error) {
	if last := i.Archives[len(i.Archives)-1]; reachesEnd(last.Compression) {
		return nil, nil
	}
	n := *i
	n.r, n.raw, n.size = r, r, size
	n.Archives, n.names = slices.Clone(i.Archives), slices.Clone(i.names)
	n.entries, n.all, n.kept = maps.Clone(i.entries), maps.Clone(i.all), maps.Clone(i.kept)
	left := int64(maxUnpacked)
	return &n, n.archives(i.size, &left)
}

// skipZeros returns where the zeros from off on end.
func (i *Initrd) skipZeros(off int64) (int64, error) {
	buf := make([]byte, 64<<10)
	for off < i.size {
		n, err := i.r.ReadAt(buf[:min(int64(len(buf)), i.size-off)], off)
		if n == 0 {
			return off, unexpected(err)
		}
		for k, c := range buf[:n] {
			if c != 0 {
				return off + int64(k), nil
			}
		}
		off += int64(n)
	}
	return off, nil
}

// scan reads the archive at a.Off and notes its length and entries.
func (i *Initrd) scan(a *Archive, left *int64) error {
	m, err := i.member(a.Off)
	if err != nil {
		return err
	}
	a.Compression, a.Len = m.compression, m.size
	r, err := m.open()
	if err != nil {
		return err
	}
	defer r.Close()
	c := &counter{r: r, left: *left}
	defer func() { *left = c.left }()
	defer func() {
		if m.end != nil {
			a.Len = m.end()
		}
	}()
	if m.compression == None {
		n, err := i.walk(c, a, nil)
		a.Len = min(n, m.size)
		return err
	}
	// What is packed may be several archives itself, with zeros between them.
	for {
		more, err := c.skipZeros()
		if err != nil || !more {
			return err
		}
		if _, err := i.walk(c, a, nil); err != nil {
			return err
		}
	}
}

// walk reads one archive up to its trailer and returns how many bytes it has. With a
// visitor it calls that, until it returns true, and notes nothing.
func (i *Initrd) walk(c *counter, a *Archive, visit func(*Entry, io.Reader) (bool, error)) (int64, error) {
	start := c.n
	r := cpio.NewReader(c)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			if string(c.last) != trailer {
				return 0, fmt.Errorf("cut short behind entry %d: %w", a.Entries, io.ErrUnexpectedEOF)
			}
			break
		} else if err != nil {
			return 0, fmt.Errorf("entry %d: %w", a.Entries+1, format(err))
		}
		e := entryOf(h)
		e.archive, e.number = len(i.Archives), a.Entries
		if a.Entries++; a.Entries > maxEntries {
			return 0, fmt.Errorf("more than %d entries: %w", maxEntries, ErrLimit)
		}
		if len(e.Name) > maxPath {
			return 0, fmt.Errorf("a name of %d bytes: %w", len(e.Name), ErrLimit)
		}
		if visit != nil {
			if done, err := visit(e, r); done || err != nil {
				return 0, err
			}
			continue
		}
		i.note(e)
		if err := i.retain(e, r); err != nil {
			return 0, fmt.Errorf("read /%s: %w", e.Name, unexpected(err))
		}
	}
	return c.align(start)
}

// retain keeps the content of a file if that is wanted.
func (i *Initrd) retain(e *Entry, r io.Reader) error {
	if i.keep == nil || !e.IsRegular() || e.Size > i.room || !i.keep(e) {
		return nil
	}
	b := make([]byte, e.Size)
	if _, err := io.ReadFull(r, b); err != nil {
		return err
	}
	i.room -= e.Size
	i.kept[e] = b
	return nil
}

func entryOf(h *cpio.Header) *Entry {
	return &Entry{
		Name: clean(h.Name), Mode: uint32(h.Mode), Size: h.Size, UID: h.Uid, GID: h.Guid, ModTime: h.ModTime.UTC(),
		Link: strings.TrimRight(h.Linkname, "\x00"), inode: h.Inode,
	}
}

// note keeps an entry. Of hard links one has the content: the others have none.
func (i *Initrd) note(e *Entry) {
	if e.Name == "" {
		return
	}
	if i.entries[e.Name] == nil {
		i.names = append(i.names, e.Name)
	}
	i.entries[e.Name] = e
	if e.IsRegular() && e.Size > 0 {
		i.all[[2]int64{int64(e.archive), e.inode}] = e
	}
}

// clean is a name without what does not count: slashes and dots in front. Linux takes
// ".." for what it is; nobody should, so such a name is one of a file below the root.
func clean(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+strings.TrimRight(name, "\x00")), "/")
	return name
}

// Entries returns what the initrd unpacks to, in the order of its archives.
func (i *Initrd) Entries() []*Entry {
	out := make([]*Entry, 0, len(i.names))
	for _, n := range i.names {
		out = append(out, i.entries[n])
	}
	return out
}

// resolve follows the links on the way to a name. The last part is not followed.
func (i *Initrd) resolve(name string) (string, error) {
	rest, done, links := strings.Split(clean(name), "/"), "", 0
	for len(rest) > 0 {
		at := path.Join(done, rest[0])
		rest = rest[1:]
		e := i.entries[at]
		if e == nil || len(rest) == 0 || e.IsDir() {
			done = at
			continue
		}
		if !e.IsLink() {
			return "", fmt.Errorf("/%s %w", at, ErrNotDir)
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("/%s: more than %d links: %w", name, maxLinks, ErrLimit)
		}
		to := e.Link
		if !strings.HasPrefix(to, "/") {
			to = path.Join("/", done, to)
		}
		rest, done = append(strings.Split(clean(to), "/"), rest...), ""
	}
	return done, nil
}
