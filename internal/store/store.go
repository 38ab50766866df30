// Package store keeps layers and the images made of them on disk, as an OCI image layout
// (image-spec, image-layout.md): content by its digest, images by name.
//
// It does not know what is in a layer, nor how one is made.
package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/isolayer/isolayer/internal/atomicfile"
)

// Media types (image-spec, media-types.md), and those of our own.
const (
	MediaIndex    = "application/vnd.oci.image.index.v1+json"
	MediaManifest = "application/vnd.oci.image.manifest.v1+json"
	MediaLayer    = "application/vnd.oci.image.layer.v1.tar"
	MediaConfig   = "application/vnd.isolayer.image.config.v1+json"
	ArtifactType  = "application/vnd.isolayer.image.v1"
	refName       = "org.opencontainers.image.ref.name"
)

// maxJSON bounds documents that are read.
const maxJSON = 4 << 20

var (
	// ErrDigest reports a digest that is none, or content that has another.
	ErrDigest = errors.New("wrong digest")
	// ErrBusy reports a store that another run uses.
	ErrBusy = errors.New("another run uses the store")
	// ErrDamaged reports a store that cannot be read.
	ErrDamaged = errors.New("the store is damaged")
)

// Digest names content: sha256: and 64 hexadecimal digits.
type Digest string

// ParseDigest takes nothing but that.
func ParseDigest(s string) (Digest, error) {
	hex, ok := strings.CutPrefix(s, "sha256:")
	if !ok || len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return "", fmt.Errorf("%w: %q; want sha256: and 64 hexadecimal digits", ErrDigest, s)
	}
	return Digest(s), nil
}

// DigestOf is the digest of what was written to a SHA-256.
func DigestOf(h hash.Hash) Digest { return Digest(fmt.Sprintf("sha256:%x", h.Sum(nil))) }

func (d Digest) hex() string { return strings.TrimPrefix(string(d), "sha256:") }

// Descriptor points at content (image-spec, descriptor.md).
type Descriptor struct {
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Digest       Digest            `json:"digest"`
	Size         int64             `json:"size"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

// Store is a store in a directory. It is safe for concurrent use, by other processes too.
type Store struct{ dir string }

// Open opens the store in a directory, which is made if need be.
func Open(dir string) (*Store, error) {
	for _, d := range []string{"blobs/sha256", "cache", "bases"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(d)), 0o755); err != nil {
			return nil, fmt.Errorf("open store: %w", err)
		}
	}
	s := &Store{dir}
	marker := filepath.Join(dir, "oci-layout")
	if _, err := os.Stat(marker); errors.Is(err, fs.ErrNotExist) {
		if err := s.replace("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`+"\n")); err != nil {
			return nil, fmt.Errorf("open store: %w", err)
		}
	}
	return s, nil
}

// Dir returns the directory.
func (s *Store) Dir() string { return s.dir }

// Path is where the content of a digest is, whether or not it is there.
func (s *Store) Path(d Digest) string { return filepath.Join(s.dir, "blobs", "sha256", d.hex()) }

// Has reports whether content is there, with its size.
func (s *Store) Has(d Digest) (int64, bool) {
	info, err := os.Stat(s.Path(d))
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	return info.Size(), true
}

// Put stores what fill writes. It is there when it is whole, and on the disk.
func (s *Store) Put(ctx context.Context, fill func(io.Writer) error) (Descriptor, error) {
	h := sha256.New()
	out, err := atomicfile.Create(atomicfile.Native, atomicfile.Target{Dir: filepath.Join(s.dir, "blobs", "sha256"), Name: "new"}, 0o444)
	if err != nil {
		return Descriptor{}, fmt.Errorf("store: %w", err)
	}
	n, err := out.Fill(ctx, func(w io.Writer) error { return fill(io.MultiWriter(w, h)) })
	if err != nil {
		return Descriptor{}, fmt.Errorf("store: %w", errors.Join(err, out.Discard()))
	}
	d := DigestOf(h)
	if size, there := s.Has(d); there && size == n { // somebody may be reading it
		return Descriptor{Digest: d, Size: n}, out.Discard()
	}
	out.Call(d.hex())
	if err := out.Publish(ctx); err != nil {
		return Descriptor{}, fmt.Errorf("store: %w", errors.Join(err, out.Discard()))
	}
	return Descriptor{Digest: d, Size: n}, nil
}

// PutJSON stores a document.
func (s *Store) PutJSON(ctx context.Context, v any) (Descriptor, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return Descriptor{}, err
	}
	return s.Put(ctx, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// GetJSON reads a document and checks its digest.
func (s *Store) GetJSON(d Digest, v any) error {
	b, err := readAll(s.Path(d))
	if err != nil {
		return err
	}
	if got := fmt.Sprintf("sha256:%x", sha256.Sum256(b)); got != string(d) {
		return fmt.Errorf("%w: %w: %s is %s", ErrDamaged, ErrDigest, d, got)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, d, err)
	}
	return nil
}

// readAll reads a document.
func readAll(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxJSON+1))
	if err == nil && len(b) > maxJSON {
		err = fmt.Errorf("%w: %s has more than %d bytes", ErrDamaged, path, maxJSON)
	}
	return b, err
}

// replace writes a small file that appears whole.
func (s *Store) replace(name string, content []byte) error {
	_, err := atomicfile.Write(context.Background(), filepath.Join(s.dir, filepath.FromSlash(name)), 0o600, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
	return err
}
