package layer

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// Read reads the layer of a tar archive that is not compressed. The content of its
// files stays in src.
//
// Archives of other programs are read too: names may begin with "./", entries of a
// name that comes again count as replaced. What images cannot hold is an error.
func Read(src extent.Source) (*Layer, error) {
	c := &cursor{src: src}
	d := &decoder{l: &Layer{Objects: map[string]extent.Source{}, Fields: map[iso9660.Field]string{}}, src: src, at: c, sources: map[string]extent.Source{}}
	r := tar.NewReader(c)
	for n := 0; ; n++ {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: entry at %d: %w: %w", src.Name(), c.off, ErrFormat, err)
		}
		if n >= maxEntries {
			return nil, fmt.Errorf("%s: %w: more than %d entries", src.Name(), ErrLimit, maxEntries)
		}
		if err := d.entry(h); err != nil {
			return nil, fmt.Errorf("%s: entry %q at %d: %w", src.Name(), h.Name, c.off, err)
		}
	}
	if c.off == 0 {
		return nil, fmt.Errorf("%s: %w: it is empty", src.Name(), ErrFormat)
	}
	return d.l, ended(src, c.off)
}

// maxBehind bounds how far behind the end of an archive is looked, in bytes: an ISO image
// begins with 32 KiB of zeros, which are the end of an archive.
const maxBehind = 64 << 10

// ended reports an archive whose end mark stands in front of other data.
func ended(src extent.Source, end int64) error {
	rest := make([]byte, max(0, min(maxBehind, src.Size()-end)))
	n, err := src.ReadAt(rest, end)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if i := bytes.IndexFunc(rest[:n], func(r rune) bool { return r != 0 }); i >= 0 {
		return fmt.Errorf("%s: %w: it ends at %d, but other data follows at %d", src.Name(), ErrFormat, end, end+int64(i))
	}
	return nil
}

// cursor reads a source from its beginning and knows where it is; content is skipped.
type cursor struct {
	src extent.Source
	off int64
}

// Read implements io.Reader.
func (c *cursor) Read(p []byte) (int, error) {
	n, err := c.src.ReadAt(p, c.off)
	c.off += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// Seek implements io.Seeker, as far as package tar needs it to skip content.
func (c *cursor) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += c.off
	case io.SeekEnd:
		off += c.src.Size()
	}
	if off < 0 {
		return 0, errors.New("before the beginning")
	}
	c.off = off
	return off, nil
}

type decoder struct {
	l       *Layer
	src     extent.Source
	at      *cursor
	sources map[string]extent.Source // content by path in the archive, for hard links
	ranges  int                      // of all patches
}

// entry takes in one entry; its content begins at the cursor.
func (d *decoder) entry(h *tar.Header) error {
	switch _, ours := h.PAXRecords[paxVersion]; {
	case ours:
		return d.global(h.PAXRecords)
	case h.Typeflag == tar.TypeXGlobalHeader:
		return nil // comments of other programs
	}
	own := strings.TrimPrefix(h.Name, "./")
	if object, ok := strings.CutPrefix(own, objectsPath); ok && strings.HasPrefix(object, "@") {
		src, err := d.regular(h)
		d.l.Objects[object] = src
		return err
	}
	if file, ok := strings.CutPrefix(own, patchesPath); ok && file != "" {
		return d.patched(file, h)
	}
	if isPatch(h.PAXRecords) {
		return fmt.Errorf("%w: a patch that is not below %s", ErrFormat, patchesPath)
	}
	p, err := tree.Clean(h.Name)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	dir, name := path.Split(p)
	switch {
	case name == opaque:
		d.l.Opaque = append(d.l.Opaque, path.Clean(dir))
		return nil
	case strings.HasPrefix(p, "/"+whiteout+whiteout):
		return nil // what programs note for themselves
	case strings.HasPrefix(name, whiteout):
		gone := strings.TrimPrefix(name, whiteout)
		if gone == "" || gone == "." || gone == ".." { // which would be the directory, or the one above it
			return fmt.Errorf("%w: a whiteout without a name", ErrFormat)
		}
		d.l.Gone = append(d.l.Gone, path.Join(dir, gone))
		return nil
	}
	return d.put(p, h)
}

// patched takes in a file that is a patch, or a hard link to one.
func (d *decoder) patched(file string, h *tar.Header) error {
	p, err := tree.Clean(file)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	switch {
	case h.Typeflag == tar.TypeDir:
		return nil // of programs that list directories
	case p == "/" || strings.Contains(p, "/"+whiteout):
		return fmt.Errorf("%w: a patch of %s", ErrFormat, p)
	case h.Typeflag == tar.TypeReg && !isPatch(h.PAXRecords):
		return fmt.Errorf("%w: no record %s", ErrFormat, paxLower)
	case h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeLink:
		return fmt.Errorf("%w: a patch of type %q", ErrUnsupported, h.Typeflag)
	}
	if err := d.put(p, h); err != nil {
		return err
	}
	if _, ok := d.l.Added[len(d.l.Added)-1].Source.(*Patch); !ok {
		return fmt.Errorf("%w: a hard link to %q, which is not a patch", ErrFormat, h.Linkname)
	}
	return nil
}

// regular is the content of an entry, or the patch that it is.
func (d *decoder) regular(h *tar.Header) (extent.Source, error) {
	src, err := d.content(h)
	if err != nil || !isPatch(h.PAXRecords) {
		return src, err
	}
	p, err := parsePatch(h.Name, h.PAXRecords, src, maxRangesLayer-d.ranges)
	if err != nil {
		return nil, err
	}
	d.ranges += len(p.Ranges)
	return p, nil
}

