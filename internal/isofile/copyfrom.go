package isofile

import (
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
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

// isArchive reports the name of a tar archive.
func isArchive(p string) bool {
	p = strings.ToLower(p)
	return slices.ContainsFunc([]string{".tar", ".tgz", ".tzst", ".tar.gz", ".tar.zst"}, func(end string) bool { return strings.HasSuffix(p, end) })
}

// archive puts what a tar archive holds into the image.
func (g *copyContext) archive(p, dest string) error {
	if g.render {
		return fmt.Errorf("%w: --template goes with files, and %s is an archive", recipe.ErrSyntax, filepath.Base(p))
	}
	d, err := g.fileSum(g.ctx, p)
	if err != nil {
		return err
	}
	files := extent.NewFiles()
	g.closers = append(g.closers, files)
	f, err := files.Add(p)
	if err != nil {
		return err
	}
	src, spool, err := layer.Expand(f, "")
	if err != nil {
		return err
	}
	g.closers = append(g.closers, spool)
	l, err := layer.Read(src)
	if err != nil {
		return err
	}
	if len(l.Gone)+len(l.Opaque)+len(l.Renames)+len(l.Objects) > 0 || l.Patches() {
		return fmt.Errorf("%s is a layer: use LAYER", p)
	}
	for _, put := range l.Added {
		a := g.given(put.Attr)
		a.ModTime = g.epoch
		g.add(item{dest: path.Join(dest, put.Path), attr: a, src: put.Source, sum: string(d)})
	}
	return nil
}

// url puts what a URL leads to into the image; its digest must be stated.
func (g *copyContext) url(address, dest string) error {
	if g.render {
		return fmt.Errorf("%w: --template goes with files of the context, not with a URL", recipe.ErrSyntax)
	}
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
	base, sum, err := g.image(from)
	if err != nil {
		return err
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
	return walkNode(n, func(n *tree.Node) (err error) {
		rel := strings.TrimPrefix(strings.TrimPrefix(n.Path(), root), "/")
		x := item{dest: path.Join(dest, rel), attr: g.given(n.Attr), sum: sum + ":" + n.Path()}
		if n.IsRegular() {
			if x.src, err = build.NodeSource(base, n); err != nil {
				return err
			}
		}
		g.add(x)
		return nil
	})
}

// image opens a stage or another image, and names what is in it by a digest.
func (g *copyContext) image(from string) (base *baseimage.Base, sum string, err error) {
	if n, ok := g.r.Stage(from, len(g.stages)); ok {
		s := g.stages[n]
		img, err := s.build(g.ctx, g.options(s), nil)
		if err != nil {
			return nil, "", err
		}
		g.closers = append(g.closers, img)
		base, err = asBase(img, from)
		return base, fmt.Sprintf("%x", s.key[:]), err
	}
	p, err := g.run.source(from)
	if err != nil {
		return nil, "", err
	}
	if base, err = g.open(p); err != nil {
		return nil, "", fmt.Errorf("%s is not a stage, and: %w", from, err)
	}
	d, err := g.fileSum(g.ctx, p)
	return base, string(d), err
}

// given are attributes with the mode and the owner that flags give.
func (g *copyContext) given(a tree.Attr) tree.Attr {
	if kind := a.Mode & iso9660.ModeType; g.mode != nil && kind != iso9660.ModeSymlink {
		a.Mode = kind | *g.mode
	}
	if g.owner != nil {
		a.UID, a.GID = g.owner.UID, g.owner.GID
	}
	return a
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
