package isolayer

import (
	"context"
	"errors"

	"github.com/isolayer/isolayer/internal/isofile"
	"github.com/isolayer/isolayer/internal/recipe"
	"github.com/isolayer/isolayer/internal/stage"
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
	// Context is the directory that FROM, COPY and ADD read from.
	Context string
	// Store is the directory where the layers of instructions are kept between builds. It is
	// made if it is not there.
	Store string
	// Args take the place of the defaults of ARG, Values go into templates.
	Args, Values map[string]string
	// NoCache carries every instruction out again.
	NoCache bool
	Build   BuildOptions
	// Progress, unless nil, hears of each instruction when it begins and when it is done.
	Progress func(step, of int, text string, done, cached bool)
}

// BuildIsofile makes the image of the last stage of an Isofile, a layer an instruction.
// Instructions whose inputs are those of an earlier build are taken from the store. RUN,
// which needs a workspace, is refused here; the command isolayer has it.
func BuildIsofile(ctx context.Context, f *Isofile, o IsofileOptions) (*Image, error) {
	s, err := store.Open(o.Store)
	if err != nil {
		return nil, err
	}
	b := &isofile.Builder{
		Store: s, Context: o.Context, Args: o.Args, NoCache: o.NoCache,
		Options: stage.Options{Epoch: o.Build.Epoch, MediaCheck: stage.MediaCheck(o.Build.MediaCheck), Working: o.Build.Working},
	}
	if o.Progress != nil {
		b.Say = func(p isofile.Progress) { o.Progress(p.Step, p.Of, p.Text, p.Done, p.Cached) }
	}
	res, err := b.Build(ctx, f.r, o.Values)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	res.Own(b)
	return &Image{res.Image}, nil
}
