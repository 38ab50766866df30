package isolayer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/distro"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/menu"
	"github.com/isolayer/isolayer/internal/tree"
)

// Release tells which distribution the image is of.
func (b *Base) Release() (*distro.Release, error) {
	t, err := b.merged()
	if err != nil {
		return nil, err
	}
	return distro.Recognise(b.medium(t)), nil
}

// medium is what package distro wants to know of the image, with a tree of it.
func (b *Base) medium(t *tree.Tree) distro.Medium {
	return distro.Medium{Volume: tree.Files{Tree: t, Base: b.Open}, Label: b.img.Primary().VolumeID(), UDF: b.img.UDF()}
}

// medium is the image as earlier steps left it.
func (s *stage) medium() distro.Medium {
	m := s.base.medium(s.tree)
	if label, ok := s.fields[iso9660.FieldVolume]; ok {
		m.Label = label
	}
	return m
}

// release is what the image is recognised as. A label of the user's own says nothing of it.
func (s *stage) release() *distro.Release {
	m := s.medium()
	m.Label = s.base.img.Primary().VolumeID()
	return distro.Recognise(m)
}

// installs notes why the image overwrites disks without asking, if an answer file that
// came by other steps says so: an installer reads it only if a boot entry names it, unless
// it looks for it by itself.
func (s *stage) installs() error {
	fresh := func(p string) bool {
		n := s.tree.Exact(slashless(p))
		return n != nil && n.Replaced()
	}
	if !slices.ContainsFunc(distro.Places(), fresh) {
		return nil
	}
	menus, err := s.readMenus()
	if err != nil {
		return err
	}
	for _, f := range s.release().Placed(s.medium(), fresh) {
		why := f.Plan.Unattended
		if who := menu.Readers(menus, f.Path); len(who) > 0 {
			why += "; read by " + strings.Join(who, ", ")
		} else if len(f.Plan.Args) > 0 {
			s.note(fmt.Sprintf("no boot entry names %s, so nothing reads it: --%s FILE would let them", f.Path, f.Kind))
			continue
		}
		if !slices.ContainsFunc(s.unattended, func(w string) bool { return strings.HasPrefix(why, w) }) {
			s.unattended = append(s.unattended, why)
		}
	}
	return nil
}

// AnswerFile puts an answer file where the installer of the image looks for it and lets
// every boot entry name it. An image whose installer does not read such a file is an
// error.
type AnswerFile struct {
	Kind   distro.Kind
	Source string // local file
	// Content is that of the file if not nil; Source is then only its name.
	Content []byte
	// Entry, if not empty, is the title of a new entry that names the file; the others
	// stay as they are.
	Entry string
}

func (a AnswerFile) String() string { return string(a.Kind) + " " + a.Source }

// maxAnswer bounds what is read of an answer file.
const maxAnswer = 16 << 20

func (a AnswerFile) apply(s *stage) error {
	content, attr, err := a.read(s)
	if err != nil {
		return err
	}
	m := s.medium()
	plan, err := s.release().Answer(m, a.Kind, distro.File{Path: filepath.Base(a.Source), Content: content})
	if err != nil {
		return err
	}
	if a.Entry != "" && plan.Always {
		return fmt.Errorf("the installer reads the file whatever entry starts it; there is no entry of its own for it: %w", errors.ErrUnsupported)
	}
	for _, f := range plan.Files {
		if s.tree.Find(f.Path) != nil {
			s.notes = append(s.notes, fmt.Sprintf("%s was there already and was replaced", f.Path))
		}
		if err := s.put(f.Path, attr, fat.Bytes(f.Content)); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	if err := s.answerArchives(plan, attr); err != nil {
		return err
	}
	s.notes = append(s.notes, plan.Notes...)
	if a.Entry != "" {
		return s.answerEntry(a.Entry, plan)
	}
	if plan.Unattended != "" {
		s.unattended = append(s.unattended, plan.Unattended)
	}
	if len(plan.Args) == 0 {
		return nil
	}
	return s.kargs(Kargs{Args: plan.Args}, true)
}

// answerEntry adds an entry that names the answer file. Who reads a file of the tree is
// known in the end only (installs).
func (s *stage) answerEntry(title string, plan distro.Plan) error {
	if plan.Unattended != "" && len(plan.Files) == 0 {
		s.unattended = append(s.unattended, fmt.Sprintf("%s; read by %q only", plan.Unattended, title))
	}
	changes, err := parseKargs(plan.Args, false)
	if err != nil {
		return err
	}
	return s.changeMenus("entry added", func(e *menu.Edit) error {
		other, err := s.otherNames(e, changes, false)
		if err != nil {
			return err
		}
		return e.Add(title, slices.Concat(changes, other))
	})
}

// read returns the content of the answer file and the attributes it gets.
func (a AnswerFile) read(s *stage) ([]byte, tree.Attr, error) {
	attr := tree.Attr{Mode: newFileMode, ModTime: s.tree.Epoch}
	if a.Content != nil {
		return a.Content, attr, nil
	}
	info, err := os.Stat(a.Source)
	switch {
	case err != nil:
		return nil, attr, err
	case !info.Mode().IsRegular() || info.Size() > maxAnswer:
		return nil, attr, fmt.Errorf("%s %w", a.Source, distro.ErrAnswer)
	}
	content, err := os.ReadFile(a.Source)
	attr = s.attr(info)
	attr.Mode = newFileMode
	return content, attr, err
}

// answerArchives puts the files of a plan into the initrds, or into CoreOS's area.
func (s *stage) answerArchives(plan distro.Plan, attr tree.Attr) error {
	if len(plan.Initrd) > 0 {
		var files []local
		for _, f := range plan.Initrd {
			files = append(files, local{name: f.Path, attr: attr, src: fat.Bytes(f.Content)})
		}
		if err := s.addToInitrds(func(*bootInitrd) ([]local, error) { return files, nil }); err != nil {
			return err
		}
	}
	if len(plan.Area) > 0 {
		return s.writeIgnition(plan.Area)
	}
	return nil
}

// local is a file on its way into an initrd.
type local struct {
	name string
	attr tree.Attr
	src  extent.Source // nil for what has no content
}

// slashless is a path without a slash in front.
func slashless(p string) string { return strings.TrimPrefix(p, "/") }
