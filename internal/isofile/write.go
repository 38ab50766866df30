package isofile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/apply"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/localtree"
	"github.com/isolayer/isolayer/internal/recipe"
	"github.com/isolayer/isolayer/internal/stage"
)

var (
	// ErrNoInstruction reports a step that an Isofile has no instruction for.
	ErrNoInstruction = errors.New("no instruction of an Isofile does that")
	// ErrNotText reports a name that no Isofile can have.
	ErrNotText = errors.New("an Isofile is lines of UTF-8 text, which a name is not")
	// ErrUnknownDestination reports a destination of which nothing says whether it is a
	// directory.
	ErrUnknownDestination = errors.New("whether it is a directory then is not known")
)

// Text returns the Isofile, to lie in dir, that makes of FROM from what the steps make of
// base with these options.
func Text(ctx context.Context, base *baseimage.Base, from, dir string, steps []edit.Step, o stage.Options) (string, error) {
	w := writer{ctx: ctx, base: base, dir: dir, options: o}
	w.line("FROM", from)
	for i := range steps {
		if err := w.step(steps[:i], steps[i]); err != nil {
			return "", err
		}
	}
	for _, name := range []string{"VOLSET", "PUBLISHER", "PREPARER", "APPID"} {
		if text, ok := o.Fields[fieldOf[name]]; ok {
			w.line(name, text)
		}
	}
	if o.MediaCheck != "" && o.MediaCheck != stage.MediaAuto {
		w.line("MEDIACHECK", string(o.MediaCheck))
	}
	text := strings.Join(w.lines, "\n") + "\n"
	if strings.ContainsAny(text, "\r\x00") || !utf8.ValidString(text) || strings.Count(text, "\n") != len(w.lines) {
		return "", ErrNotText
	}
	return text, nil
}

// writer makes the lines of an Isofile.
type writer struct {
	ctx     context.Context
	base    *baseimage.Base
	dir     string
	options stage.Options
	lines   []string
	kargs   bool // the last line is one of KARG …
	keep    bool // … --keep
}

func (w *writer) line(name string, words ...string) {
	for _, word := range words {
		name += " " + recipe.Quote(word)
	}
	w.lines = append(w.lines, name)
	w.kargs = false
}

// step makes the instruction of a step that stands behind others.
func (w *writer) step(before []edit.Step, s edit.Step) error {
	if inMemory(s) {
		return fmt.Errorf("%s: %w", s, ErrNoInstruction)
	}
	switch s := s.(type) {
	case edit.Add:
		return w.copy(before, s)
	case edit.Remove:
		w.line("REMOVE", s.Pattern)
	case edit.Move:
		w.line("RENAME", s.Old, s.New)
	case edit.Link:
		w.line("SYMLINK", s.Target, s.Path)
	case edit.Mkdir:
		w.line("MKDIR", s.Path)
	case edit.Chmod:
		w.line("CHMOD", strconv.FormatUint(uint64(s.Mode), 8), s.Path)
	case edit.Chown:
		w.line("CHOWN", fmt.Sprintf("%d:%d", s.UID, s.GID), s.Path)
	case edit.Layer:
		return w.file("LAYER", s.Path)
	case edit.Label:
		w.line("VOLID", s.ID)
	case edit.Kargs:
		w.karg(s)
	case edit.MenuTimeout:
		w.line(fmt.Sprintf("MENU --timeout=%d", s.Seconds))
	case edit.DefaultEntry:
		w.line("MENU --default=" + recipe.Quote(s.Name))
	case edit.AddEntry:
		w.line("ENTRY", append([]string{s.Title}, s.Args...)...)
	case edit.AnswerFile:
		name := strings.ToUpper(string(s.Kind))
		if !recipe.Known(name) || s.Entry != "" {
			return fmt.Errorf("%s: %w", s, ErrNoInstruction)
		}
		return w.file(name, s.Source)
	case edit.InitrdAdd:
		return w.initrd(s)
	default:
		return fmt.Errorf("%s: %w", s, ErrNoInstruction)
	}
	return nil
}

// inMemory reports a step with content that is in no file, which an instruction could name.
func inMemory(s edit.Step) bool {
	switch s := s.(type) {
	case edit.Layer:
		return s.Source != nil
	case edit.AnswerFile:
		return s.Content != nil
	case edit.InitrdAdd:
		return len(s.Puts) > 0
	}
	return false
}

