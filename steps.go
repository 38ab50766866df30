package isolayer

import (
	"errors"
	"fmt"
)

// otherStep is a step of another package, which carries itself out.
type otherStep interface {
	Step
	apply(s *stage) error
}

// carry carries out a step.
func (s *stage) carry(step Step) error {
	switch x := step.(type) {
	case Add:
		return x.apply(s)
	case Remove:
		return x.apply(s)
	case Move:
		return x.apply(s)
	case Link:
		return x.apply(s)
	case Mkdir:
		return x.apply(s)
	case Chmod:
		return x.apply(s)
	case Chown:
		return x.apply(s)
	case Kargs:
		return x.apply(s)
	case EntryKargs:
		return x.apply(s)
	case Label:
		return x.apply(s)
	case MenuTimeout:
		return x.apply(s)
	case DefaultEntry:
		return x.apply(s)
	case AddEntry:
		return x.apply(s)
	case InitrdAdd:
		return x.apply(s)
	case AnswerFile:
		return x.apply(s)
	case Layer:
		return x.apply(s)
	case otherStep:
		return x.apply(s)
	}
	return fmt.Errorf("%T is no step: %w", step, errors.ErrUnsupported)
}
