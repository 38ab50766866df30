package apply

import (
	"context"
	"fmt"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
)

// Edits makes edits of the tree as they are: what a workspace captured.
type Edits struct {
	edit.Other
	List []tree.Edit
	From string // where they come from, for people
}

func (e Edits) String() string { return "changes of " + e.From }

// Apply makes the edits.
func (e Edits) Apply(s *stage.Stage) error {
	for _, x := range e.List {
		if err := s.Tree.Do(x); err != nil {
			return fmt.Errorf("%s: %w", x, baseimage.Bare(err))
		}
	}
	return nil
}

// VolumeText sets a text of the volume descriptors.
type VolumeText struct {
	edit.Other
	Field iso9660.Field
	Text  string
}

func (v VolumeText) String() string { return "volume text " + v.Text }

// Apply sets the text.
func (v VolumeText) Apply(s *stage.Stage) error {
	s.Fields[v.Field] = v.Text
	return nil
}

// EditsOf returns the edits of the tree that the steps come to. Steps that change what no
// directory lists, or texts of descriptors, are no such edits and give ErrNoEdit.
func EditsOf(ctx context.Context, b *baseimage.Base, steps []edit.Step, o stage.Options) ([]tree.Edit, error) {
	t, err := b.Tree()
	if err != nil {
		return nil, err
	}
	if o.Epoch != nil {
		t.Epoch = *o.Epoch
	}
	s := stage.New(ctx, b, t, o)
	b.Kept.Add(s.Owned) // the edits use it
	var done []tree.Edit
	t.Note = func(e tree.Edit) { done = append(done, e) }
	for _, step := range Joined(steps) {
		if err := Do(s, step); err != nil {
			return nil, err
		}
		if len(s.Objects)+len(s.Fields) > 0 || !s.Modified.IsZero() {
			return nil, fmt.Errorf("%s: %w", step, stage.ErrNoEdit)
		}
	}
	return done, nil
}
