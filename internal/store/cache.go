package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/isolayer/isolayer/internal/atomicfile"
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

// identity is what distinguishes one state of a file from another.
type identity struct {
	Device, Inode uint64
	Size          int64
	Mtime, Ctime  int64 // nanoseconds
}

// file is where the digest of a file is kept.
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
	return d, note(s.path(id.file()), []byte(d))
}

// unsynced gives files their names without waiting for the disk.
type unsynced struct{ atomicfile.System }

func (unsynced) Sync(*os.File) error    { return nil }
func (unsynced) SyncDir(*os.File) error { return nil }

// note writes a small file of which a power failure may leave nothing, or none of its
// bytes: it is of use only, and there is one for every file of a context.
func note(path string, content []byte) error {
	ctx := context.Background()
	dir, base := filepath.Split(path)
	out, err := atomicfile.Create(unsynced{atomicfile.Native}, atomicfile.Target{Dir: dir, Name: base}, 0o600)
	if err == nil {
		if _, err = out.OS().Write(content); err == nil {
			err = out.Publish(ctx)
		}
		if err != nil {
			err = errors.Join(err, out.Discard())
		}
	}
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

func (s *Store) path(name string) string { return s.dir + string(os.PathSeparator) + name }

// notThere reports whether an error says that something does not exist.
func notThere(err error) bool { return errors.Is(err, fs.ErrNotExist) }
