//go:build linux

package workspace

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
	"github.com/isolayer/isolayer/internal/unpack"
)

// step is an edit on its way to the process that makes it.
type step struct {
	Op       string
	Path     string
	Old      string     `json:",omitempty"`
	Attr     *tree.Attr `json:",omitempty"`
	Source   string     `json:",omitempty"` // path of a local file
	Mode     *uint32    `json:",omitempty"`
	UID, GID *uint32    `json:",omitempty"`
	Time     *time.Time `json:",omitempty"`
}

// encodeEdits encodes edits. Content that is no file is given to spool, which returns the
// path of one.
func encodeEdits(edits []tree.Edit, spool func(extent.Source) (string, error)) ([]byte, error) {
	steps := []step{}
	for _, e := range edits {
		switch e := e.(type) {
		case tree.Put:
			s := step{Op: "put", Path: e.Path, Attr: &e.Attr}
			if e.Source != nil {
				var err error
				if f, ok := e.Source.(extent.Local); ok {
					s.Source, err = filepath.Abs(f.Name())
				} else {
					s.Source, err = spool(e.Source)
				}
				if err != nil {
					return nil, fmt.Errorf("%s: %w", e, err)
				}
			}
			steps = append(steps, s)
		case tree.Remove:
			steps = append(steps, step{Op: "remove", Path: e.Path})
		case tree.Opaque:
			steps = append(steps, step{Op: "opaque", Path: e.Path})
		case tree.SetAttr:
			steps = append(steps, step{Op: "set", Path: e.Path, Mode: e.Mode, UID: e.UID, GID: e.GID, Time: e.ModTime})
		case tree.Rename:
			steps = append(steps, step{Op: "rename", Path: e.New, Old: e.Old})
		default:
			return nil, fmt.Errorf("internal error: edit %T", e)
		}
	}
	return json.Marshal(steps)
}

