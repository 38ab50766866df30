package isofile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/apply"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/localtree"
	"github.com/isolayer/isolayer/internal/recipe"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
	"github.com/isolayer/isolayer/sink"
)

// sinkOptions are those of temporary images.
var sinkOptions = sink.Options{}

// instruction carries out one instruction.
func (c *run) instruction(ctx context.Context, s *state, i *recipe.Instruction) error {
	c.undefined(s.args, i)
	i, err := s.args.Flags(i)
	if err != nil {
		return err
	}
	switch i.Name {
	case "ARG", "ENV", "LABEL", "MEDIACHECK":
		step := c.begin(i.Text)
		step.working()
		err := c.note(s, i)
		step.done(false)
		return err
	case "RUN":
		return c.command(ctx, s, i)
	case "COPY", "ADD":
		return c.copy(ctx, s, i)
	}
	words, err := s.args.Words(i)
	if err != nil {
		return err
	}
	steps, inputs, err := c.plain(ctx, i, words)
	if err != nil {
		return err
	}
	key := keyOfStep(s.key, map[string]any{"name": i.Name, "flags": i.Flags, "words": words, "inputs": inputs})
	return c.change(ctx, s, i, key, func() ([]edit.Step, func() error, error) { return steps, nil, nil })
}

// note takes in what changes no content.
func (c *run) note(s *state, i *recipe.Instruction) error {
	if i.Name == "ARG" {
		return c.arg(s.args, i, s.env)
	}
	words, err := s.args.Words(i)
	if err != nil {
		return err
	}
	if i.Name == "MEDIACHECK" {
		if len(words) != 1 || !slices.Contains([]string{"auto", "implant", "strip"}, words[0]) {
			return fmt.Errorf("%w: MEDIACHECK takes auto, implant or strip", recipe.ErrSyntax)
		}
		s.config.Options["media-check"] = words[0]
		return nil
	}
	for _, w := range words {
		name, value, err := recipe.Pair(w)
		if err != nil {
			return err
		}
		if i.Name == "LABEL" {
			s.config.Labels[name] = value
		} else {
			s.env[name], s.args[name] = value, value
		}
	}
	return nil
}

// arg takes in ARG: the value given, the default, or one that was set before FROM.
func (c *run) arg(vars recipe.Vars, i *recipe.Instruction, env recipe.Vars) error {
	for _, w := range i.Words {
		x, err := vars.Expand(w)
		if err != nil {
			return err
		}
		name, value, known := strings.Cut(x, "=")
		if given, ok := c.Args[name]; ok {
			value, known = given, true
		} else if !known {
			for k := range c.r.Args {
				if n, v, ok := strings.Cut(c.r.Args[k].Words[0], "="); ok && n == name {
					if value, err = recipe.Vars(nil).Expand(v); err != nil {
						return err
					}
					known = true
				}
			}
		}
		if _, set := env[name]; !set && known { // ENV goes first
			vars[name] = value
		}
	}
	return nil
}

// number is how many words an instruction of its own takes.
func number(i *recipe.Instruction, words []string, n int, form string) error {
	if len(words) != n {
		return fmt.Errorf("%w: want %s %s", recipe.ErrSyntax, i.Name, form)
	}
	return nil
}

// fieldOf are the instructions that set texts of the descriptors.
var fieldOf = map[string]iso9660.Field{
	"VOLSET": iso9660.FieldVolumeSet, "PUBLISHER": iso9660.FieldPublisher, "PREPARER": iso9660.FieldPreparer, "APPID": iso9660.FieldApplication,
}

// plain are the steps of an instruction that says all itself, and the digests of the
// files that it reads.
func (c *run) plain(ctx context.Context, i *recipe.Instruction, words []string) (steps []edit.Step, inputs []string, err error) {
	switch i.Name {
	case "REMOVE":
		for _, w := range words {
			steps = append(steps, edit.Remove{Pattern: w})
		}
	case "RENAME":
		err = number(i, words, 2, "OLD NEW")
		if err == nil {
			steps = []edit.Step{edit.Move{Old: words[0], New: words[1]}}
		}
	case "SYMLINK":
		if err = number(i, words, 2, "TARGET PATH"); err == nil {
			steps = []edit.Step{edit.Link{Target: words[0], Path: words[1]}}
		}
	case "MKDIR":
		for _, w := range words {
			steps = append(steps, edit.Mkdir{Path: w})
		}
	case "CHMOD", "CHOWN":
		steps, err = setAttributes(i, words)
	case "VOLID":
		if err = number(i, words, 1, "LABEL"); err == nil {
			steps = []edit.Step{edit.Label{ID: words[0]}}
		}
	case "VOLSET", "PUBLISHER", "PREPARER", "APPID":
		if err = number(i, words, 1, "TEXT"); err == nil {
			steps = []edit.Step{apply.VolumeText{Field: fieldOf[i.Name], Text: words[0]}}
		}
	case "KARG":
		_, keep := i.Flag("keep")
		steps = []edit.Step{edit.Kargs{Args: words, Keep: keep}}
	case "MENU":
		if v, ok := i.Flag("timeout"); ok {
			n, err := strconv.Atoi(v)
			if err != nil {
				return nil, nil, fmt.Errorf("%w: --timeout=%s: want seconds", recipe.ErrSyntax, v)
			}
			steps = append(steps, edit.MenuTimeout{Seconds: n})
		}
		if v, ok := i.Flag("default"); ok {
			steps = append(steps, edit.DefaultEntry{Name: v})
		}
	case "ENTRY":
		steps = []edit.Step{edit.AddEntry{Title: words[0], Args: words[1:]}}
	case "LAYER":
		for _, w := range words {
			p, err := c.source(w)
			if err != nil {
				return nil, nil, err
			}
			d, err := c.fileSum(ctx, p)
			if err != nil {
				return nil, nil, err
			}
			steps, inputs = append(steps, edit.Layer{Path: p}), append(inputs, string(d))
		}
	default:
		return c.special(ctx, i, words)
	}
	return steps, inputs, err
}

