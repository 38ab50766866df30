package isofile

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/store"
)

// sum is the SHA-256 of a source.
func sum(ctx context.Context, src extent.Source) (store.Digest, error) {
	h := sha256.New()
	buf := make([]byte, 1<<20)
	for off := int64(0); off < src.Size(); {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		b := buf[:min(int64(len(buf)), src.Size()-off)]
		if n, err := src.ReadAt(b, off); n < len(b) {
			return "", fmt.Errorf("read %s: %w", src.Name(), errors.Join(err, io.ErrUnexpectedEOF))
		}
		h.Write(b)
		off += int64(len(b))
	}
	return store.DigestOf(h), nil
}

// fileSum is the SHA-256 of a file, kept by its times.
func (k *Builder) fileSum(ctx context.Context, path string) (store.Digest, error) {
	return k.Store.FileDigest(path, false, func() (d store.Digest, err error) {
		files := extent.NewFiles()
		defer func() { err = errors.Join(err, files.Close()) }()
		src, err := files.Add(path)
		if err != nil {
			return "", err
		}
		return sum(ctx, src)
	})
}

// keyOfStep names what a step gives: after what, and what it does with which inputs.
func keyOfStep(before store.Key, what any) store.Key {
	b, err := json.Marshal(what)
	if err != nil {
		panic("internal error: " + err.Error()) // strings and numbers only
	}
	h := sha256.New()
	fmt.Fprintf(h, "isolayer step 2\n%x\n%s", before[:], b)
	return store.Key(h.Sum(nil))
}
