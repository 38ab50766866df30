package cpio

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/cavaliergopher/cpio"

	"github.com/isolayer/isolayer/extent"
)

// File is what Add puts in.
type File struct {
	Name    string
	Mode    uint32 // with the type: a file, directory or symbolic link
	ModTime time.Time
	Link    string        // of a symbolic link
	Source  extent.Source // of a file
}

// ErrBehind reports files that would have to lie behind an archive that nothing can
// follow.
var ErrBehind = errors.New("is there already, in an archive that reaches to the end of the initrd for Linux")

// reachesEnd reports a compression whose streams Linux takes to reach to the end.
func reachesEnd(c Compression) bool {
	return slices.Contains([]Compression{LZ4, LZO, LZMA, Bzip2}, c)
}

// Add returns the initrd with the files in an archive of their own, not compressed:
// that every kernel reads. src has the initrd's bytes from off on. The archive goes
// behind all others, on a multiple of four bytes, where Linux looks for the next one;
// but in front of one compressed by LZ4, whose end Linux does not see.
//
// Parents that the initrd has stay as they are. Links on the way are followed: a
// directory instead of a link would take away what is behind it.
// See RATIONALE.md, "Files for an initrd are not compressed".
func (i *Initrd) Add(src extent.Source, off int64, files []File) (*extent.Map, error) {
	at := i.size
	if last := i.Archives[len(i.Archives)-1]; reachesEnd(last.Compression) {
		at = last.Off
	}
	w := &writer{initrd: i, made: map[string]bool{}, front: at < i.size, at: at}
	w.pad()
	for _, f := range files {
		if err := w.file(f); err != nil {
			return nil, err
		}
	}
	if err := w.trailer(); err != nil {
		return nil, err
	}
	if at < i.size {
		w.out = append(w.out, extent.CopyOf(w.at, src, off+at, i.size-at))
	}
	return extent.Patched{Src: src, Off: off, Len: at, Patches: w.out}.Map()
}

// New makes an initrd of one archive, not compressed.
func New(files []File) (*extent.Map, error) {
	w := &writer{initrd: &Initrd{}, made: map[string]bool{}}
	for _, f := range files {
		if err := w.file(f); err != nil {
			return nil, err
		}
	}
	if err := w.trailer(); err != nil {
		return nil, err
	}
	return extent.New(w.out)
}

// writer makes an archive of extents.
type writer struct {
	initrd *Initrd
	out    []extent.Extent
	at     int64
	inode  int64
	made   map[string]bool // directories
	front  bool            // archives follow, whose files win
}

func (w *writer) bytes(b []byte) {
	if len(b) > 0 {
		w.out = append(w.out, extent.BytesOf(w.at, b))
		w.at += int64(len(b))
	}
}

// pad goes to the next multiple of four bytes.
func (w *writer) pad() {
	if n := -w.at & 3; n > 0 {
		w.out = append(w.out, extent.ZeroOf(w.at, n))
		w.at += n
	}
}

// header writes the header of an entry. Inode numbers only tell hard links apart.
func (w *writer) header(h *cpio.Header) error {
	w.inode++
	h.Inode, h.Links = w.inode, 1
	var b bytes.Buffer
	if err := cpio.NewWriter(&b).WriteHeader(h); err != nil {
		return fmt.Errorf("/%s: %w", h.Name, err)
	}
	w.bytes(b.Bytes())
	return nil
}

func (w *writer) file(f File) error {
	name, err := w.initrd.resolve(f.Name)
	if err != nil {
		return err
	}
	if name == "" {
		return nil // the root is there
	}
	if name+"\x00" == trailer || len(name) >= maxPath || strings.ContainsRune(name, 0) {
		return fmt.Errorf("/%s: %w: no archive can have that name", name, fs.ErrInvalid)
	}
	if err := w.parents(path.Dir(name), f.ModTime); err != nil {
		return err
	}
	old := w.initrd.entries[name]
	switch dir := f.Mode&modeType == ModeDir; {
	case dir && old != nil && !old.IsDir():
		if to, err := w.initrd.Find(name); err == nil && to.IsDir() {
			return nil // a link to one
		}
		return fmt.Errorf("/%s %w", name, ErrNotDir)
	case dir:
		return w.dir(name, f.Mode, f.ModTime)
	case old != nil && old.IsDir() || w.made[name]:
		return fmt.Errorf("/%s %w", name, ErrIsDir)
	case old != nil && w.front:
		return fmt.Errorf("/%s %w", name, ErrBehind)
	case f.Mode&modeType == ModeLink:
		if err := w.header(&cpio.Header{Name: name, Mode: cpio.FileMode(f.Mode), ModTime: f.ModTime, Size: int64(len(f.Link))}); err != nil {
			return err
		}
		w.bytes([]byte(f.Link))
		w.pad()
		return nil
	}
	size := f.Source.Size()
	if size > 1<<32-1 {
		return fmt.Errorf("/%s: %d bytes; a file in an initrd has less than 4 GiB: %w", name, size, ErrLimit)
	}
	if err := w.header(&cpio.Header{Name: name, Mode: cpio.FileMode(f.Mode), ModTime: f.ModTime, Size: size}); err != nil {
		return err
	}
	w.out = append(w.out, extent.Into(w.at, f.Source, size)...)
	w.at += size
	w.pad()
	return nil
}

// parents makes the directories of a path that are missing: Linux makes none itself.
func (w *writer) parents(dir string, t time.Time) error {
	if dir == "." {
		return nil
	}
	if err := w.parents(path.Dir(dir), t); err != nil {
		return err
	}
	if e := w.initrd.entries[dir]; e != nil && !e.IsDir() {
		return fmt.Errorf("/%s %w", dir, ErrNotDir)
	}
	return w.dir(dir, ModeDir|0o755, t)
}

// dir makes a directory unless it is there: Linux would give it another mode.
func (w *writer) dir(name string, mode uint32, t time.Time) error {
	if w.initrd.entries[name] != nil || w.made[name] {
		return nil
	}
	w.made[name] = true
	return w.header(&cpio.Header{Name: name, Mode: cpio.FileMode(mode), ModTime: t})
}

func (w *writer) trailer() error {
	var b bytes.Buffer
	if err := cpio.NewWriter(&b).Close(); err != nil {
		return err
	}
	w.bytes(b.Bytes())
	w.pad()
	return nil
}
