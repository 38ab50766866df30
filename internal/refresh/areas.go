package refresh

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/isolayer/isolayer/internal/coreos"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
)

// checkAreas reports whether the reserved areas of a CoreOS image are where it says:
// offsets in files by coreos/kargs.json and coreos/igninfo.json, and those in the image
// that older ones have in the system area.
func (b *checks) checkAreas() error {
	files := tree.Files{Tree: b.tree, Base: b.content}
	if err := b.checkKargs(files); err != nil {
		return err
	}
	if text, err := files.Read("coreos/igninfo.json", 64<<10); err == nil && text != nil {
		area := coreos.IgnitionArea{File: "images/ignition.img"}
		if json.Unmarshal(text, &area) == nil {
			was, is := b.base.Exact(area.File), b.tree.Exact(area.File)
			if was != nil && (is == nil || is.Size() != was.Size()) {
				return fmt.Errorf("/%s, which /coreos/igninfo.json names: %w", area.File, stage.ErrReserved)
			}
		}
	}
	if err := b.checkHeader(); err != nil {
		return err
	}
	if n := b.base.Find("coreos/miniso.dat"); n != nil {
		b.s.Warn("coreos-installer makes no minimal image of the result: " + n.Path() + " is about the image as it was")
	}
	return nil
}

// checkKargs looks whether each area for kernel arguments has what it had, or arguments
// and what fills it up.
func (b *checks) checkKargs(files tree.Files) error {
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
		bad := fmt.Errorf("/%s, which /coreos/kargs.json names: %w", stage.Slashless(f.Path), stage.ErrReserved)
		area, behind, err := readArea(b.tree, b.content, f.Path, f.Offset, info.Size)
		if err != nil {
			return err
		}
		if area == nil {
			return bad
		}
		args, ok := coreos.AreaArgs(string(area), cmp.Or(f.Pad, "#"), cmp.Or(f.End, "\n"))
		if !ok || i > 0 && args != first || behind != b.behindArea(f.Path, info.Size) {
			return bad
		}
		first = args
	}
	return nil
}

// readArea reads an area of a file, and what follows on its line; nil if there is none.
func readArea(t *tree.Tree, open func(*tree.Node) (io.ReaderAt, int64, error), name string, off, size int64) (area []byte, behind string, err error) {
	n := t.Exact(stage.Slashless(name))
	if n == nil || !n.IsRegular() {
		return nil, "", nil
	}
	r, all, err := open(n)
	if err != nil || off < 0 || off > all || size > all-off {
		return nil, "", err
	}
	text := make([]byte, min(size+maxBehind, all-off))
	if got, err := r.ReadAt(text, off); got < len(text) {
		return nil, "", fmt.Errorf("read %s: %w", n.Path(), err)
	}
	behind, _, _ = strings.Cut(string(text[size:]), "\n")
	return text[:size], behind, nil
}

// maxBehind is how much is looked at behind an area.
const maxBehind = 80

// behindArea is what follows an area of the base on its line: the area's end is known by
// it.
func (b *checks) behindArea(name string, size int64) string {
	files := tree.Files{Tree: b.base, Base: b.s.Base.Open}
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
		if f.Path == name {
			_, behind, _ := readArea(b.base, b.s.Base.Open, name, f.Offset, size)
			return behind
		}
	}
	return ""
}
