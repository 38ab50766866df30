package isofile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/fault"
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

// Result is an image of an Isofile. Close it, and its Builder, when it is written.
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
	// ErrSecret reports a secret that RUN names and nobody gave.
	ErrSecret = errors.New("there is no secret")
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

// run is one run of Build.
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

// needed returns which stages the n-th needs, itself included.
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
