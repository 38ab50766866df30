// Package unpack writes trees of images below a local directory that it cannot leave,
// whatever their names and links are, and whatever is in that directory before or
// meanwhile.
//
// It opens no image: content comes from its caller.
package unpack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// Options say what of a tree is written, and how. Open must be set.
type Options struct {
	// Open returns the content of a regular file, and how many bytes it has. An image's
	// budget is charged by it.
	Open func(n *tree.Node) (io.ReaderAt, int64, error)
	// Keep reports what is to be written, with all below it; nil means everything.
	Keep func(n *tree.Node) bool
	// Owner sets the owners that the tree has; without, all belongs to the user.
	Owner bool
	// Mode converts an st_mode to the permission bits that a file or directory gets. nil
	// leaves them to the umask, but what can be started stays so, and its owner may write
	// a file.
	Mode func(mode uint32) fs.FileMode
	// Devices makes device nodes and FIFOs, which takes root; without, they are left out.
	Devices bool
	// Wrote is told, unless it is nil, how many bytes more are there.
	Wrote func(n int64)
}

// Dir is a directory that trees are unpacked into. It is for one goroutine.
type Dir struct {
	// Twice are the paths of nodes that have the name of something that was written
	// before, and were left out. The first one counts.
	Twice []string
	// Skipped are the paths of devices, FIFOs and sockets that were left out.
	Skipped []string
	// Copied are the paths of files that are a copy of another name's, where the tree has
	// a hard link: the file system makes none.
	Copied []string

	ctx    context.Context
	o      Options
	root   *os.Root
	made   map[string]bool       // directories that are there
	kept   map[string]*tree.Node // what has a path
	linked map[same]item         // content that is written already
	links  []item
	dirs   []item
	buf    []byte
}

// item is a node and the path it gets below the directory.
type item struct {
	n  *tree.Node
	to string
}

// Open opens a directory, made if it is missing. Finish and Close it.
func Open(ctx context.Context, dir string, o Options) (*Dir, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Dir{
		ctx: ctx, o: o, root: root,
		made: map[string]bool{".": true}, kept: map[string]*tree.Node{}, linked: map[same]item{},
	}, nil
}

// Close closes the directory.
func (d *Dir) Close() error { return d.root.Close() }

// Tree writes a node, with all below it that listings show, to a path; "." is the
// directory itself. Links and the attributes of directories, which may forbid writing,
// wait for Finish. Errors name the node.
func (d *Dir) Tree(n *tree.Node, to string) error {
	if n.Hidden || d.o.Keep != nil && !d.o.Keep(n) {
		return nil
	}
	if err := d.ctx.Err(); err != nil {
		return err
	}
	// A second directory of a name would be filled through what a link of that name
	// leads to.
	if first := d.kept[to]; first != nil {
		if first != n {
			d.Twice = append(d.Twice, n.Path())
		}
		return nil
	}
	d.kept[to] = n
	if err := d.one(item{n, to}); err != nil {
		return &nodeError{n.Path(), err}
	}
	for _, c := range n.Children {
		if err := usable(c.Name); err != nil {
			return &nodeError{c.Path(), err}
		}
		if err := d.Tree(c, path.Join(to, c.Name)); err != nil {
			return err
		}
	}
	return nil
}

// nodeError is an error with the path that it is about.
type nodeError struct {
	path string
	err  error
}

func (e *nodeError) Error() string { return e.path + ": " + e.err.Error() }

// Unwrap returns the error without the path.
func (e *nodeError) Unwrap() error { return e.err }

// ErrUnusable reports a name that means something else here than a file of that name.
var ErrUnusable = fmt.Errorf("%w: the name cannot be used here", fs.ErrInvalid)

// usable refuses a name that is no name on this system: one of a path, or of a device.
func usable(name string) error {
	if name == "" || name == "." || strings.ContainsAny(name, "/\x00") || strings.ContainsRune(name, filepath.Separator) || !filepath.IsLocal(name) {
		return ErrUnusable
	}
	return nil
}

// local refuses a path with a name that is none.
func local(p string) error {
	for name := range strings.SplitSeq(p, "/") {
		if err := usable(name); err != nil {
			return &nodeError{p, err}
		}
	}
	return nil
}

