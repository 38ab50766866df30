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
// holds: one that is free belongs to nobody any more. While a directory is being made or
// removed, a dot stands before its name.
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
	for {
		r, err := enter(temp)
		if err == nil {
			return r, nil
		}
		if !errors.Is(err, errSwept) {
			return nil, fmt.Errorf("make a workspace: %w", err)
		}
	}
}

// errSwept says that somebody took a directory that is being made for a dead one.
var errSwept = errors.New("swept")

// enter makes a directory and locks it. It has its name only then; before, somebody who
// sweeps may remove it.
func enter(temp string) (*room, error) {
	hidden, err := os.MkdirTemp(temp, "."+prefix)
	if err != nil {
		return nil, err
	}
	r := &room{dir: hidden}
	r.lock, err = os.OpenFile(r.path("lock"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errSwept
	}
	if err == nil {
		err = unix.Flock(int(r.lock.Fd()), unix.LOCK_EX)
	}
	if err == nil {
		dir := filepath.Join(temp, strings.TrimPrefix(filepath.Base(hidden), "."))
		if err = os.Rename(hidden, dir); err == nil {
			r.dir = dir
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(errSwept, r.lock.Close())
	}
	if err != nil {
		return nil, errors.Join(err, r.remove())
	}
	return r, nil
}

func (r *room) path(name string) string { return filepath.Join(r.dir, name) }

// leave gives the directory up without removing it: it has no lock any more.
func (r *room) leave() error {
	return errors.Join(os.Remove(r.path("lock")), r.lock.Close(), removeAll(r.also...))
}

// remove removes the directory, its name first and its lock last: if this process is
// killed in between, the next one finds it and goes on.
func (r *room) remove() error {
	err := removeAll(r.also...)
	if hidden := filepath.Join(filepath.Dir(r.dir), "."+strings.TrimPrefix(filepath.Base(r.dir), ".")); hidden != r.dir && os.Rename(r.dir, hidden) == nil {
		r.dir = hidden
	}
	list, lerr := os.ReadDir(r.dir)
	if !errors.Is(lerr, fs.ErrNotExist) {
		err = errors.Join(err, lerr)
	}
	for _, d := range list {
		if d.Name() != "lock" {
			err = errors.Join(err, removeAll(r.path(d.Name())))
		}
	}
	if err == nil {
		err = removeAll(r.dir)
	}
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
	list, err := dead(temp)
	var out []string
	for _, r := range list {
		out = append(out, r.dir)
		err = errors.Join(err, r.lock.Close())
	}
	return out, err
}

// dead finds the directories whose processes have ended, and takes their locks. One that
// has no lock was kept, or is being made; a process that was killed while it made it left
// it empty.
func dead(temp string) (out []*room, err error) {
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
				continue
			}
			if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
				out = append(out, &room{dir: dir, lock: lock})
			} else {
				_ = lock.Close()
			}
		}
	}
	return out, nil
}

// Sweep removes what Stale lists, and returns it.
func Sweep(temp string) ([]string, error) {
	list, err := dead(temp)
	var out []string
	for _, r := range list {
		out = append(out, r.dir)
		if rerr := r.remove(); rerr != nil {
			err = errors.Join(err, fmt.Errorf("remove what was left behind: %w", rerr))
		}
	}
	empty, gerr := filepath.Glob(filepath.Join(globEscape(temp), "."+prefix+"*"))
	for _, dir := range empty {
		_ = os.Remove(dir) // only if it is empty, and ours
	}
	return out, errors.Join(err, gerr)
}

func globEscape(p string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(p)
}
