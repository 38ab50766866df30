package apply

import (
	"errors"
	"fmt"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/stage"
)

// Do carries out a step, unless the context has ended.
func Do(s *stage.Stage, step edit.Step) error {
	err := s.Ctx.Err()
	if err == nil {
		err = carry(s, step)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", step, err)
	}
	return nil
}

// otherStep is a step of another package, which carries itself out.
type otherStep interface {
	edit.Step
	Apply(s *stage.Stage) error
}

// carry carries out a step.
func carry(s *stage.Stage, step edit.Step) error {
	switch x := step.(type) {
	case edit.Add:
		return applyAdd(s, x)
	case edit.Put:
		return applyPut(s, x)
	case edit.Remove:
		return applyRemove(s, x)
	case edit.Move:
		return applyMove(s, x)
	case edit.Link:
		return applyLink(s, x)
	case edit.Mkdir:
		return applyMkdir(s, x)
	case edit.Chmod:
		return applyChmod(s, x)
	case edit.Chown:
		return applyChown(s, x)
	case edit.Kargs:
		return applyKargs(s, x)
	case edit.EntryKargs:
		return applyEntryKargs(s, x)
	case edit.Label:
		return applyLabel(s, x)
	case edit.MenuTimeout:
		return applyMenuTimeout(s, x)
	case edit.DefaultEntry:
		return applyDefaultEntry(s, x)
	case edit.AddEntry:
		return applyAddEntry(s, x)
	case edit.InitrdAdd:
		return applyInitrdAdd(s, x)
	case edit.AnswerFile:
		return applyAnswerFile(s, x)
	case edit.Layer:
		return applyLayer(s, x)
	case otherStep:
		return x.Apply(s)
	}
	return fmt.Errorf("%T is not a step: %w", step, errors.ErrUnsupported)
}
