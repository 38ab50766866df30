package isofile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/master/scan"
	"github.com/isolayer/isolayer/internal/recipe"
	"github.com/isolayer/isolayer/internal/store"
	"github.com/isolayer/isolayer/internal/tree"
)

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
