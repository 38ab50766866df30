package bootedit

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/pe"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
)

// maxBootFile is the size up to which files are searched for the UUID: boot
// configurations are far smaller.
const maxBootFile = 1 << 20

// renewal gives an image another UUID: the modification date of its primary
// descriptor, which boot configurations search for.
type renewal struct {
	s        *stage.Stage
	old, now []byte // as boot files write them, of one length
	Time     time.Time
	named    []string // files that named the old one
}

// RenewUUID changes every boot file that names the UUID, in the tree and in FAT
// images that firmware boots from, and returns the new modification date and what
// was done.
func RenewUUID(s *stage.Stage) (*renewal, error) {
	r := &renewal{s: s, old: []byte(s.Base.Image().Primary().Modified().UUID())}
	r.Time = newDate(s)
	r.now = []byte(iso9660.NewDate17(r.Time).UUID())
	if len(r.old) == 0 {
		return r, nil // nothing can name it
	}
	if err := r.treeFiles(); err != nil {
		return nil, err
	}
	volumes, err := s.FatVolumes()
	if err != nil {
		return nil, err
	}
	for _, v := range volumes {
		if err := r.fatFiles(v); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// newDate is the date that the new UUID is made of. There is no clock in it: the
// same base and the same files give the same UUID. It is SOURCE_DATE_EPOCH, else
// the time of the newest file put in, and always later than the base's.
func newDate(s *stage.Stage) time.Time {
	var t time.Time
	if s.Options.Epoch != nil {
		t = *s.Options.Epoch
	} else {
		_ = s.Tree.Walk(func(n *tree.Node) error {
			if n.Replaced() && n.ModTime.After(t) {
				t = n.ModTime
			}
			return nil
		})
	}
	if old := s.Base.Image().Primary().Modified().Time(); !t.After(old) {
		t = old.Add(10 * time.Millisecond) // the last digits
	}
	return t.UTC()
}

// treeFiles changes the boot files of the tree, and the names of those that are
// called after the UUID.
func (r *renewal) treeFiles() error {
	var hits []*tree.Node
	if err := r.s.Tree.Walk(func(n *tree.Node) error {
		if n.IsRegular() && n.Size() <= maxBootFile && bootFile(n.Path()) {
			hits = append(hits, n)
		}
		return nil
	}); err != nil {
		return err
	}
	for _, n := range hits {
		content, err := r.s.Reader().Content(n, maxBootFile)
		if err != nil {
			return err
		}
		if r.replaces(content) {
			src := fat.Bytes(bytes.ReplaceAll(content, r.old, r.now))
			if err := r.s.Tree.Do(tree.Put{Path: n.Path(), Attr: n.Attr, Source: src}); err != nil {
				return err
			}
			r.named = append(r.named, n.Path())
		}
		if strings.Contains(n.Name, string(r.old)) {
			to := path.Join(path.Dir(n.Path()), strings.ReplaceAll(n.Name, string(r.old), string(r.now)))
			if err := r.s.Tree.Do(tree.Rename{Old: n.Path(), New: to}); err != nil {
				return err
			}
			r.named = append(r.named, to)
		}
	}
	return nil
}

// replaces reports whether a file names the UUID and may be changed: programs that
// are signed would not start any more.
func (r *renewal) replaces(content []byte) bool {
	if !bytes.Contains(content, r.old) {
		return false
	}
	if !bytes.HasPrefix(content, []byte("MZ")) {
		return true
	}
	p, err := pe.Open(bytes.NewReader(content), int64(len(content)))
	return err == nil && len(p.Signatures) == 0
}

// bootFile reports a path where boot loaders have their configuration.
func bootFile(p string) bool {
	switch strings.ToLower(path.Ext(p)) {
	case ".cfg", ".conf", ".lst", ".prm", ".uuid", ".nsh", ".ini", ".ipxe":
		return true
	}
	for dir := range strings.SplitSeq(strings.ToLower(path.Dir(p)), "/") {
		if slices.Contains([]string{"boot", "efi", "isolinux", "syslinux", "loader", ".disk", "etc", "grub", "grub2", "limine"}, dir) {
			return true
		}
	}
	return false
}

// fatFiles changes the files of a FAT image that firmware boots from.
func (r *renewal) fatFiles(v *stage.FatVolume) error {
	if !v.Intact() {
		return nil // nothing is changed in it
	}
	now := map[string]extent.Source{}
	err := fs.WalkDir(v, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Size() > maxBootFile {
			return err
		}
		content, err := fs.ReadFile(v, p)
		if err == nil && r.replaces(content) {
			now[p] = fat.Bytes(bytes.ReplaceAll(content, r.old, r.now))
			r.named = append(r.named, v.Prefix()+p)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", v.Prefix(), err)
	}
	return putSources(v, now)
}

// Note says what the new UUID is and what named the old one.
func (r *renewal) Note() string {
	named := "no boot file named the old one"
	if len(r.named) > 0 {
		slices.Sort(r.named)
		named = "changed in " + strings.Join(slices.Compact(r.named), ", ")
	}
	return fmt.Sprintf("UUID %s, was %s; %s", r.now, cmp.Or(string(r.old), "none"), named)
}
