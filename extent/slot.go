package extent

import "fmt"

// Slot is a source whose size is fixed and whose bytes are given later: an image that was
// planned with one is the plan of many, which differ in the slot alone. Reading it gives
// ErrUnsealed.
type Slot struct {
	name string
	size int64
}

// NewSlot returns a slot of size bytes. The name is for people.
func NewSlot(name string, size int64) *Slot { return &Slot{name, size} }

// Name implements Source.
func (s *Slot) Name() string { return s.name }

// Size implements Source.
func (s *Slot) Size() int64 { return s.size }

// ReadAt implements Source.
func (s *Slot) ReadAt([]byte, int64) (int, error) {
	return 0, fmt.Errorf("%s: %w", s.name, ErrUnsealed)
}