// initrd makes an instruction of each file.
func (w *writer) initrd(s edit.InitrdAdd) error {
	for _, add := range s.Adds {
		var dest []string
		if add.Dest != "" {
			dest = []string{add.Dest}
		}
		if err := w.file("INITRD", add.Source, dest...); err != nil {
			return err
		}
	}
	return nil
}

// karg makes one instruction of arguments that stand behind each other: they are changed
// together.
func (w *writer) karg(s edit.Kargs) {
	if w.kargs && w.keep == s.Keep {
		last := len(w.lines) - 1
		for _, x := range s.Args {
			w.lines[last] += " " + recipe.Quote(x)
		}
		return
	}
	name := "KARG"
	if s.Keep {
		name += " --keep"
	}
	w.line(name, s.Args...)
	w.kargs, w.keep = true, s.Keep
}

// file makes an instruction that reads a file of the Isofile's directory.
func (w *writer) file(name, source string, more ...string) error {
	source, err := w.beside(source)
	if err == nil {
		w.line(name, append([]string{source}, more...)...)
	}
	return err
}

// beside is the name of a local file as instructions have it: below the directory of the
// Isofile.
func (w *writer) beside(source string) (string, error) {
	at, err := filepath.Abs(source)
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(w.dir, at)
	if err != nil || !filepath.IsLocal(rel) {
		return "", fmt.Errorf("%s %w", source, ErrOutside)
	}
	return filepath.ToSlash(rel), nil
}

// copy makes the instruction for an Add: COPY takes what a directory holds, and the
// destination is spelled out.
func (w *writer) copy(before []edit.Step, s edit.Add) error {
	info, err := os.Stat(s.Source)
	if err != nil {
		return err
	}
	dest := localtree.Destination(s.Dest, s.Source, info.IsDir(), func(dest string) (is bool) {
		is, err = w.isDirectory(before, dest)
		return is
	})
	if err != nil {
		return err
	}
	source, err := w.beside(s.Source)
	if err != nil {
		return err
	}
	if strings.ContainsAny(source, "*?[") { // which are patterns there
		source = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(source)
	}
	w.line("COPY", source, dest)
	return nil
}

// isDirectory reports whether the steps before leave a directory at a path.
func (w *writer) isDirectory(before []edit.Step, dest string) (bool, error) {
	if object, inside, ok := stage.InObject(dest); ok {
		return directoryIn(w.base, object, inside, before)
	}
	if strings.HasPrefix(dest, "@") {
		return false, nil
	}
	edits, err := apply.EditsOf(w.ctx, w.base, slices.DeleteFunc(slices.Clone(before), elsewhere), w.options)
	if errors.Is(err, stage.ErrNoEdit) { // a layer with boot equipment
		return false, fmt.Errorf("%s: %w", dest, ErrUnknownDestination)
	}
	if err != nil {
		return false, err
	}
	t, err := w.base.Tree()
	if err != nil {
		return false, err
	}
	if err := t.Apply(edits); err != nil {
		return false, err
	}
	n, err := t.Lookup(dest)
	return err == nil && n.IsDir(), nil
}

// elsewhere reports a step that makes no directory in the tree.
func elsewhere(s edit.Step) bool {
	switch s := s.(type) {
	case edit.Add:
		return strings.HasPrefix(s.Dest, "@")
	case edit.Mkdir:
		return strings.HasPrefix(s.Path, "@")
	case edit.Remove:
		return strings.HasPrefix(s.Pattern, "@")
	case edit.Move, edit.Layer, edit.Link:
		return false
	}
	return true
}

// directoryIn reports a directory in a FAT image, or one that a step before makes there.
func directoryIn(base *baseimage.Base, object, inside string, before []edit.Step) (bool, error) {
	img, err := base.FAT(object)
	if err != nil {
		return false, err
	}
	if _, is, err := img.Lookup(inside); err == nil && is {
		return true, nil
	}
	return slices.ContainsFunc(before, func(s edit.Step) bool {
		m, ok := s.(edit.Mkdir)
		return ok && strings.EqualFold(strings.TrimRight(m.Path, "/"), object+":/"+strings.Trim(inside, "/"))
	}), nil
}
