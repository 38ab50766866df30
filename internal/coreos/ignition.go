package coreos

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/cpio"
	"github.com/isolayer/isolayer/internal/distro"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
)

// IgnitionArea is where CoreOS images have room for an archive with an Ignition config:
// coreos/igninfo.json says where, else it is all of images/ignition.img.
type IgnitionArea struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"`
	Length int64  `json:"length"` // 0: up to the end
}

// ErrNoArea reports an image without room for an Ignition config.
var ErrNoArea = errors.New("the image has no area for an Ignition config")

// ErrAreaFull reports a config that does not fit.
var ErrAreaFull = errors.New("does not fit in the area for it")

// FindIgnitionArea finds the area, nil without one.
func FindIgnitionArea(s *stage.Stage) *IgnitionArea {
	files := s.Reader()
	a := &IgnitionArea{File: "images/ignition.img"}
	if text, err := files.Read("coreos/igninfo.json", 64<<10); err == nil && text != nil {
		if json.Unmarshal(text, a) != nil || a.Offset < 0 || a.Length < 0 {
			return nil
		}
	}
	n := s.Tree.Find(a.File)
	if n == nil || !n.IsRegular() || a.Offset > n.Size() || a.Length > n.Size()-a.Offset {
		return nil
	}
	if a.Length == 0 {
		a.Length = n.Size() - a.Offset
	}
	return a
}

// WriteIgnition writes an archive of the files into the area, as coreos-installer does,
// and zeros behind it. The file that the area is in keeps its length and its place.
func WriteIgnition(s *stage.Stage, files []distro.File) error {
	a := FindIgnitionArea(s)
	if a == nil {
		return ErrNoArea
	}
	archive, err := ignitionArchive(files)
	if err != nil {
		return err
	}
	if int64(len(archive)) > a.Length {
		return fmt.Errorf("%d bytes %w, which has %d", len(archive), ErrAreaFull, a.Length)
	}
	n := s.Tree.Find(a.File)
	src, off := n.Source, int64(0)
	if src == nil {
		if len(n.Content()) != 1 {
			return fmt.Errorf("%s is stored in %d pieces: %w", n.Path(), len(n.Content()), iso9660.ErrUnsupported)
		}
		src, off = s.Base.Source(), n.Content()[0].LBA.Offset()
	}
	old := make([]byte, a.Length)
	if got, err := src.ReadAt(old, off+a.Offset); int64(got) < a.Length {
		return err
	}
	if used := bytes.TrimRight(old, "\x00"); len(used) > 0 {
		s.Notes = append(s.Notes, "the image had an Ignition config already, which was replaced")
	}
	over := []extent.Extent{extent.BytesOf(a.Offset, archive)}
	if rest := bytes.TrimRight(old, "\x00"); len(rest) > len(archive) {
		over = append(over, extent.ZeroOf(a.Offset+int64(len(archive)), int64(len(rest)-len(archive))))
	}
	m, err := extent.Patched{Src: src, Off: off, Len: n.Size(), Patches: over}.Map()
	if err != nil {
		return err
	}
	s.Changed(n.Path(), "Ignition config", 1)
	return s.Tree.Do(tree.Put{Path: n.Path(), Attr: n.Attr, Source: extent.Compose(n.Path(), m)})
}

// ignitionArchive is an initrd of the files, compressed. There is no time in it.
func ignitionArchive(files []distro.File) ([]byte, error) {
	var list []cpio.File
	for _, f := range files {
		list = append(list, cpio.File{Name: f.Path, Mode: cpio.ModeReg | 0o600, ModTime: time.Unix(0, 0), Source: fat.Bytes(f.Content)})
	}
	m, err := cpio.New(list)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, m.Size())
	if _, err := m.ReadAt(plain, 0); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(plain); err != nil {
		return nil, err
	}
	err = z.Close()
	return b.Bytes(), err
}
