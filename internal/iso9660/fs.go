package iso9660

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// FS is one hierarchy of an image as an fs.FS. Bytes of a name that are not
// UTF-8, which fs.FS does not allow, appear as \xNN. Of several entries with the
// same name the first one counts. It is safe for concurrent use.
type FS struct {
	img  *Image
	root *Entry
}

// FS returns the hierarchy that readers prefer: Rock Ridge, else Joliet, else
// the plain primary one; and Joliet beside a Rock Ridge tree without any entry,
// as Linux has it.
func (img *Image) FS() (*FS, error) {
	h, err := img.Preferred()
	if err != nil {
		return nil, err
	}
	return img.FSOf(h)
}

// Preferred returns the hierarchy that FS shows.
func (img *Image) Preferred() (Hierarchy, error) {
	rr, err := img.RockRidge(Primary)
	if err != nil || img.joliet == nil {
		return Primary, err
	}
	if root := img.trees[Primary].root; rr && len(root.Children()) > 0 {
		return Primary, nil
	}
	return Joliet, nil
}

// FSOf returns one hierarchy; fs.ErrNotExist if the image does not have it.
func (img *Image) FSOf(h Hierarchy) (*FS, error) {
	root, err := img.Tree(h)
	if err != nil {
		return nil, err
	}
	if root == nil {
		return nil, fmt.Errorf("%s hierarchy: %w", h, fs.ErrNotExist)
	}
	return &FS{img, root}, nil
}

// maxLinks bounds how many symbolic links one path may pass, as Linux does.
const maxLinks = 40

// lookup finds name; follow says whether a symbolic link at its end is followed.
func (f *FS) lookup(op, name string, follow bool) (*Entry, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	e := f.root
	rest := strings.Split(name, "/")
	if name == "." {
		rest = nil
	}
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			e = e.logicalParent()
			continue
		}
		next := e.find(part)
		if next == nil {
			return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
		at := next.Stat()
		if at.Mode&ModeType != ModeSymlink || len(rest) == 0 && !follow {
			e = next
			continue
		}
		if links++; links > maxLinks {
			return nil, &fs.PathError{Op: op, Path: name, Err: errors.New("too many levels of symbolic links")}
		}
		if strings.HasPrefix(at.Link, "/") {
			e = f.root
		}
		rest = append(strings.Split(at.Link, "/"), rest...)
	}
	return e, nil
}

func (e *Entry) logicalParent() *Entry {
	if h := e.Holder(); h != nil {
		return h.Parent
	}
	return e.Parent
}

// find returns the child shown under the given name, nil without one.
func (e *Entry) find(name string) *Entry {
	if !e.IsDir() {
		return nil
	}
	if names := e.dir.index.Load(); names != nil {
		return (*names)[name]
	}
	children := e.Entries()
	names := make(map[string]*Entry, len(children))
	for _, c := range children {
		if n := shown(c.LogicalName()); names[n] == nil {
			names[n] = c
		}
	}
	e.dir.index.Store(&names) // who came at the same time made the same
	return names[name]
}

// shown is a name as fs.FS can hold it.
func shown(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); {
		r, n := utf8.DecodeRuneInString(name[i:])
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, name[i])
		} else {
			b.WriteString(name[i : i+n])
		}
		i += n
	}
	return b.String()
}

// Open opens a file or directory, following symbolic links.
func (f *FS) Open(name string) (fs.File, error) {
	e, err := f.lookup("open", name, true)
	if err != nil {
		return nil, err
	}
	info := f.info(e, path.Base(name))
	if e.IsDir() {
		return &openDir{fsys: f, info: info, entries: f.list(e)}, nil
	}
	r, size, err := f.img.Open(e)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &openFile{SectionReader: io.NewSectionReader(r, 0, size), info: info}, nil
}

// Stat describes a file, following symbolic links.
func (f *FS) Stat(name string) (fs.FileInfo, error) {
	e, err := f.lookup("stat", name, true)
	if err != nil {
		return nil, err
	}
	return f.info(e, path.Base(name)), nil
}

// Lstat describes a file without following a symbolic link at its end.
func (f *FS) Lstat(name string) (fs.FileInfo, error) {
	e, err := f.lookup("lstat", name, false)
	if err != nil {
		return nil, err
	}
	return f.info(e, path.Base(name)), nil
}

