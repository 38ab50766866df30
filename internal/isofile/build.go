package isofile

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/master/scan"
	"github.com/isolayer/isolayer/internal/recipe"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/store"
	"github.com/isolayer/isolayer/internal/tree"
)

// Builder makes images of Isofiles, a layer an instruction, and keeps the layers. It is
// safe for concurrent use.
type Builder struct {
	Store   *store.Store
	Context string // the folder that COPY and ADD read from, and FROM
	// Args take the place of ARG's defaults, Secrets are files by the id that RUN
	// --mount=type=secret has.
	Args, Secrets       map[string]string
	NoCache, VerifyBase bool
	// Limits bound what reading each image may cost; zero ones are fault.Defaults.
	Limits fault.Limits
	// Options are those of Build; media check and epoch of an Isofile go over them.
	Options stage.Options
	// Run runs a command for RUN; without it RUN is refused.
	Run func(context.Context, RunCommand) ([]tree.Edit, func() error, error)
	// Say hears what is done.
	Say func(Progress)
	// Fetch gets what ADD names by URL; without it that is refused.
	Fetch func(ctx context.Context, url string, w io.Writer) error

	mu     sync.Mutex
	bases  map[string]*baseimage.Base
	making map[store.Key]*sync.Mutex
}

// RunCommand is a command that RUN states.
type RunCommand struct {
	Image   string   // the image file to run it in
	Args    []string // program and arguments
	Env     []string
	Network bool
	Secrets map[string]string // files by the names below /run/secrets
}

// Progress is a step that is done or begins.
type Progress struct {
	Step, Of int // from 1
	Text     string
	Cached   bool
	Begun    bool // it was said before that it begins: a cached one is only said to be done
	Done     bool
	Took     time.Duration
	// Notes and Warnings are what the instruction says of itself; none if it is cached.
	Notes, Warnings []string
}

// Result is an image of an Isofile. Close it, and its Bakery, when it is written.
type Result struct {
	*build.Image
	Base   *baseimage.Base
	Config store.Config
	Layers []store.Descriptor

	steps []edit.Layer
}

var (
	// ErrBaseDigest reports a base that is not the one that the Isofile pins.
	ErrBaseDigest = errors.New("the base is not the one that is pinned")
	// ErrOutside reports a source that is not in the context.
	ErrOutside = errors.New("is outside of the Isofile's folder")
	// ErrCommand reports a command of RUN that failed.
	ErrCommand = errors.New("the command failed")
)

// Close closes the bases.
func (k *Builder) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var errs []error
	for _, b := range k.bases {
		errs = append(errs, b.Close())
	}
	k.bases = nil
	return errors.Join(errs...)
}

// state is what the instructions up to one have come to.
type state struct {
	base   *baseimage.Base
	digest store.Digest // of the base
	key    store.Key
	layers []store.Descriptor
	steps  []edit.Step // that apply the layers
	env    recipe.Vars
	args   recipe.Vars // ARG and ENV, for words
	config store.Config
}

// run is one run of Bake.
type run struct {
	*Builder
	r      *recipe.Recipe
	values map[string]string
	stages []*state
	step   int
	of     int

	notes, warnings []string // of the step that is carried out
	early           []string // warnings of the next one
}

// Build makes the image of the last stage. The values go into templates.
func (k *Builder) Build(ctx context.Context, r *recipe.Recipe, values map[string]string) (*Result, error) {
	c := &run{Builder: k, r: r, values: values}
	last := len(r.Stages) - 1
	needed := c.needed(last)
	for n := range r.Stages {
		if needed[n] {
			c.of += 1 + len(r.Stages[n].Steps)
		}
	}
	for n := range r.Stages {
		var s *state
		if needed[n] {
			var err error
			if s, err = c.stage(ctx, n); err != nil {
				return nil, err
			}
		}
		c.stages = append(c.stages, s)
	}
	s := c.stages[last]
	o := k.Options
	if o.MediaCheck == "" {
		o.MediaCheck = stage.MediaCheck(s.config.Options["media-check"])
	}
	img, err := s.build(ctx, o, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.File, err)
	}
	b := &Result{Image: img, Base: s.base, Config: s.config, Layers: s.layers}
	for _, step := range s.steps {
		b.steps = append(b.steps, step.(edit.Layer))
	}
	return b, nil
}