// link is the content that an entry of the archive has, under another name.
func (d *decoder) link(h *tar.Header) (extent.Source, error) {
	to, err := tree.Clean(h.Linkname)
	src := d.sources[to]
	if err != nil || src == nil {
		return nil, fmt.Errorf("%w: a hard link to %q, which is not in the layer", ErrUnsupported, h.Linkname)
	}
	if _, patch := src.(*Patch); patch && !strings.HasPrefix(strings.TrimPrefix(h.Name, "./"), patchesPath) {
		return nil, fmt.Errorf("%w: a hard link to %q, which is a patch", ErrFormat, h.Linkname)
	}
	return src, nil
}

// put takes in what is to be at a path.
func (d *decoder) put(p string, h *tar.Header) (err error) {
	put := tree.Put{Path: p, Attr: tree.Attr{
		Mode: uint32(h.Mode) & 0o7777, UID: uint32(h.Uid), GID: uint32(h.Gid), ModTime: h.ModTime.UTC().Truncate(time.Second),
	}}
	if h.Uid < 0 || int64(h.Uid) > 1<<32-1 || h.Gid < 0 || int64(h.Gid) > 1<<32-1 {
		return fmt.Errorf("%w: owner %d:%d", ErrFormat, h.Uid, h.Gid)
	}
	switch h.Typeflag {
	case tar.TypeReg:
		put.Attr.Mode |= iso9660.ModeRegular
		put.Source, err = d.regular(h)
	case tar.TypeLink:
		put.Attr.Mode |= iso9660.ModeRegular
		put.Source, err = d.link(h)
	case tar.TypeDir:
		put.Attr.Mode |= iso9660.ModeDir
	case tar.TypeSymlink:
		put.Attr.Mode, put.Attr.Link = iso9660.ModeSymlink|0o777, h.Linkname
		if h.Linkname == "" || len(h.Linkname) > 4095 || strings.ContainsRune(h.Linkname, 0) {
			return fmt.Errorf("%w: link target of %d bytes", ErrFormat, len(h.Linkname))
		}
	case tar.TypeChar, tar.TypeBlock:
		put.Attr.Mode |= iso9660.ModeChar
		if h.Typeflag == tar.TypeBlock {
			put.Attr.Mode ^= iso9660.ModeChar ^ iso9660.ModeBlock
		}
		if h.Devmajor < 0 || h.Devminor < 0 || h.Devmajor > 1<<32-1 || h.Devminor > 1<<32-1 {
			return fmt.Errorf("%w: device %d, %d", ErrFormat, h.Devmajor, h.Devminor)
		}
		put.Attr.Major, put.Attr.Minor = uint32(h.Devmajor), uint32(h.Devminor)
	case tar.TypeFifo:
		put.Attr.Mode |= iso9660.ModeFIFO
	default:
		return fmt.Errorf("%w: type %q", ErrUnsupported, h.Typeflag)
	}
	if err != nil {
		return err
	}
	if name, err := tree.Clean(h.Name); err == nil && put.Source != nil {
		d.sources[name] = put.Source
	}
	d.l.Added = append(d.l.Added, put)
	return nil
}

// content is the content of a file as a part of the archive.
func (d *decoder) content(h *tar.Header) (extent.Source, error) {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return nil, fmt.Errorf("%w: a sparse file", ErrUnsupported)
		}
	}
	if h.Typeflag != tar.TypeReg {
		return nil, fmt.Errorf("%w: type %q", ErrUnsupported, h.Typeflag)
	}
	var es []extent.Extent
	if h.Size > 0 {
		if h.Size > d.src.Size()-d.at.off {
			return nil, fmt.Errorf("%w: %d bytes of content, %d are there", ErrFormat, h.Size, d.src.Size()-d.at.off)
		}
		es = append(es, extent.CopyOf(0, d.src, d.at.off, h.Size))
	}
	m, err := extent.New(es)
	if err != nil {
		return nil, fmt.Errorf("internal error: %w", err)
	}
	return extent.Compose(h.Name, m), nil
}

// global takes in what is said of the whole layer.
func (d *decoder) global(records map[string]string) error {
	if v, ok := records[paxVersion]; ok && v != version && v != versionPatches {
		return fmt.Errorf("%w: version %q; this program knows versions %s and %s", ErrUnsupported, v, version, versionPatches)
	}
	if text, ok := records[paxRenames]; ok {
		var pairs [][2]string
		if err := json.Unmarshal([]byte(text), &pairs); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrFormat, paxRenames, err)
		}
		for _, p := range pairs {
			for _, s := range p {
				if _, err := tree.Clean(s); err != nil {
					return fmt.Errorf("%w: %s: %w", ErrFormat, paxRenames, err)
				}
			}
			d.l.Renames = append(d.l.Renames, tree.Rename{Old: p[0], New: p[1]})
		}
	}
	if text, ok := records[paxModified]; ok {
		if len(text) != 16 {
			return fmt.Errorf("%w: %s %q", ErrFormat, paxModified, text)
		}
		if d.l.Modified = iso9660.Date17(text + "\x00").Time(); d.l.Modified.IsZero() {
			return fmt.Errorf("%w: %s %q", ErrFormat, paxModified, text)
		}
	}
	for f, name := range fields {
		if text, ok := records[paxField+name]; ok {
			d.l.Fields[f] = text
		}
	}
	return nil
}
