package isofile

import (
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/layer"
	"github.com/isolayer/isolayer/internal/localtree"
	"github.com/isolayer/isolayer/internal/recipe"
	"github.com/isolayer/isolayer/internal/store"
	"github.com/isolayer/isolayer/internal/tree"
)

// archive puts what a tar archive holds into the image; false if it is none.
func (g *copyContext) archive(p, dest string) (bool, error) {
	switch ext := strings.ToLower(filepath.Ext(p)); {
	case ext == ".tar", ext == ".tgz", ext == ".tzst":
	case strings.HasSuffix(strings.ToLower(p), ".tar.gz"), strings.HasSuffix(strings.ToLower(p), ".tar.zst"):
	default:
		return false, nil
	}
	d, err := g.fileSum(g.ctx, p)
	if err != nil {
		return true, err
	}
	files := extent.NewFiles()
	g.closers = append(g.closers, files)
	f, err := files.Add(p)
	if err != nil {
		return true, err
	}
	src, spool, err := layer.Expand(f, "")
	if err != nil {
		return true, err
	}
	g.closers = append(g.closers, spool)
	l, err := layer.Read(src)
	if err != nil {
		return true, err
	}
	if len(l.Gone)+len(l.Opaque)+len(l.Renames)+len(l.Objects) > 0 || l.Patches() {
		return true, fmt.Errorf("%s is a layer: use LAYER", p)
	}
	for _, put := range l.Added {
		a := put.Attr
		a.ModTime = g.epoch
		if g.owner != nil {
			a.UID, a.GID = g.owner.UID, g.owner.GID
		}
		g.add(item{dest: path.Join(dest, put.Path), attr: a, src: put.Source, sum: string(d)})
	}
	return true, nil
}

// url puts what a URL leads to into the image; its digest must be stated.
func (g *copyContext) url(address, dest string) error {
	want, ok := g.i.Flag("checksum")
	if !ok {
		return fmt.Errorf("%w: ADD of a URL needs --checksum=sha256:…", recipe.ErrSyntax)
	}
	d, err := store.ParseDigest(want)
	if err != nil {
		return err
	}
	if _, there := g.Store.Has(d); !there {
		if g.Fetch == nil {
			return fmt.Errorf("fetch %s: %w", address, errors.ErrUnsupported)
		}
		got, err := g.Store.Put(g.ctx, func(w io.Writer) error { return g.Fetch(g.ctx, address, w) })
		if err != nil {
			return fmt.Errorf("fetch %s: %w", address, err)
		}
		if got.Digest != d {
			return fmt.Errorf("fetch %s: %w: it is %s", address, store.ErrDigest, got.Digest)
		}
	}
	name, _, _ := strings.Cut(path.Base(address), "?")
	g.add(item{local: g.Store.Path(d), dest: localtree.Into(dest, name), attr: g.attr(iso9660.ModeRegular, false), sum: string(d)})
	return nil
}

// stageSource puts what a stage, or another image, has at a path into the image.
func (g *copyContext) stageSource(from, word, dest string) error {
	var base *baseimage.Base
	var sum string
	if n, ok := g.r.Stage(from, len(g.stages)); ok {
		s := g.stages[n]
		img, err := s.build(g.ctx, g.options(s), nil)
		if err != nil {
			return err
		}
		g.closers = append(g.closers, img)
		if base, err = asBase(img, from); err != nil {
			return err
		}
		sum = fmt.Sprintf("%x", s.key[:])
	} else {
		p, err := g.run.source(from)
		if err != nil {
			return err
		}
		if base, err = g.open(p); err != nil {
			return fmt.Errorf("%s is no stage, and: %w", from, err)
		}
		d, err := g.fileSum(g.ctx, p)
		if err != nil {
			return err
		}
		sum = string(d)
	}
	t, err := base.Merged()
	if err != nil {
		return err
	}
	n, err := t.Lookup(word)
	if err != nil {
		return err
	}
	root := n.Path()
	if !n.IsDir() {
		dest = localtree.Into(dest, n.Name)
	}
	return walkNode(n, func(n *tree.Node) error {
		rel := strings.TrimPrefix(strings.TrimPrefix(n.Path(), root), "/")
		x := item{dest: path.Join(dest, rel), attr: n.Attr, sum: sum + ":" + n.Path()}
		if g.mode != nil && !n.IsLink() {
			x.attr.Mode = n.Mode&iso9660.ModeType | *g.mode
		}
		if g.owner != nil {
			x.attr.UID, x.attr.GID = g.owner.UID, g.owner.GID
		}
		if n.IsRegular() {
			var err error
			if x.src, err = build.NodeSource(base, n); err != nil {
				return err
			}
		}
		g.add(x)
		return nil
	})
}

// walkNode calls f for a node and all below it that listings show.
func walkNode(n *tree.Node, f func(*tree.Node) error) error {
	if n.Hidden {
		return nil
	}
	if err := f(n); err != nil {
		return err
	}
	for _, c := range n.Children {
		if err := walkNode(c, f); err != nil {
			return err
		}
	}
	return nil
}
