package coreos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/isolayer/isolayer/internal/bootcfg"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/stage"
)

// Karea is kargs.json of CoreOS images: it says where in boot configurations there is
// room for kernel arguments, which coreos-installer writes there.
type Karea struct {
	path  string
	text  []byte
	Files []struct {
		Path   string `json:"path"`
		Offset int64  `json:"offset"`
	} `json:"files"`
	configs map[string]*areaOf // by path as listed
}

// areaOf is the area of one file.
type areaOf struct {
	config *bootcfg.Config
	before []byte
	index  int   // of the area in the file
	rest   int64 // from its beginning to its end
}

// Areas finds the areas of the image and marks the files that have one; nil without.
func Areas(s *stage.Stage, list []*stage.BootMenus) (*Karea, error) {
	const name = "coreos/kargs.json"
	files := s.Reader()
	found, dir, err := files.Lookup(name)
	if err != nil || dir {
		return nil, nil
	}
	k := &Karea{path: "/" + found, configs: map[string]*areaOf{}}
	if k.text, err = files.Read(found, bootcfg.MaxSize); err != nil {
		return nil, err
	}
	if json.Unmarshal(k.text, k) != nil {
		return nil, nil // nobody can use it
	}
	for _, f := range k.Files {
		for _, c := range list[0].Configs {
			if !strings.EqualFold(c.Path, strings.TrimPrefix(f.Path, "/")) {
				continue
			}
			for i, end := range c.File.Areas() {
				if f.Offset >= 0 && end > f.Offset {
					c.File.Reserved = true
					k.configs[f.Path] = &areaOf{config: c, before: c.File.Bytes(), index: i, rest: end - f.Offset}
					break
				}
			}
		}
	}
	return k, nil
}

// ErrArea reports an edit of what stands in front of an area on its line.
var ErrArea = fmt.Errorf("the argument stands in front of the area that coreos-installer writes to: %w", bootcfg.ErrRoom)

// RewriteAreas brings the offsets in kargs.json in line with files that changed in
// front of their areas.
func RewriteAreas(s *stage.Stage, k *Karea) error {
	if k == nil {
		return nil
	}
	text := k.text
	for _, f := range k.Files {
		a := k.configs[f.Path]
		if a == nil {
			continue
		}
		now, ends := a.config.File.Bytes(), a.config.File.Areas()
		if a.index >= len(ends) || ends[a.index] < a.rest {
			return fmt.Errorf("/%s: %w", a.config.Path, ErrArea)
		}
		at := ends[a.index] - a.rest
		line := bytes.LastIndexByte(a.before[:f.Offset], '\n') + 1
		if head := a.before[line:f.Offset]; !bytes.HasSuffix(now[:at], head) {
			return fmt.Errorf("/%s: %w", a.config.Path, ErrArea)
		}
		if at != f.Offset {
			text = moveOffset(text, f.Path, f.Offset, at)
		}
	}
	if bytes.Equal(text, k.text) {
		return nil
	}
	n, err := s.Tree.Lookup(k.path)
	if err != nil {
		return err
	}
	s.Changed(k.path, "offsets", 1)
	return s.Put(n.Path(), n.Attr, fat.Bytes(text))
}

// moveOffset changes the offset of a file in the text of kargs.json and no other byte.
func moveOffset(text []byte, name string, from, to int64) []byte {
	quoted, _ := json.Marshal(name) // a string
	at := bytes.Index(text, quoted)
	if at < 0 {
		return text
	}
	open := bytes.LastIndexByte(text[:at], '{')
	end := bytes.IndexByte(text[at:], '}')
	if open < 0 || end < 0 {
		return text
	}
	object := text[open : at+end]
	key := bytes.Index(object, []byte(`"offset"`))
	if key < 0 {
		return text
	}
	old := []byte(strconv.FormatInt(from, 10))
	i := bytes.Index(object[key:], old)
	if i < 0 {
		return text
	}
	i += open + key
	return append(append(append([]byte(nil), text[:i]...), strconv.FormatInt(to, 10)...), text[i+len(old):]...)
}
