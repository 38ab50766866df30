package atomicfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Adopt gives a finished file, which another program wrote, the name path, symbolic links
// followed. It gets the permission bits and the owner of a file that it replaces. An error
// for which Unsupported is true reports that it lies on another file system, or that path
// is no regular file: then its content can only be copied.
func Adopt(ctx context.Context, from, path string) error {
	return adopt(ctx, Native, from, path)
}

func adopt(ctx context.Context, sys System, from, path string) (err error) {
	t, err := Resolve(path)
	if err != nil {
		return err
	}
	if t.Special() {
		return fmt.Errorf("replace %s: %w", path, errors.ErrUnsupported)
	}
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	out := &File{sys: sys, target: t, f: f}
	defer func() { err = errors.Join(err, out.closeFile(), out.closeDir()) }()
	if out.dir, err = sys.OpenDir(t.Dir); err != nil {
		return fmt.Errorf("open directory: %w", err)
	}
	if err := out.setMode(0); err != nil {
		return err
	}
	if err := sys.Sync(f); err != nil {
		return wrap("sync", err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := Again(func() error { return os.Rename(from, filepath.Join(t.Dir, t.Name)) }); err != nil {
		return err
	}
	return wrap("sync directory", sys.SyncDir(out.dir))
}
