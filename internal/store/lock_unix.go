//go:build unix

package store

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lock waits until no other process changes the store.
func (s *Store) lock() (unlock func(), err error) { return s.flock("lock", unix.LOCK_EX) }

// Use keeps Prune of other processes away until release is called. Nobody else using the
// store, what killed runs left in it is removed.
func (s *Store) Use() (release func(), err error) {
	if release, err := s.alone(); err == nil {
		err := s.sweep()
		release()
		if err != nil {
			return nil, fmt.Errorf("sweep %s: %w", s.dir, err)
		}
	}
	return s.flock("use", unix.LOCK_SH)
}

// alone makes sure that nobody uses the store; ErrBusy if somebody does.
func (s *Store) alone() (release func(), err error) {
	release, err = s.flock("use", unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrBusy
	}
	return release, err
}

// flock locks a file of the store; closing it unlocks.
func (s *Store) flock(name string, how int) (func(), error) {
	f, err := os.OpenFile(s.path(name), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}
