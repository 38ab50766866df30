package apply

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/bootedit"
	"github.com/isolayer/isolayer/internal/coreos"
	"github.com/isolayer/isolayer/internal/distro"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/initrd"
	"github.com/isolayer/isolayer/internal/menu"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
)

// Installs notes why the image overwrites disks without asking, if an answer file that
// came by other steps says so: an installer reads it only if a boot entry names it, unless
// it looks for it by itself.
func Installs(s *stage.Stage) error {
	fresh := func(p string) bool {
		n := s.Tree.Exact(stage.Slashless(p))
		return n != nil && n.Replaced()
	}
	if !slices.ContainsFunc(distro.Places(), fresh) {
		return nil
	}
	menus, err := bootedit.ReadMenus(s)
	if err != nil {
		return err
	}
	for _, f := range s.Release().Placed(s.Medium(), fresh) {
		why := f.Plan.Unattended
		if who := menu.Readers(menus, f.Path); len(who) > 0 {
			why += "; read by " + strings.Join(who, ", ")
		} else if len(f.Plan.Args) > 0 {
			s.Note(fmt.Sprintf("no boot entry names %s, so nothing reads it: --%s FILE would let them", f.Path, f.Kind))
			continue
		}
		if !slices.ContainsFunc(s.Unattended, func(w string) bool { return strings.HasPrefix(why, w) }) {
			s.Unattended = append(s.Unattended, why)
		}
	}
	return nil
}

// maxAnswer bounds what is read of an answer file.
const maxAnswer = 16 << 20

func applyAnswerFile(s *stage.Stage, a edit.AnswerFile) error {
	content, attr, err := read(a, s)
	if err != nil {
		return err
	}
	m := s.Medium()
	plan, err := s.Release().Answer(m, a.Kind, distro.File{Path: filepath.Base(a.Source), Content: content})
	if err != nil {
		return err
	}
	if a.Entry != "" && plan.Always {
		return fmt.Errorf("the installer reads the file whatever entry starts it; there is no entry of its own for it: %w", errors.ErrUnsupported)
	}
	for _, f := range plan.Files {
		if s.Tree.Find(f.Path) != nil {
			s.Notes = append(s.Notes, fmt.Sprintf("%s was there already and was replaced", f.Path))
		}
		if err := s.Put(f.Path, attr, fat.Bytes(f.Content)); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	if err := answerArchives(s, plan, attr); err != nil {
		return err
	}
	s.Notes = append(s.Notes, plan.Notes...)
	if a.Entry != "" {
		return answerEntry(s, a.Entry, plan)
	}
	if plan.Unattended != "" {
		s.Unattended = append(s.Unattended, plan.Unattended)
	}
	if len(plan.Args) == 0 {
		return nil
	}
	return kargs(s, edit.Kargs{Args: plan.Args}, true)
}

// answerEntry adds an entry that names the answer file. Who reads a file of the tree is
// known in the end only (installs).
func answerEntry(s *stage.Stage, title string, plan distro.Plan) error {
	if plan.Unattended != "" && len(plan.Files) == 0 {
		s.Unattended = append(s.Unattended, fmt.Sprintf("%s; read by %q only", plan.Unattended, title))
	}
	changes, err := parseKargs(plan.Args, false)
	if err != nil {
		return err
	}
	return bootedit.ChangeMenus(s, "entry added", func(e *menu.Edit) error {
		other, err := otherNames(s, e, changes, false)
		if err != nil {
			return err
		}
		return e.Add(title, slices.Concat(changes, other))
	})
}

// read returns the content of the answer file and the attributes it gets.
func read(a edit.AnswerFile, s *stage.Stage) ([]byte, tree.Attr, error) {
	attr := tree.Attr{Mode: stage.NewFileMode, ModTime: s.Tree.Epoch}
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
	attr = s.Attr(info)
	attr.Mode = stage.NewFileMode
	return content, attr, err
}

// answerArchives puts the files of a plan into the initrds, or into CoreOS's area.
func answerArchives(s *stage.Stage, plan distro.Plan, attr tree.Attr) error {
	if len(plan.Initrd) > 0 {
		var files []stage.Local
		for _, f := range plan.Initrd {
			files = append(files, stage.Local{Name: f.Path, Attr: attr, Src: fat.Bytes(f.Content)})
		}
		if err := initrd.AddToInitrds(s, func(*initrd.BootInitrd) ([]stage.Local, error) { return files, nil }); err != nil {
			return err
		}
	}
	if len(plan.Area) > 0 {
		return coreos.WriteIgnition(s, plan.Area)
	}
	return nil
}