// ReadLink returns the target of a symbolic link.
func (f *FS) ReadLink(name string) (string, error) {
	e, err := f.lookup("readlink", name, false)
	if err != nil {
		return "", err
	}
	s := e.Stat()
	if s.Mode&ModeType != ModeSymlink {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return s.Link, nil
}

// ReadDir lists a directory, sorted by name.
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	e, err := f.lookup("readdir", name, true)
	if err != nil {
		return nil, err
	}
	if !e.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a directory")}
	}
	return f.list(e), nil
}

func (f *FS) list(e *Entry) []fs.DirEntry {
	children := e.Entries()
	out := make([]fs.DirEntry, 0, len(children))
	for _, c := range children {
		out = append(out, fs.FileInfoToDirEntry(f.info(c, shown(c.LogicalName()))))
	}
	slices.SortStableFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return slices.CompactFunc(out, func(a, b fs.DirEntry) bool { return a.Name() == b.Name() })
}

func (f *FS) info(e *Entry, name string) *fileInfo { return &fileInfo{e, name} }

// fileInfo is an entry as fs.FileInfo; Sys returns the *Entry.
type fileInfo struct {
	e    *Entry
	name string
}

func (i *fileInfo) Name() string       { return i.name }
func (i *fileInfo) IsDir() bool        { return i.e.IsDir() }
func (i *fileInfo) ModTime() time.Time { return i.e.ModTime() }
func (i *fileInfo) Sys() any           { return i.e }

// Size is what reading yields: the uncompressed length of a zisofs file.
func (i *fileInfo) Size() int64 {
	if i.e.IsDir() {
		return 0
	}
	return i.e.ContentSize()
}

func (i *fileInfo) Mode() fs.FileMode { return FileMode(i.e.StMode()) }

// ContentSize returns how many bytes Open yields.
func (e *Entry) ContentSize() int64 {
	if z := e.zisofs(); z != nil && !z.version2 && e.Size() > 0 {
		return z.Size
	}
	return e.Size()
}

// modeBits are the bits of st_mode beside the permissions, and those of fs.FileMode.
var modeBits = []struct {
	st uint32
	fs fs.FileMode
}{{0o4000, fs.ModeSetuid}, {0o2000, fs.ModeSetgid}, {0o1000, fs.ModeSticky}}

// FileMode converts st_mode.
func FileMode(m uint32) fs.FileMode {
	out := fs.FileMode(m & 0o777)
	for _, b := range modeBits {
		if m&b.st != 0 {
			out |= b.fs
		}
	}
	switch m & ModeType {
	case ModeDir:
		out |= fs.ModeDir
	case ModeSymlink:
		out |= fs.ModeSymlink
	case ModeChar:
		out |= fs.ModeDevice | fs.ModeCharDevice
	case ModeBlock:
		out |= fs.ModeDevice
	case ModeFIFO:
		out |= fs.ModeNamedPipe
	case ModeSocket:
		out |= fs.ModeSocket
	}
	return out
}

// StMode converts to st_mode what FileMode converts from it.
func StMode(m fs.FileMode) uint32 {
	out := uint32(m.Perm())
	for _, b := range modeBits {
		if m&b.fs != 0 {
			out |= b.st
		}
	}
	switch {
	case m.IsDir():
		return out | ModeDir
	case m&fs.ModeSymlink != 0:
		return out | ModeSymlink
	case m&fs.ModeCharDevice != 0:
		return out | ModeChar
	case m&fs.ModeDevice != 0:
		return out | ModeBlock
	case m&fs.ModeNamedPipe != 0:
		return out | ModeFIFO
	case m&fs.ModeSocket != 0:
		return out | ModeSocket
	}
	return out | ModeRegular
}

type openFile struct {
	*io.SectionReader
	info *fileInfo
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

type openDir struct {
	fsys    *FS
	info    *fileInfo
	entries []fs.DirEntry
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }
func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: errors.New("is a directory")}
}

// ReadDir returns the next n entries, all if n is not positive.
func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 || n > len(d.entries) {
		if n > 0 && len(d.entries) == 0 {
			return nil, io.EOF
		}
		n = len(d.entries)
	}
	out := d.entries[:n]
	d.entries = d.entries[n:]
	return out, nil
}
