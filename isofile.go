package isolayer

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/isolayer/isolayer/internal/isofile"
	"github.com/isolayer/isolayer/internal/recipe"
	"github.com/isolayer/isolayer/internal/store"
)

// Isofile is how an image is made, written down with the syntax of Dockerfiles; see
// docs/isofile.md.
type Isofile struct{ r *recipe.Recipe }

// ParseIsofile reads an Isofile. name is that of the file, for errors, which name the line.
func ParseIsofile(name string, text []byte) (*Isofile, error) {
	r, err := recipe.Parse(name, text)
	if err != nil {
		return nil, err
	}
	return &Isofile{r}, nil
}

// IsofileOptions tune BuildIsofile.
type IsofileOptions struct {
	// Context is the directory that FROM, COPY and ADD read from; empty for the current one.
	Context string
	// Store is the directory where the layers of instructions are kept between builds, also
	// those of other processes. It is made if it is not there. Empty for a temporary one, which
	// is removed when the image is closed.
	Store string
	// Args take the place of the defaults of ARG, Values go into templates.
	Args, Values map[string]string
	// NoCache carries every instruction out again.
	NoCache bool
	// Limits bound what reading each image may cost.
	Limits Limits
	// Build tunes the builds. Its MediaCheck, unless empty, overrides that of the Isofile.
	// InPlace and what is preserved of files have no meaning here and are refused.
	Build BuildOptions
	// Progress, unless nil, is called for each instruction when it begins and when it is done.
	// step counts from 1.
	Progress func(step, of int, text string, done, cached bool)
}

// BuildIsofile makes the image of the last stage of an Isofile, a layer an instruction.
// Instructions whose inputs are those of an earlier build are taken from the store. RUN,
// which needs a workspace, and ADD of a URL are refused here with [errors.ErrUnsupported]; the
// command isolayer has them. An error names the line.
func BuildIsofile(ctx context.Context, f *Isofile, o IsofileOptions) (_ *Image, err error) {
	if p := o.Build; p.InPlace || p.PreserveMode || p.PreserveOwner || p.PreserveTime {
		return nil, fmt.Errorf("an Isofile with InPlace, or with attributes to preserve: %w", errors.ErrUnsupported)
	}
	in, err := o.Build.internal()
	if err != nil {
		return nil, err
	}
	s, done, err := openStore(o.Store)
	if err != nil {
		return nil, err
	}
	b := &isofile.Builder{
		Store: s, Context: o.Context, Args: o.Args, NoCache: o.NoCache, Limits: o.Limits.internal(), Options: in,
	}
	if o.Progress != nil {
		b.Say = func(p isofile.Progress) { o.Progress(p.Step, p.Of, p.Text, p.Done, p.Cached) }
	}
	end := closer(func() error { return errors.Join(b.Close(), done()) })
	res, err := b.Build(ctx, f.r, o.Values)
	if err != nil {
		return nil, errors.Join(err, end())
	}
	res.Own(end)
	return &Image{res.Image}, nil
}

// closer is a function as an [io.Closer].
type closer func() error

// Close implements io.Closer.
func (c closer) Close() error { return c() }

// openStore opens a store for one build: done lets others remove from it what nobody uses.
func openStore(dir string) (s *store.Store, done func() error, err error) {
	remove := func() error { return nil }
	if dir == "" {
		if dir, err = os.MkdirTemp("", "isolayer-store-"); err != nil {
			return nil, nil, err
		}
		remove = func() error { return os.RemoveAll(dir) }
	}
	if s, err = store.Open(dir); err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	release, err := s.Use()
	if err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	return s, func() error {
		release()
		return remove()
	}, nil
}