// needed tells which stages the n-th needs, itself included.
func (c *run) needed(n int) map[int]bool {
	out := map[int]bool{}
	todo := []int{n}
	for len(todo) > 0 {
		k := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if out[k] {
			continue
		}
		out[k] = true
		from := []string{c.r.Stages[k].From.Words[0]}
		for i := range c.r.Stages[k].Steps {
			if name, ok := c.r.Stages[k].Steps[i].Flag("from"); ok {
				from = append(from, name)
			}
		}
		for _, name := range from {
			if j, ok := c.r.Stage(name, k); ok {
				todo = append(todo, j)
			}
		}
	}
	return out
}

// stage carries out a stage.
func (c *run) stage(ctx context.Context, n int) (*state, error) {
	st := &c.r.Stages[n]
	s, err := c.from(ctx, st, n)
	if err != nil {
		return nil, c.r.At(&st.From, err)
	}
	for i := range st.Steps {
		if err := c.instruction(ctx, s, &st.Steps[i]); err != nil {
			return nil, c.r.At(&st.Steps[i], err)
		}
	}
	return s, nil
}

// undefined warns of variables that an instruction uses and nothing defines.
func (c *run) undefined(vars recipe.Vars, i *recipe.Instruction) {
	for _, name := range vars.Undefined(i) {
		c.early = append(c.early, fmt.Sprintf("%s:%d: $%s is not defined and is empty here", filepath.Base(c.r.File), i.Line, name))
	}
}

// under is a step under way.
type under struct {
	c     *run
	b     Progress
	start time.Time
	early []string
}

// begin begins a step. What is not cached says so by working, then both by done.
func (c *run) begin(text string) *under {
	c.step++
	c.notes, c.warnings = nil, nil
	u := &under{c: c, b: Progress{Step: c.step, Of: c.of, Text: text}, start: time.Now(), early: c.early}
	c.early = nil
	return u
}

// working says that the step begins.
func (u *under) working() {
	u.say(u.b)
	u.b.Begun = true
}

// done says that the step has ended.
func (u *under) done(cached bool) {
	b := u.b
	b.Cached, b.Done, b.Took = cached, true, time.Since(u.start)
	b.Notes, b.Warnings = u.c.notes, slices.Concat(u.early, u.c.warnings)
	u.say(b)
}

func (u *under) say(b Progress) {
	if u.c.Say != nil {
		u.c.Say(b)
	}
}

// from begins a stage with its base.
func (c *run) from(ctx context.Context, st *recipe.Stage, n int) (*state, error) {
	globals := recipe.Vars{}
	for i := range c.r.Args {
		if err := c.arg(globals, &c.r.Args[i], nil); err != nil {
			return nil, err
		}
	}
	c.undefined(globals, &st.From)
	step := c.begin(st.From.Text)
	step.working()
	words, err := globals.Words(&st.From)
	if err != nil {
		return nil, err
	}
	if k, ok := c.r.Stage(words[0], n); ok {
		old := c.stages[k]
		s := *old
		s.layers, s.steps = slices.Clone(old.layers), slices.Clone(old.steps)
		s.config.History, s.config.Labels, s.config.Options = slices.Clone(old.config.History), maps.Clone(old.config.Labels), maps.Clone(old.config.Options)
		s.env, s.args = maps.Clone(old.env), maps.Clone(old.env)
		step.done(false)
		return &s, nil
	}
	name, pin, pinned := strings.Cut(words[0], "@")
	path := name
	if name == "scratch" {
		if path, err = c.scratch(ctx); err != nil {
			return nil, err
		}
	} else if !filepath.IsAbs(path) {
		path = filepath.Join(c.Context, filepath.FromSlash(name))
	}
	base, err := c.open(path)
	if err != nil {
		return nil, err
	}
	digest, err := c.Store.FileDigest(path, c.VerifyBase, func() (store.Digest, error) { return sum(ctx, base.Source()) })
	if err != nil {
		return nil, err
	}
	if pinned {
		want, err := store.ParseDigest(pin)
		if err != nil {
			return nil, err
		}
		if want != digest {
			return nil, fmt.Errorf("%s: %w: it is %s", name, ErrBaseDigest, digest)
		}
	}
	s := &state{base: base, digest: digest, env: recipe.Vars{}, args: recipe.Vars{}}
	s.config = store.Config{Base: filepath.Base(name), Digest: digest, Labels: map[string]string{}, Options: map[string]string{}, History: []store.Step{}}
	s.key = keyOfStep(store.Key{}, map[string]any{"base": digest, "epoch": c.epoch(base).Unix()})
	step.done(false)
	return s, nil
}

