package store

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Key names the result of a step: a SHA-256 of all that decides it.
type Key [sha256.Size]byte

func (k Key) file() string { return fmt.Sprintf("cache/%x", k[:]) }

// Find returns the layer that a step gave, unless it is not known or not whole.
func (s *Store) Find(k Key) (Descriptor, bool) {
	var d Descriptor
	b, err := readAll(s.path(k.file()))
	if err != nil || json.Unmarshal(b, &d) != nil {
		return d, false
	}
	if _, err := ParseDigest(string(d.Digest)); err != nil {
		return d, false
	}
	size, ok := s.Has(d.Digest)
	return d, ok && size == d.Size
}

// Remember notes which layer a step gave.
func (s *Store) Remember(k Key, d Descriptor) error {
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if err := s.replace(k.file(), b); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// identity is what tells one state of a file from another.
type identity struct {
	Device, Inode uint64
	Size          int64
	Mtime, Ctime  int64 // nanoseconds
}

// fileKey is where the digest of a file is kept.
func (i identity) file() string {
	b, _ := json.Marshal(i) // numbers only
	return fmt.Sprintf("bases/%x", sha256.Sum256(b))
}

// FileDigest returns the SHA-256 of a file. It is kept by the file's device, inode,
// size and times, and computed again if fresh is set.
func (s *Store) FileDigest(path string, fresh bool, compute func() (Digest, error)) (Digest, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	id, known := identify(info)
	if known && !fresh {
		if b, err := readAll(s.path(id.file())); err == nil {
			if d, err := ParseDigest(string(b)); err == nil {
				return d, nil
			}
		}
	}
	d, err := compute()
	if err != nil || !known {
		return d, err
	}
	after, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if now, _ := identify(after); now != id {
		return "", fmt.Errorf("%s: it changed while it was read", path)
	}
	// A file that was written a moment ago may change again without its times telling.
	if recent(after) {
		return d, nil
	}
	return d, s.replace(id.file(), []byte(d))
}

func (s *Store) path(name string) string { return s.dir + string(os.PathSeparator) + name }

// notThere tells whether an error says that something does not exist.
func notThere(err error) bool { return errors.Is(err, fs.ErrNotExist) }
