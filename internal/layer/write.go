package layer

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// renamesPerHeader keeps a PAX header far below the MiB that tar readers accept.
const renamesPerHeader = 500

// Write writes the layer as a tar archive. The same layer gives the same bytes.
// See RATIONALE.md, "Layers are OCI layers, with PAX records for what tar cannot say".
func (l *Layer) Write(w io.Writer) error {
	e := &encoder{w: tar.NewWriter(w), names: map[extent.Source]string{}, version: version}
	if l.Patches() {
		e.version = versionPatches
	}
	if err := e.head(l); err != nil {
		return err
	}
	for _, p := range slices.Sorted(slices.Values(l.Gone)) {
		dir, name := path.Split(p)
		if err := e.empty(path.Join(dir, whiteout+name)); err != nil {
			return err
		}
	}
	for _, p := range slices.Sorted(slices.Values(l.Opaque)) {
		if err := e.empty(path.Join(p, opaque)); err != nil {
			return err
		}
	}
	for _, p := range l.Added {
		if err := e.put(p); err != nil {
			return fmt.Errorf("%s: %w", p.Path, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.Objects)) {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: objectsPath + name, Mode: 0o644}
		if err := e.file(h, l.Objects[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return e.w.Close()
}

type encoder struct {
	w     *tar.Writer
	names map[extent.Source]string // of content that is in the archive

	version string
}

// header writes one header. The archive is made of PAX headers throughout, so that its
// bytes do not depend on what fits the older formats.
func (e *encoder) header(h *tar.Header) error {
	h.Format = tar.FormatPAX
	if h.ModTime = h.ModTime.UTC().Truncate(time.Second); h.ModTime.IsZero() {
		h.ModTime = time.Unix(0, 0)
	}
	return e.w.WriteHeader(h)
}

// head writes what is said of the whole layer: records of entries for the root
// directory, which every program takes. Some refuse global headers.
func (e *encoder) head(l *Layer) error {
	records := map[string]string{}
	for f, text := range l.Fields {
		name, ok := fields[f]
		if !ok {
			return fmt.Errorf("internal error: volume field %d has no name", f)
		}
		records[paxField+name] = text
	}
	if !l.Modified.IsZero() {
		records[paxModified] = string(iso9660.NewDate17(l.Modified)[:16])
	}
	if len(records) > 0 || e.version != version && len(l.Renames) == 0 {
		if err := e.root(l, records); err != nil {
			return err
		}
	}
	for list := range slices.Chunk(l.Renames, renamesPerHeader) {
		var pairs [][2]string
		for _, r := range list {
			pairs = append(pairs, [2]string{r.Old, r.New})
		}
		text, err := json.Marshal(pairs)
		if err != nil {
			return err
		}
		if err := e.root(l, map[string]string{paxRenames: string(text)}); err != nil {
			return err
		}
	}
	return nil
}

// root writes an entry for the root directory with records.
func (e *encoder) root(l *Layer, records map[string]string) error {
	records[paxVersion] = e.version
	a := l.Root
	if a.Mode == 0 {
		a.Mode = 0o755
	}
	return e.header(&tar.Header{
		Typeflag: tar.TypeDir, Name: "./", Mode: int64(a.Mode & 0o7777), Uid: int(a.UID), Gid: int(a.GID), ModTime: a.ModTime, PAXRecords: records,
	})
}

func (e *encoder) empty(p string) error {
	return e.header(&tar.Header{Typeflag: tar.TypeReg, Name: relative(p), Mode: 0o644})
}

// relative is a path as tar has it.
func relative(p string) string { return strings.TrimPrefix(p, "/") }

// put writes one file, directory, link or device.
func (e *encoder) put(p tree.Put) error {
	if strings.HasPrefix(path.Base(p.Path), whiteout) {
		return fmt.Errorf("%w: names with %s mean that something is gone", ErrUnsupported, whiteout)
	}
	a := p.Attr
	h := &tar.Header{
		Name: relative(p.Path), Mode: int64(a.Mode & 0o7777), Uid: int(a.UID), Gid: int(a.GID), ModTime: a.ModTime,
	}
	switch a.Mode & iso9660.ModeType {
	case iso9660.ModeRegular:
		if _, ok := p.Source.(*Patch); ok {
			h.Name = patchesPath + h.Name
		}
		return e.file(h, p.Source)
	case iso9660.ModeDir:
		h.Typeflag = tar.TypeDir
		if h.Name += "/"; h.Name == "/" {
			h.Name = "./"
		}
	case iso9660.ModeSymlink:
		h.Typeflag, h.Linkname = tar.TypeSymlink, a.Link
	case iso9660.ModeChar, iso9660.ModeBlock:
		h.Typeflag = tar.TypeChar
		if a.Mode&iso9660.ModeType == iso9660.ModeBlock {
			h.Typeflag = tar.TypeBlock
		}
		h.Devmajor, h.Devminor = int64(a.Major), int64(a.Minor)
	case iso9660.ModeFIFO:
		h.Typeflag = tar.TypeFifo
	default:
		return fmt.Errorf("%w: a socket", ErrUnsupported)
	}
	return e.header(h)
}

// file writes a regular file, or a hard link to the same content.
func (e *encoder) file(h *tar.Header, src extent.Source) error {
	if src == nil {
		h.Typeflag = tar.TypeReg
		return e.header(h)
	}
	if first := e.names[src]; first != "" && src.Size() > 0 {
		h.Typeflag, h.Linkname = tar.TypeLink, first
		return e.header(h)
	}
	e.names[src] = h.Name
	if p, ok := src.(*Patch); ok {
		src, h.PAXRecords = p.Data, p.records("/"+strings.TrimPrefix(h.Name, patchesPath))
	}
	h.Typeflag, h.Size = tar.TypeReg, src.Size()
	if err := e.header(h); err != nil {
		return err
	}
	_, err := io.Copy(e.w, io.NewSectionReader(src, 0, src.Size()))
	return err
}
