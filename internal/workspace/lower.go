//go:build linux

package workspace

import (
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// imageBelow is an image that changes lie on: its merged tree.
type imageBelow struct {
	img  *iso9660.Image
	tree *tree.Tree
}

func (b imageBelow) node(p string) *tree.Node {
	n, err := b.tree.Lookup(p)
	if err != nil || p != "/" && n.Path() != p { // names are those that the view shows, exactly
		return nil
	}
	return n
}

func (b imageBelow) lookup(p string) *entry {
	n := b.node(p)
	if n == nil {
		return nil
	}
	e := &entry{Attr: n.Attr, size: n.Size()}
	for _, found := range n.Found {
		if found != nil && n.IsRegular() {
			e.size = found.ContentSize()
			e.content = func() (io.ReaderAt, func() error, error) {
				r, _, err := b.img.Open(found)
				return r, func() error { return nil }, err
			}
			break
		}
	}
	return e
}

func (b imageBelow) children(p string) []string {
	n := b.node(p)
	if n == nil {
		return nil
	}
	var names []string
	for _, c := range n.Children {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return names
}

// dirBelow is a directory that changes lie on.
type dirBelow string

func (b dirBelow) lookup(p string) *entry {
	name := filepath.Join(string(b), p)
	var st unix.Stat_t
	if unix.Lstat(name, &st) != nil {
		return nil
	}
	e := &entry{Attr: tree.Attr{Mode: st.Mode, UID: st.Uid, GID: st.Gid, ModTime: time.Unix(st.Mtim.Unix())}, size: st.Size}
	e.Link, _ = os.Readlink(name)
	e.content = func() (io.ReaderAt, func() error, error) {
		f, err := os.Open(name)
		if err != nil {
			return nil, nil, err
		}
		return f, f.Close, nil
	}
	return e
}

func (b dirBelow) children(p string) []string {
	list, err := os.ReadDir(filepath.Join(string(b), p))
	if err != nil {
		return nil
	}
	var names []string
	for _, d := range list {
		names = append(names, d.Name())
	}
	return names
}
