package isolayer

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/isolayer/isolayer/iso9660"
	"github.com/isolayer/isolayer/tree"
)

// ErrReserved reports an edit that makes untrue what a CoreOS image says of the areas
// that coreos-installer writes to.
var ErrReserved = errors.New("the edit moves or breaks an area that coreos-installer writes to")

// checkAreas tells whether the reserved areas of a CoreOS image are where it says:
// offsets in files by coreos/kargs.json and coreos/igninfo.json, and those in the image
// that older ones have in the system area.
func (b *books) checkAreas() error {
	files := tree.Files{Tree: b.tree, Base: b.content}
	if err := b.checkKargs(files); err != nil {
		return err
	}
	if text, err := files.Read("coreos/igninfo.json", 64<<10); err == nil && text != nil {
		area := ignitionArea{File: "images/ignition.img"}
		if json.Unmarshal(text, &area) == nil {
			was, is := exact(b.base, area.File), exact(b.tree, area.File)
			if was != nil && (is == nil || is.Size() != was.Size()) {
				return fmt.Errorf("/%s, which /coreos/igninfo.json names: %w", area.File, ErrReserved)
			}
		}
	}
	if err := b.checkSystemArea(); err != nil {
		return err
	}
	if n := b.base.Find("coreos/miniso.dat"); n != nil {
		b.s.warn("coreos-installer makes no minimal image of the result: " + n.Path() + " is about the image as it was")
	}
	return nil
}

// checkKargs looks whether each area for kernel arguments has what it had, or arguments
// and what fills it up.
func (b *books) checkKargs(files tree.Files) error {
	text, err := files.Read("coreos/kargs.json", 64<<10)
	if err != nil || text == nil || b.base.Find("coreos/kargs.json") == nil { // or it is the user's
		return nil
	}
	var info struct {
		Size  int64 `json:"size"`
		Files []struct {
			Path   string `json:"path"`
			Offset int64  `json:"offset"`
			Pad    string `json:"pad"`
			End    string `json:"end"`
		} `json:"files"`
	}
	if json.Unmarshal(text, &info) != nil || info.Size <= 0 || info.Size > 1<<20 {
		return nil // nobody can use it
	}
	var first string
	for i, f := range info.Files {
		content, err := files.Read(f.Path, 1<<20)
		if err != nil {
			return err
		}
		bad := fmt.Errorf("/%s, which /coreos/kargs.json names: %w", slashless(f.Path), ErrReserved)
		if f.Offset < 0 || f.Offset > int64(len(content)) || info.Size > int64(len(content))-f.Offset {
			return bad
		}
		pad, end := f.Pad, f.End
		if pad == "" {
			pad = "#"
		}
		if end == "" {
			end = "\n"
		}
		area := strings.TrimRight(string(content[f.Offset:f.Offset+info.Size]), pad)
		args := strings.TrimSpace(strings.TrimRight(area, end))
		if strings.ContainsAny(args, "\n{}#") || i > 0 && args != first || behind(content, f.Offset+info.Size) != b.behindArea(f.Path, info.Size) {
			return bad
		}
		first = args
	}
	return nil
}

// behind is the rest of the line at an offset.
func behind(text []byte, at int64) string {
	line, _, _ := strings.Cut(string(text[at:]), "\n")
	return line
}

// behindArea is what follows an area of the base on its line: the area's end is known by
// it.
func (b *books) behindArea(name string, size int64) string {
	files := tree.Files{Tree: b.base, Base: b.s.base.Open}
	var info struct {
		Files []struct {
			Path   string `json:"path"`
			Offset int64  `json:"offset"`
		} `json:"files"`
	}
	text, err := files.Read("coreos/kargs.json", 64<<10)
	if err != nil || json.Unmarshal(text, &info) != nil {
		return ""
	}
	for _, f := range info.Files {
		content, err := files.Read(name, 1<<20)
		if f.Path == name && err == nil && f.Offset >= 0 && f.Offset+size <= int64(len(content)) {
			return behind(content, f.Offset+size)
		}
	}
	return ""
}

// checkSystemArea looks at the headers at the end of the system area (images up to
// 2021): addresses of areas in the image.
func (b *books) checkSystemArea() error {
	const size = 24 + 72
	head := make([]byte, size)
	at := 16*int64(iso9660.BlockSize) - size
	if n, _ := b.s.base.src.ReadAt(head, at); n < size {
		return nil
	}
	var areas [][2]int64
	if ign := head[72:]; bytes.HasPrefix(ign, []byte("coreiso+")) {
		areas = append(areas, [2]int64{int64(binary.LittleEndian.Uint64(ign[8:])), int64(binary.LittleEndian.Uint64(ign[16:]))})
	}
	if bytes.HasPrefix(head, []byte("coreKarg")) {
		n := int64(binary.LittleEndian.Uint64(head[8:]))
		for i := 24; i < 72; i += 8 {
			if off := int64(binary.LittleEndian.Uint64(head[i:])); off > 0 {
				areas = append(areas, [2]int64{off, n})
			}
		}
	}
	for _, a := range areas {
		if was := lies(b.base, a[0]); was != "" && lies(b.tree, a[0]) != was {
			return fmt.Errorf("%s, which the system area names: %w", was, ErrReserved)
		}
	}
	return nil
}

// lies is the path of the file at a place of the image, and where in it that is.
func lies(t *tree.Tree, at int64) (out string) {
	_ = t.Walk(func(n *tree.Node) error {
		for _, s := range n.Content {
			if off := s.LBA.Offset(); n.IsRegular() && off <= at && at < off+s.Size {
				out = fmt.Sprintf("%s at %d", n.Path(), at-off)
			}
		}
		return nil
	})
	return out
}
