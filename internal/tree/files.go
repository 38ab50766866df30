package tree

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
)

// maxLinks is how many symbolic links a path may pass, as Linux has it.
const maxLinks = 40

// Find returns the node at a path as boot loaders look it up: in any case, following
// links, with ".." for the directory above. nil if it is not there.
func (t *Tree) Find(name string) *Node {
	n, links := t.Root, 0
	rest := strings.Split(name, "/")
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		switch {
		case part == "" || part == ".":
			continue
		case part == "..":
			if n.Parent != nil {
				n = n.Parent
			}
			continue
		}
		next := n.Child(part)
		if next == nil {
			if next = n.fold(part); next == nil {
				return nil
			}
		}
		if !next.IsLink() {
			n = next
			continue
		}
		if links++; links > maxLinks {
			return nil
		}
		if strings.HasPrefix(next.Link, "/") {
			n = t.Root
		}
		rest = append(strings.Split(next.Link, "/"), rest...)
	}
	return n
}

// fold returns the first child of that name in any case, nil without one.
func (n *Node) fold(name string) *Node {
	return made(&n.few.make().names.folded, func(folded map[string]*Node) {
		for _, c := range n.Children {
			if key := strings.ToLower(c.Name); !c.Hidden && folded[key] == nil {
				folded[key] = c
			}
		}
	}, len(n.Children))[strings.ToLower(name)]
}

// Files reads a tree as boot loaders do.
type Files struct {
	Tree *Tree
	// Base opens a file of the base image.
	Base func(*Node) (io.ReaderAt, int64, error)
}

// Lookup finds a file or directory in any case, following links; see Tree.Find. The
// path it returns has no slash in front.
func (f Files) Lookup(name string) (found string, dir bool, err error) {
	n := f.Tree.Find(name)
	if n == nil {
		return "", false, &fs.PathError{Op: "find", Path: name, Err: fs.ErrNotExist}
	}
	if n.Parent == nil {
		return ".", true, nil
	}
	return strings.TrimPrefix(n.Path(), "/"), n.IsDir(), nil
}

// List returns the names in a directory.
func (f Files) List(dir string) ([]string, error) {
	n := f.Tree.Find(dir)
	if n == nil {
		return nil, &fs.PathError{Op: "list", Path: dir, Err: fs.ErrNotExist}
	}
	var out []string
	for _, c := range n.Children {
		if !c.Hidden {
			out = append(out, c.Name)
		}
	}
	return out, nil
}

// Read returns the content of a regular file, nil if it has more than limit bytes or
// is none.
func (f Files) Read(name string, limit int64) ([]byte, error) {
	n := f.Tree.Find(name)
	if n == nil || !n.IsRegular() {
		return nil, nil
	}
	return f.Content(n, limit)
}

// At returns the bytes of a regular file.
func (f Files) At(name string) (io.ReaderAt, int64, error) {
	n := f.Tree.Find(name)
	if n == nil || !n.IsRegular() {
		return nil, 0, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return f.at(n)
}

// Identity returns a value that regular files have in common only if their content is the
// same; nil for other names.
func (f Files) Identity(name string) any {
	n := f.Tree.Find(name)
	switch {
	case n == nil:
		return nil
	case n.Source != nil:
		return n.Source
	}
	for _, e := range n.Found {
		if e != nil {
			return e
		}
	}
	return n
}

func (f Files) at(n *Node) (io.ReaderAt, int64, error) {
	if n.Source != nil {
		return n.Source, n.Size(), nil
	}
	r, size, err := f.Base(n)
	if err != nil {
		err = &fs.PathError{Op: "open", Path: n.Path(), Err: err}
	}
	return r, size, err
}

// Content returns the content of a node, nil if it has more than limit bytes.
func (f Files) Content(n *Node, limit int64) ([]byte, error) {
	r, size, err := f.at(n)
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, nil
	}
	b := make([]byte, size)
	if got, err := r.ReadAt(b, 0); int64(got) < size {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, &fs.PathError{Op: "read", Path: path.Clean(n.Path()), Err: err}
	}
	return b, nil
}