// scratch is an image with nothing in it, in the store.
func (k *Builder) scratch(ctx context.Context) (path string, err error) {
	dir, err := os.MkdirTemp("", "isolayer-scratch-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.Remove(dir)) }()
	t, mode := time.Unix(0, 0).UTC(), uint32(0o755)
	if k.Options.Epoch != nil {
		t = *k.Options.Epoch
	}
	img, err := build.Master([]scan.Graft{{Source: dir}}, scan.Options{
		RockRidge: true, Joliet: true, Rational: true, DirMode: &mode, Epoch: &t,
		Texts: iso9660.VolumeTexts{Volume: "ISOIMAGE", Created: t, Modified: t},
	})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	d, err := k.Store.Put(ctx, func(w io.Writer) error {
		_, err := img.Stream(ctx, w, sinkOptions)
		return err
	})
	return k.Store.Path(d.Digest), err
}

// epoch is the time of everything that is put into images.
func (k *Builder) epoch(b *baseimage.Base) time.Time {
	if k.Options.Epoch != nil {
		return *k.Options.Epoch
	}
	if t := tree.Epoch(b.Image()); !t.IsZero() {
		return t
	}
	return time.Unix(0, 0).UTC()
}

// open opens a base once.
func (k *Builder) open(path string) (*baseimage.Base, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if b := k.bases[path]; b != nil {
		return b, nil
	}
	b, err := baseimage.Open(path, baseimage.OpenOptions{Limits: k.Limits})
	if err != nil {
		return nil, err
	}
	if k.bases == nil {
		k.bases = map[string]*baseimage.Base{}
	}
	k.bases[path] = b
	return b, nil
}

// sum is the SHA-256 of a source.
func sum(ctx context.Context, src extent.Source) (store.Digest, error) {
	h := sha256.New()
	buf := make([]byte, 1<<20)
	for off := int64(0); off < src.Size(); {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		b := buf[:min(int64(len(buf)), src.Size()-off)]
		if n, err := src.ReadAt(b, off); n < len(b) {
			return "", fmt.Errorf("read %s: %w", src.Name(), errors.Join(err, io.ErrUnexpectedEOF))
		}
		h.Write(b)
		off += int64(len(b))
	}
	return store.DigestOf(h), nil
}

// fileSum is the SHA-256 of a file, kept by its times.
func (k *Builder) fileSum(ctx context.Context, path string) (store.Digest, error) {
	return k.Store.FileDigest(path, false, func() (d store.Digest, err error) {
		files := extent.NewFiles()
		defer func() { err = errors.Join(err, files.Close()) }()
		src, err := files.Add(path)
		if err != nil {
			return "", err
		}
		return sum(ctx, src)
	})
}

// keyOfStep names what a step gives: after what, and what it does with which inputs.
func keyOfStep(before store.Key, what any) store.Key {
	b, err := json.Marshal(what)
	if err != nil {
		panic("internal error: " + err.Error()) // strings and numbers only
	}
	h := sha256.New()
	fmt.Fprintf(h, "isolayer step 2\n%x\n%s", before[:], b)
	return store.Key(h.Sum(nil))
}

// options are those of the builds in between.
func (k *Builder) options(s *state) stage.Options {
	o := k.Options
	t := k.epoch(s.base)
	o.Epoch, o.ExactTimes, o.MediaCheck = &t, true, stage.MediaStrip
	return o
}

// build plans the image of the state, with more steps if there are any.
func (s *state) build(ctx context.Context, o stage.Options, more []edit.Step) (*build.Image, error) {
	return build.Build(ctx, s.base, slices.Concat(s.steps, more), o)
}

// locked makes sure that one result is made once, also by several images at the same time.
func (k *Builder) locked(key store.Key) func() {
	k.mu.Lock()
	if k.making == nil {
		k.making = map[store.Key]*sync.Mutex{}
	}
	m := k.making[key]
	if m == nil {
		m = &sync.Mutex{}
		k.making[key] = m
	}
	k.mu.Unlock()
	m.Lock()
	return m.Unlock
}

// change applies steps as a layer: the one that is known under the key, or a new one.
func (c *run) change(ctx context.Context, s *state, i *recipe.Instruction, key store.Key, steps func() ([]edit.Step, func() error, error)) error {
	step := c.begin(i.Text)
	defer c.locked(key)()
	d, cached := c.Store.Find(key)
	if cached = cached && !c.NoCache; !cached {
		step.working()
		var err error
		if d, err = c.makeLayer(ctx, s, steps); err != nil {
			return err
		}
		if err := c.Store.Remember(key, d); err != nil {
			return err
		}
	}
	// A layer made again may be another, as that of RUN, and what follows patches it.
	s.key = keyOfStep(key, map[string]any{"layer": d.Digest})
	d.MediaType = store.MediaLayer
	s.layers = append(s.layers, d)
	s.steps = append(s.steps, edit.Layer{Path: c.Store.Path(d.Digest)})
	s.config.History = append(s.config.History, store.Step{Instruction: i.Text, Layer: d.Digest, Size: d.Size})
	step.done(cached)
	return nil
}

// makeLayer stores what steps change in the image of a state.
func (c *run) makeLayer(ctx context.Context, s *state, steps func() ([]edit.Step, func() error, error)) (d store.Descriptor, err error) {
	list, cleanup, err := steps()
	if cleanup != nil {
		defer func() { err = errors.Join(err, cleanup()) }()
	}
	if err != nil {
		return d, err
	}
	// A list of checksums would be one that the instruction put there, and no later one
	// would bring it in line.
	draft := c.options(s)
	draft.Draft = true
	before, err := s.build(ctx, draft, nil)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, before.Close()) }()
	after, err := s.build(ctx, draft, list)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, after.Close()) }()
	c.notes, c.warnings = since(before.Report.Notes, after.Report.Notes), since(before.Report.Warnings, after.Report.Warnings)
	l, unsaid, err := layerFrom(ctx, after, before)
	if err != nil {
		return d, err
	}
	if len(unsaid) > 0 {
		return d, fmt.Errorf("a layer cannot say: %s", strings.Join(unsaid, "; "))
	}
	return c.Store.Put(ctx, l.Write)
}

// since are the texts that were not there before.
func since(before, after []string) []string {
	return slices.DeleteFunc(slices.Clone(after), func(s string) bool { return slices.Contains(before, s) })
}

// materialise writes the image of a state to a temporary file, for RUN.
func (c *run) materialise(ctx context.Context, s *state) (path string, remove func() error, err error) {
	img, err := s.build(ctx, c.options(s), nil)
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	f, err := c.Store.Temp()
	if err != nil {
		return "", nil, err
	}
	remove = func() error { return os.Remove(f.Name()) }
	if err := f.Close(); err != nil {
		return "", remove, err
	}
	_, err = img.WriteFile(ctx, f.Name(), sinkOptions)
	return f.Name(), remove, err
}