// setAttributes are the steps of CHMOD and CHOWN.
func setAttributes(i *recipe.Instruction, words []string) (steps []edit.Step, err error) {
	if len(words) < 2 {
		return nil, fmt.Errorf("%w: want CHMOD MODE PATH…, or CHOWN UID:GID PATH…", recipe.ErrSyntax)
	}
	if i.Name == "CHOWN" {
		o, err := edit.ParseOwner(words[0])
		if err != nil {
			return nil, fmt.Errorf("%w: %w", recipe.ErrSyntax, err)
		}
		for _, w := range words[1:] {
			steps = append(steps, edit.Chown{UID: o.UID, GID: o.GID, Path: w})
		}
		return steps, nil
	}
	mode, err := edit.ParseMode(words[0])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", recipe.ErrSyntax, err)
	}
	for _, w := range words[1:] {
		steps = append(steps, edit.Chmod{Mode: mode, Path: w})
	}
	return steps, nil
}

// item is a file, directory or link that COPY puts into the image.
type item struct {
	local string // "" for what is not a file of the context
	dest  string
	attr  tree.Attr
	src   extent.Source
	sum   string // digest of the content
}

// items is the step that puts them there.
type items struct {
	edit.Other
	list []item
	text string
}

func (x items) String() string { return x.text }

func (x items) Apply(s *stage.Stage) error {
	for _, i := range x.list {
		src := i.src
		if i.local != "" && src == nil {
			f, err := s.Files.Add(i.local)
			if err != nil {
				return err
			}
			src = f
		}
		if err := apply.PutAt(s, i.dest, i.attr, src); err != nil {
			return fmt.Errorf("%s: %w", i.dest, err)
		}
	}
	return nil
}

// copy carries out COPY and ADD.
func (c *run) copy(ctx context.Context, s *state, i *recipe.Instruction) (err error) {
	words, err := s.args.Words(i)
	if err != nil {
		return err
	}
	if len(words) < 2 {
		return fmt.Errorf("%w: want %s SOURCE… DESTINATION", recipe.ErrSyntax, i.Name)
	}
	g := &copyContext{run: c, ctx: ctx, s: s, i: i, epoch: c.epoch(s.base)}
	defer func() { err = errors.Join(err, g.close()) }()
	if err := g.flags(); err != nil {
		return err
	}
	sources, dest := words[:len(words)-1], words[len(words)-1]
	if dest == "" {
		return fmt.Errorf("%w: the destination is empty", recipe.ErrSyntax)
	}
	if len(sources) > 1 && !localtree.IsInto(dest) {
		return fmt.Errorf("%w: with several sources the destination ends in a slash", recipe.ErrSyntax)
	}
	docs := i.Docs
	for _, src := range sources {
		if len(docs) > 0 && src == docs[0].Word {
			text, err := s.args.Doc(docs[0])
			if err != nil {
				return err
			}
			if err := g.text(docs[0].Name, text, dest); err != nil {
				return err
			}
			docs = docs[1:]
			continue
		}
		if err := g.source(src, dest); err != nil {
			return err
		}
	}
	var inputs []any
	for _, x := range g.list {
		inputs = append(inputs, []any{x.dest, x.attr.Mode, x.attr.UID, x.attr.GID, x.attr.Link, x.attr.ModTime.Unix(), x.sum})
	}
	key := keyOfStep(s.key, map[string]any{"name": "COPY", "inputs": inputs})
	return c.change(ctx, s, i, key, func() ([]edit.Step, func() error, error) {
		return []edit.Step{items{list: g.list, text: strings.ToLower(i.Name)}}, nil, nil
	})
}
