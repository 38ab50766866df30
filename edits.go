package isolayer

import (
	"context"
	"fmt"

	"github.com/isolayer/isolayer/internal/tree"
)

// Edits makes edits of the tree as they are: what a workspace captured.
type Edits struct {
	Other
	List []tree.Edit
	From string // where they come from, for people
}

func (e Edits) String() string { return "changes of " + e.From }

func (e Edits) apply(s *stage) error {
	for _, x := range e.List {
		if err := s.tree.Do(x); err != nil {
			return fmt.Errorf("%s: %w", x, bare(err))
		}
	}
	return nil
}

// Edits returns the edits of the tree that the steps come to. Steps that change what no
// directory lists, or texts of descriptors, are no such edits and give ErrNoEdit.
func (b *Base) Edits(ctx context.Context, steps []Step, o Options) ([]tree.Edit, error) {
	t, err := b.Tree()
	if err != nil {
		return nil, err
	}
	if o.Epoch != nil {
		t.Epoch = *o.Epoch
	}
	s := b.stage(ctx, t, o)
	b.kept.add(s.owned) // the edits use it
	var done []tree.Edit
	t.Note = func(e tree.Edit) { done = append(done, e) }
	for _, step := range joined(steps) {
		if err := s.do(step); err != nil {
			return nil, err
		}
		if len(s.objects)+len(s.fields) > 0 || !s.modified.IsZero() {
			return nil, fmt.Errorf("%s: %w", step, ErrNoEdit)
		}
	}
	return done, nil
}
