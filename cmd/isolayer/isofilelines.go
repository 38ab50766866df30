package main

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
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isofile"
	"github.com/isolayer/isolayer/internal/localtree"
	"github.com/isolayer/isolayer/internal/recipe"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
)

// errNoIsofile reports a step that an Isofile has no instruction for.
var errNoIsofile = errors.New("no instruction of an Isofile does that")

// printIsofile prints the Isofile, to lie in the current directory, that does what a
// command line does.
func (a *app) printIsofile(ctx context.Context, base string, o buildOptions, options stage.Options) error {
	p := isofilePrinter{app: a, ctx: ctx, base: base, options: options}
	p.line("FROM", base)
	for i := range o.steps {
		if err := p.step(o.steps[:i], o.steps[i]); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		field iso9660.Field
		name  string
	}{{iso9660.FieldVolumeSet, "VOLSET"}, {iso9660.FieldPublisher, "PUBLISHER"}, {iso9660.FieldPreparer, "PREPARER"}, {iso9660.FieldApplication, "APPID"}} {
		if text, ok := options.Fields[f.field]; ok {
			p.line(f.name, text)
		}
	}
	if o.mediaCheck != "auto" {
		p.line("MEDIACHECK", o.mediaCheck)
	}
	text := strings.Join(p.lines, "\n") + "\n"
	if i := strings.IndexFunc(text, func(r rune) bool { return r == '\r' || r == 0 }); i >= 0 || !utf8.ValidString(text) || strings.Count(text, "\n") != len(p.lines) {
		return usagef("rename the file", "--print-isofile: an Isofile is lines of UTF-8 text, which a name is not")
	}
	_, err := fmt.Fprint(a.out, text)
	return err
}

// isofilePrinter makes the lines of an Isofile.
type isofilePrinter struct {
	*app
	ctx     context.Context
	base    string
	options stage.Options
	lines   []string
	kargs   bool // the last line is one of KARG …
	keep    bool // … --keep
}

func (p *isofilePrinter) line(name string, words ...string) {
	for _, w := range words {
		name += " " + recipe.Quote(w)
	}
	p.lines = append(p.lines, name)
	p.kargs = false
}

// step makes the instruction of a step that stands behind others.
func (p *isofilePrinter) step(before []edit.Step, s edit.Step) error {
	switch s := s.(type) {
	case edit.Add:
		return p.copy(before, s)
	case edit.Remove:
		p.line("REMOVE", s.Pattern)
	case edit.Move:
		p.line("RENAME", s.Old, s.New)
	case edit.Link:
		p.line("SYMLINK", s.Target, s.Path)
	case edit.Mkdir:
		p.line("MKDIR", s.Path)
	case edit.Chmod:
		p.line("CHMOD", strconv.FormatUint(uint64(s.Mode), 8), s.Path)
	case edit.Chown:
		p.line("CHOWN", fmt.Sprintf("%d:%d", s.UID, s.GID), s.Path)
	case edit.Layer:
		return p.file("LAYER", s.Path)
	case edit.Label:
		p.line("VOLID", s.ID)
	case edit.Kargs:
		p.karg(s)
	case edit.MenuTimeout:
		p.line(fmt.Sprintf("MENU --timeout=%d", s.Seconds))
	case edit.DefaultEntry:
		p.line("MENU --default=" + recipe.Quote(s.Name))
	case edit.AddEntry:
		p.line("ENTRY", append([]string{s.Title}, s.Args...)...)
	case edit.AnswerFile:
		if places[string(s.Kind)] != instructed || s.Entry != "" {
			return fmt.Errorf("%s: %w", s, errNoIsofile)
		}
		return p.file(strings.ToUpper(string(s.Kind)), s.Source)
	case edit.InitrdAdd:
		for _, add := range s.Adds {
			if err := p.file("INITRD", add.Source, slices.DeleteFunc([]string{add.Dest}, func(s string) bool { return s == "" })...); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("%s: %w", s, errNoIsofile)
	}
	return nil
}

// karg makes one instruction of arguments that stand behind each other: they are changed
// together.
func (p *isofilePrinter) karg(s edit.Kargs) {
	if p.kargs && p.keep == s.Keep {
		last := len(p.lines) - 1
		for _, x := range s.Args {
			p.lines[last] += " " + recipe.Quote(x)
		}
		return
	}
	name := "KARG"
	if s.Keep {
		name += " --keep"
	}
	p.line(name, s.Args...)
	p.kargs, p.keep = true, s.Keep
}

// file makes an instruction that reads a file of the Isofile's directory.
func (p *isofilePrinter) file(name, source string, more ...string) error {
	source, err := besideIsofile(source)
	if err == nil {
		p.line(name, append([]string{source}, more...)...)
	}
	return err
}

// besideIsofile is the name of a local file as instructions have it: below the directory
// of the Isofile, which is the current one.
func besideIsofile(source string) (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	at, err := filepath.Abs(source)
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(wd, at)
	if err != nil || !filepath.IsLocal(rel) {
		return "", hinted{fmt.Errorf("%s %w", source, isofile.ErrOutside), "run the command in a directory that holds all its files, and put the Isofile there"}
	}
	return filepath.ToSlash(rel), nil
}

// copy makes the instruction for --add: COPY takes what a directory holds, and the
// destination is spelled out.
func (p *isofilePrinter) copy(before []edit.Step, s edit.Add) error {
	info, err := os.Stat(s.Source)
	if err != nil {
		return err
	}
	dest := localtree.Destination(s.Dest, s.Source, info.IsDir(), func(dest string) (is bool) {
		is, err = p.isDirectory(before, dest)
		return is
	})
	if err != nil {
		return err
	}
	source, err := besideIsofile(s.Source)
	if err != nil {
		return err
	}
	if strings.ContainsAny(source, "*?[") { // which are patterns there
		source = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(source)
	}
	p.line("COPY", source, dest)
	return nil
}

// isDirectory reports whether the steps before leave a directory at a path.
func (p *isofilePrinter) isDirectory(before []edit.Step, dest string) (is bool, err error) {
	err = p.withTree(p.base, 0, func(base *baseimage.Base, t *tree.Tree) error {
		if object, inside, ok := stage.InObject(dest); ok {
			is, err = directoryIn(base, object, inside, before)
			return err
		}
		if strings.HasPrefix(dest, "@") {
			return nil
		}
		edits, err := apply.EditsOf(p.ctx, base, slices.DeleteFunc(slices.Clone(before), elsewhere), p.options)
		if errors.Is(err, stage.ErrNoEdit) { // a layer with boot equipment
			return usagef("let DST end in a slash", "--print-isofile: whether %s is a directory then is not known", dest)
		}
		if err != nil {
			return err
		}
		if err := t.Apply(edits); err != nil {
			return err
		}
		n, err := t.Lookup(dest)
		is = err == nil && n.IsDir()
		return nil
	})
	return is, err
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
