package isofile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/layer"
	"github.com/isolayer/isolayer/internal/recipe"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/store"
)

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

// asBase is a planned image to read from, as if it were a file.
func asBase(i *build.Image, name string) (*baseimage.Base, error) {
	return baseimage.OpenSource(extent.Compose(name, i.Map), baseimage.OpenOptions{Limits: fault.Unlimited()})
}

// layerFrom is the layer that turns one planned image into another.
// See RATIONALE.md, "A layer is the difference of two plans".
func layerFrom(ctx context.Context, i *build.Image, before *build.Image) (*layer.Layer, []string, error) {
	a, err := asBase(before, "before")
	if err != nil {
		return nil, nil, err
	}
	b, err := asBase(i, "after")
	if err != nil {
		return nil, nil, err
	}
	return build.MakeLayer(ctx, b, a, build.LayerOptions{Lower: before.Lower})
}