// applyMain is the life of the process that makes edits in a merged directory.
func applyMain() int {
	b, err := io.ReadAll(os.Stdin)
	if err == nil {
		err = applyEdits(os.Args[1], b)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// applyEdits makes edits in a directory. Nothing outside of it is touched, whatever
// links lead there. Directories keep their times.
func applyEdits(dir string, b []byte) (err error) {
	var steps []step
	if err := json.Unmarshal(b, &steps); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	syscall.Umask(0)
	a := applier{root}
	for _, s := range steps {
		if err := a.step(s); err != nil {
			return fmt.Errorf("%s %s: %w", s.Op, s.Path, bare(err))
		}
	}
	return nil
}

type applier struct{ root *os.Root }

// local is a path below the root.
func local(p string) string {
	if p = strings.TrimPrefix(path.Clean("/"+p), "/"); p == "" {
		return "."
	}
	return p
}

func (a applier) step(s step) error {
	p := local(s.Path)
	defer a.keepTime(path.Dir(p))()
	switch s.Op {
	case "put":
		return a.put(p, s)
	case "remove":
		if _, err := a.root.Lstat(p); err != nil {
			return err
		}
		return a.root.RemoveAll(p)
	case "opaque":
		return a.empty(p)
	case "set":
		return a.set(p, s)
	case "rename":
		defer a.keepTime(path.Dir(local(s.Old)))()
		return a.rename(local(s.Old), p)
	}
	return fs.ErrInvalid
}

// keepTime notes the time of a directory and returns what sets it again.
func (a applier) keepTime(p string) func() {
	info, err := a.root.Lstat(p)
	if err != nil {
		return func() {}
	}
	return func() { _ = a.root.Chtimes(p, info.ModTime(), info.ModTime()) } // gone: nothing to keep
}

func (a applier) put(p string, s step) error {
	if d := path.Dir(p); d != "." {
		if err := a.root.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	kind := s.Attr.Mode & iso9660.ModeType
	info, err := a.root.Lstat(p)
	if err == nil && info.IsDir() {
		if kind != iso9660.ModeDir {
			return tree.ErrIsDir
		}
		return nil // it keeps its attributes
	}
	if kind == iso9660.ModeDir {
		if err == nil {
			return tree.ErrNotDir
		}
		if err := a.root.Mkdir(p, 0o700); err != nil {
			return err
		}
		return a.dress(p, s)
	}
	temp := path.Join(path.Dir(p), fmt.Sprintf(".isolayer-%08x", rand.Uint32()))
	if kind == iso9660.ModeSymlink {
		err = a.root.Symlink(s.Attr.Link, temp)
	} else {
		err = a.copy(temp, s.Source)
	}
	if err == nil {
		err = a.dress(temp, s)
	}
	if err == nil {
		err = a.root.Rename(temp, p)
	}
	if err != nil {
		_ = a.root.Remove(temp)
	}
	return err
}

// dress gives a new file its attributes.
func (a applier) dress(p string, s step) error {
	if err := a.own(p, int(s.Attr.UID), int(s.Attr.GID)); err != nil {
		return err
	}
	if s.Attr.Mode&iso9660.ModeType == iso9660.ModeSymlink {
		return unpack.LinkTime(a.root, p, s.Attr.ModTime)
	}
	if err := a.root.Chmod(p, iso9660.FileMode(s.Attr.Mode)&^fs.ModeType); err != nil {
		return err
	}
	return a.root.Chtimes(p, s.Attr.ModTime, s.Attr.ModTime)
}

// own sets an owner. A user namespace knows only one.
func (a applier) own(p string, uid, gid int) error {
	err := a.root.Lchown(p, uid, gid)
	if err != nil && uid == 0 && gid == 0 {
		return nil // a copy without root: it is ours, which means root's
	}
	return err
}

func (a applier) copy(p, source string) (err error) {
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := a.root.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = io.Copy(out, in); err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

func (a applier) empty(p string) error {
	d, err := a.root.Open(p)
	if err != nil {
		return err
	}
	names, err := d.Readdirnames(-1)
	if err = errors.Join(err, d.Close()); err != nil {
		return err
	}
	defer a.keepTime(p)()
	for _, n := range names {
		if err := a.root.RemoveAll(path.Join(p, n)); err != nil {
			return err
		}
	}
	return nil
}

func (a applier) set(p string, s step) error {
	info, err := a.root.Lstat(p)
	if err != nil {
		return err
	}
	if s.UID != nil || s.GID != nil {
		uid, gid := -1, -1
		if s.UID != nil {
			uid = int(*s.UID)
		}
		if s.GID != nil {
			gid = int(*s.GID)
		}
		if err := a.root.Lchown(p, uid, gid); err != nil {
			return err
		}
	}
	mode := info.Mode() // which a new owner may have cut
	if s.Mode != nil {
		mode = iso9660.FileMode(*s.Mode)
	}
	if info.Mode().Type() == fs.ModeSymlink {
		return nil
	}
	if err := a.root.Chmod(p, mode&^fs.ModeType); err != nil || s.Time == nil {
		return err
	}
	return a.root.Chtimes(p, *s.Time, *s.Time)
}

// rename moves a file or directory; a directory of a lower layer is copied.
func (a applier) rename(old, to string) error {
	if info, err := a.root.Lstat(to); err == nil && info.IsDir() {
		to = path.Join(to, path.Base(old))
	}
	if d := path.Dir(to); d != "." {
		if err := a.root.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	err := a.root.Rename(old, to)
	if !errors.Is(err, syscall.EXDEV) {
		return err
	}
	if err := a.duplicate(old, to); err != nil {
		return err
	}
	return a.root.RemoveAll(old)
}

// duplicate copies a tree inside the directory.
func (a applier) duplicate(from, to string) error {
	var dirs []func() error
	err := fs.WalkDir(a.root.FS(), from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := a.root.Lstat(p)
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		q := path.Join(to, strings.TrimPrefix(p, from))
		s := step{Attr: &tree.Attr{Mode: st.Mode, UID: st.Uid, GID: st.Gid, ModTime: info.ModTime()}}
		switch info.Mode().Type() {
		case fs.ModeSymlink:
			if s.Attr.Link, err = a.root.Readlink(p); err != nil {
				return err
			}
			return a.put(q, s)
		case fs.ModeDir:
			dirs = append(dirs, func() error { return a.root.Chtimes(q, info.ModTime(), info.ModTime()) })
			return a.put(q, s)
		case 0:
			s.Source = filepath.Join(a.root.Name(), p)
			return a.put(q, s)
		}
		return fmt.Errorf("%s %w", p, ErrSpecial)
	})
	for i := len(dirs) - 1; i >= 0 && err == nil; i-- {
		err = dirs[i]()
	}
	return err
}
