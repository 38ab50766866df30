package isofile

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/localtree"
	"github.com/isolayer/isolayer/internal/recipe"
	"github.com/isolayer/isolayer/internal/tree"
)

// maxTemplate is how long a file may be that values go into.
const maxTemplate = 16 << 20

// copyContext finds what COPY and ADD put into an image.
type copyContext struct {
	*run
	ctx     context.Context
	s       *state
	i       *recipe.Instruction
	epoch   time.Time
	mode    *uint32
	owner   *edit.Owner
	render  bool
	ignore  func(string) (bool, error)
	closers []io.Closer
	list    []item
}

// close closes what the contents are read from.
func (g *copyContext) close() error {
	var errs []error
	for _, c := range g.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

func (g *copyContext) flags() (err error) {
	if v, ok := g.i.Flag("chmod"); ok {
		mode, err := edit.ParseMode(v)
		if err != nil {
			return fmt.Errorf("%w: --chmod: %w", recipe.ErrSyntax, err)
		}
		g.mode = &mode
	}
	if v, ok := g.i.Flag("chown"); ok {
		owner, err := edit.ParseOwner(v)
		if err != nil {
			return fmt.Errorf("%w: --chown: %w", recipe.ErrSyntax, err)
		}
		g.owner = &owner
	}
	_, g.render = g.i.Flag("template")
	if _, from := g.i.Flag("from"); from && g.render {
		return fmt.Errorf("%w: --template goes with files of the context, not with --from", recipe.ErrSyntax)
	}
	g.ignore, err = g.run.ignored()
	return err
}

// unsummed refuses a digest for what is none of a URL: nothing would compare it.
func (g *copyContext) unsummed(word string) error {
	if _, ok := g.i.Flag("checksum"); ok {
		return fmt.Errorf("%w: --checksum goes with a URL, which %s is not", recipe.ErrSyntax, word)
	}
	return nil
}

// attr are the attributes of something that is put in.
func (g *copyContext) attr(kind uint32, executable bool) tree.Attr {
	a := tree.Attr{Mode: kind | 0o644, ModTime: g.epoch}
	if kind == iso9660.ModeDir || executable {
		a.Mode = kind | 0o755
	}
	return g.given(a)
}

// text puts a here-document into the image.
func (g *copyContext) text(name, text, dest string) error {
	if err := g.unsummed("a here-document"); err != nil {
		return err
	}
	if g.render {
		var err error
		if text, err = recipe.Render(name, text, g.values); err != nil {
			return err
		}
	}
	g.add(item{dest: localtree.Into(dest, name), attr: g.attr(iso9660.ModeRegular, false), src: extent.Memory(name, []byte(text)), sum: fmt.Sprintf("%x", sha256.Sum256([]byte(text)))})
	return nil
}

func (g *copyContext) add(x item) {
	if !strings.HasPrefix(x.dest, "@") {
		x.dest = path.Join("/", x.dest)
	}
	g.list = append(g.list, x)
}

// source puts what a word names into the image: a file or the content of a directory of
// the context, or of another stage; with ADD also the content of an archive, or what a
// URL leads to.
func (g *copyContext) source(word, dest string) error {
	if from, ok := g.i.Flag("from"); ok {
		return g.stageSource(from, word, dest)
	}
	if g.i.Name == "ADD" && (strings.HasPrefix(word, "http://") || strings.HasPrefix(word, "https://")) {
		return g.url(word, dest)
	}
	if err := g.unsummed(word); err != nil {
		return err
	}
	p, err := g.run.source(word)
	if err != nil {
		return err
	}
	hits := []string{p}
	if strings.ContainsAny(word, "*?[") {
		if hits, err = filepath.Glob(p); err != nil {
			return err
		}
		slices.Sort(hits)
		if len(hits) > 1 && !localtree.IsInto(dest) {
			return fmt.Errorf("%w: %s is several files; the destination must end in a slash", recipe.ErrSyntax, word)
		}
	}
	took := false
	for _, hit := range hits {
		some, err := g.local(hit, dest)
		if err != nil {
			return err
		}
		took = took || some
	}
	switch {
	case len(hits) == 0:
		return fmt.Errorf("%s: %w in the context", word, fs.ErrNotExist)
	case !took:
		return fmt.Errorf("%s: .isoignore leaves it out", word)
	}
	return nil
}

// local puts a file, or what a directory holds, into the image, and reports whether there
// was something that .isoignore does not name.
func (g *copyContext) local(p, dest string) (took bool, err error) {
	info, err := os.Stat(p)
	if err != nil {
		return false, err // with the whole path: where it was looked for
	}
	if !info.IsDir() {
		if skip, err := g.skip(p); skip || err != nil {
			return false, err
		}
		if g.i.Name == "ADD" && isArchive(p) {
			return true, g.archive(p, dest)
		}
		dest = localtree.Into(dest, localtree.Name(p))
	}
	n := len(g.list)
	err = localtree.Walk(p, info, g.skip, func(e localtree.Entry) error {
		return g.file(e, e.Below(dest))
	})
	return len(g.list) > n, err
}

// skip reports what .isoignore names.
func (g *copyContext) skip(p string) (bool, error) {
	rel, err := filepath.Rel(g.Context, p)
	if err != nil || rel == "." {
		return false, err
	}
	return g.ignore(rel)
}

// file puts one file, directory or link into the image.
func (g *copyContext) file(e localtree.Entry, dest string) error {
	switch {
	case e.Info.IsDir():
		g.add(item{dest: dest, attr: g.attr(iso9660.ModeDir, true)})
		return nil
	case e.IsLink():
		a := g.attr(iso9660.ModeSymlink, true)
		a.Mode, a.Link = iso9660.ModeSymlink|0o777, e.Link
		g.add(item{dest: dest, attr: a})
		return nil
	}
	a := g.attr(iso9660.ModeRegular, e.Info.Mode()&0o111 != 0)
	if g.render {
		return g.template(e.Path, dest, a)
	}
	d, err := g.fileSum(g.ctx, e.Path)
	if err != nil {
		return err
	}
	g.add(item{local: e.Path, dest: dest, attr: a, sum: string(d)})
	return nil
}

// template puts a file with values into the image.
func (g *copyContext) template(p, dest string, a tree.Attr) error {
	text, err := renderFile(p, g.Context, g.values)
	if err != nil {
		return err
	}
	g.add(item{dest: dest, attr: a, src: extent.Memory(p, []byte(text)), sum: fmt.Sprintf("%x", sha256.Sum256([]byte(text)))})
	return nil
}

// renderFile is a template file with values. Errors name it as the Isofile in its folder
// spells it.
func renderFile(p, folder string, values map[string]string) (string, error) {
	name, err := filepath.Rel(folder, p)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(p)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, baseimage.Bare(err))
	}
	if info.Size() > maxTemplate {
		return "", fmt.Errorf("%s: a template of more than %d bytes", name, maxTemplate)
	}
	b, err := os.ReadFile(p)
	if err != nil {
		return "", err
	}
	return recipe.Render(name, string(b), values)
}
