//go:build !unix

package store

// Where there is no flock, nothing is locked.
func (s *Store) lock() (unlock func(), err error) { return func() {}, nil }

// Use removes what killed runs left.
func (s *Store) Use() (release func(), err error) { return func() {}, s.sweep() }

func (s *Store) alone() (release func(), err error) { return func() {}, nil }