func (d *Dir) one(it item) error {
	if it.to != "." {
		if err := local(it.to); err != nil {
			return err
		}
	}
	switch {
	case it.n.IsDir():
		d.dirs = append(d.dirs, it)
		return d.mkdir(it.to)
	case it.n.IsLink():
		d.links = append(d.links, it)
		return nil
	case it.n.IsRegular():
		return d.file(it)
	case d.o.Devices && it.n.Mode&iso9660.ModeType != iso9660.ModeSocket:
		return d.device(it)
	}
	d.Skipped = append(d.Skipped, it.n.Path())
	return nil
}

// Mkdir makes a directory and its parents.
func (d *Dir) Mkdir(to string) error {
	if err := local(to); err != nil {
		return err
	}
	return d.mkdir(to)
}

// mkdir makes a directory and its parents, writable until all is done. What is in the way
// and no directory is replaced: a link would lead elsewhere.
func (d *Dir) mkdir(p string) error {
	if d.made[p] { // looking again would take deep trees the cube of their depth
		return nil
	}
	if err := d.mkdir(path.Dir(p)); err != nil {
		return err
	}
	d.made[p] = true
	info, err := d.root.Lstat(p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return d.root.Mkdir(p, 0o777)
	case err != nil:
		return err
	case info.IsDir():
		if info.Mode()&0o700 == 0o700 {
			return nil
		}
		return d.root.Chmod(p, info.Mode().Perm()|0o700)
	}
	if err := d.root.Remove(p); err != nil {
		return err
	}
	return d.root.Mkdir(p, 0o777)
}

// clear takes away an older file or link at p, and makes its parents.
func (d *Dir) clear(p string) error {
	if err := d.mkdir(path.Dir(p)); err != nil {
		return err
	}
	if err := d.root.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// device makes a device node or a FIFO.
func (d *Dir) device(it item) error {
	if err := d.clear(it.to); err != nil {
		return err
	}
	dir, err := d.root.Open(path.Dir(it.to))
	if err != nil {
		return err
	}
	err = errors.Join(makeNode(dir, path.Base(it.to), it.n), dir.Close())
	if err != nil {
		return err
	}
	return d.attributes(it)
}

// Finish makes links, whatever they lead to: nothing is written any more. Then it gives
// directories their attributes.
func (d *Dir) Finish() error {
	for _, it := range d.links {
		if err := d.link(it); err != nil {
			return &nodeError{it.n.Path(), err}
		}
	}
	for i := len(d.dirs) - 1; i >= 0; i-- { // those below first: making them changes a directory's time
		if err := d.attributes(d.dirs[i]); err != nil {
			return &nodeError{d.dirs[i].n.Path(), err}
		}
	}
	d.links, d.dirs = nil, nil
	return nil
}

func (d *Dir) link(it item) error {
	if err := d.clear(it.to); err != nil {
		return err
	}
	if err := d.root.Symlink(it.n.Link, it.to); err != nil {
		return err
	}
	if d.o.Owner {
		if err := d.root.Lchown(it.to, int(it.n.UID), int(it.n.GID)); err != nil {
			return err
		}
	}
	return LinkTime(d.root, it.to, it.n.ModTime)
}

// LinkTime sets the time of a link itself, where the system can do that; the zero time
// leaves it as it is.
func LinkTime(root *os.Root, p string, t time.Time) error {
	if t.IsZero() {
		return nil
	}
	dir, err := root.Open(path.Dir(p))
	if err != nil {
		return err
	}
	return errors.Join(linkTime(dir, path.Base(p), t), dir.Close())
}

// attributes sets owner, mode and time.
func (d *Dir) attributes(it item) error {
	if d.o.Owner {
		if err := d.root.Lchown(it.to, int(it.n.UID), int(it.n.GID)); err != nil {
			return err
		}
	}
	if err := d.setMode(it); err != nil {
		return err
	}
	if t := it.n.ModTime; !t.IsZero() {
		return d.root.Chtimes(it.to, t, t)
	}
	return nil
}

func (d *Dir) setMode(it item) error {
	if d.o.Mode != nil {
		return d.root.Chmod(it.to, d.o.Mode(it.n.Mode))
	}
	if it.n.IsDir() {
		return nil
	}
	info, err := d.root.Lstat(it.to)
	if err != nil {
		return err
	}
	return d.root.Chmod(it.to, info.Mode().Perm()&^0o111|fs.FileMode(it.n.Mode)&0o111|0o600)
}
