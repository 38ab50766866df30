//go:build linux

package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// prefix of the directories of workspaces. Each has a file "lock" that its process
// holds: one that is free belongs to nobody any more.
const prefix = "isolayer-workspace-"

// room is the directory of a workspace.
type room struct {
	dir  string
	lock *os.File
	also []string // removed with it
}

// newRoom makes a directory, after it has removed what killed processes left.
func newRoom(temp string) (*room, error) {
	if temp == "" {
		temp = os.TempDir()
	}
	temp, err := filepath.Abs(temp)
	if err != nil {
		return nil, err
	}
	if _, err := Sweep(temp); err != nil {
		return nil, err
	}
	// It is locked before it has its name, so that nobody takes it for a stale one.
	hidden, err := os.MkdirTemp(temp, "."+prefix)
	if err != nil {
		return nil, fmt.Errorf("make a workspace: %w", err)
	}
	r := &room{dir: hidden}
	if r.lock, err = os.OpenFile(r.path("lock"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err == nil {
		err = unix.Flock(int(r.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err == nil {
		dir := filepath.Join(temp, strings.TrimPrefix(filepath.Base(hidden), "."))
		if err = os.Rename(hidden, dir); err == nil {
			r.dir = dir
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a workspace: %w", err), r.remove())
	}
	return r, nil
}

func (r *room) path(name string) string { return filepath.Join(r.dir, name) }

// leave gives the directory up without removing it: it has no lock any more.
func (r *room) leave() error {
	return errors.Join(os.Remove(r.path("lock")), r.lock.Close(), removeAll(r.also...))
}

func (r *room) remove() error {
	err := removeAll(append(r.also, r.dir)...)
	if r.lock != nil {
		err = errors.Join(err, r.lock.Close())
	}
	return err
}

// removeAll removes directories with all below them, also what nobody may read, as the
// work directory of overlayfs. It does not leave the file system they are on.
func removeAll(dirs ...string) (err error) {
	for _, dir := range dirs {
		if rerr := os.RemoveAll(dir); rerr != nil {
			_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
				if d != nil && d.IsDir() {
					_ = os.Chmod(p, 0o700)
				}
				return nil
			})
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}
	return err
}

// Stale lists directories in temp that killed processes of this user left.
func Stale(temp string) ([]string, error) {
	var out []string
	for _, pattern := range []string{prefix, "." + prefix} {
		list, err := filepath.Glob(filepath.Join(globEscape(temp), pattern+"*"))
		if err != nil {
			return nil, err
		}
		for _, dir := range list {
			var st unix.Stat_t
			if unix.Lstat(dir, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Uid != uint32(os.Geteuid()) {
				continue
			}
			lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|unix.O_NOFOLLOW, 0)
			if err != nil {
				continue // one that was kept, or is being made
			}
			if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
				out = append(out, dir)
			}
			_ = lock.Close()
		}
	}
	return out, nil
}

// Sweep removes what Stale lists, and returns it.
func Sweep(temp string) ([]string, error) {
	list, err := Stale(temp)
	if err != nil {
		return nil, err
	}
	for _, dir := range list {
		if err := removeAll(dir); err != nil {
			return list, fmt.Errorf("remove what was left behind: %w", err)
		}
	}
	return list, nil
}

func globEscape(p string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(p)
}
