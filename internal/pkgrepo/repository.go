package pkgrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
	"github.com/isolayer/isolayer/internal/unpack"
)

// ErrProgram reports a program of a distribution that is missing or failed.
var ErrProgram = errors.New("the distribution's own program is needed")

// maxIndex bounds what is read of the metadata of a repository, in bytes a file.
const maxIndex = 1 << 30

// shop is a repository of packages in the tree, with what steps changed in it. Paths
// count from its root and have no slash in front.
type shop struct {
	root    *tree.Node
	all     []string     // packages there now
	added   []*tree.Node // … of them new ones
	removed []string
	tops    map[string]bool // the uppermost directories that the base has packages in
}

// RefreshRepositories lets the distribution's own programs write the metadata of every
// repository that packages were added to or removed from. They work in a directory with
// the old metadata and the new packages; the others are not needed.
func RefreshRepositories(s *stage.Stage) error {
	if n, touched := Packages(s.Tree); n == s.Packages && !touched {
		return nil // most edits: looking closer takes longer than all else of planning
	}
	roots := repositories(s)
	if len(roots) == 0 {
		return nil
	}
	base, err := s.Base.Tree()
	if err != nil {
		return err
	}
	for _, root := range roots {
		ending, refresh := ".rpm", func(dir string, x *shop) error { return refreshRPM(s, dir, x) }
		if root.Child("dists") != nil {
			ending, refresh = ".deb", func(dir string, x *shop) error { return refreshDeb(s, dir, x) }
		}
		x, err := shopOf(s, base, root, roots, ending)
		if err != nil {
			return err
		}
		if len(x.added) == 0 && len(x.removed) == 0 {
			continue
		}
		if !s.Options.RefreshRepo {
			warnOutdated(s, x)
			continue
		}
		if err := inDirectory(s, x, refresh); err != nil {
			return fmt.Errorf("refresh repository %s: %w", root.Path(), err)
		}
		s.Notes = append(s.Notes, fmt.Sprintf("repository %s: %d packages added, %d removed, metadata written anew", root.Path(), len(x.added), len(x.removed)))
	}
	return nil
}

// Packages counts the packages of a tree, and reports whether an edit touched one, or a
// directory in which it may be.
func Packages(t *tree.Tree) (count int, touched bool) {
	_ = t.Walk(func(n *tree.Node) error {
		switch {
		case n.IsDir():
			touched = touched || n.Renamed() || n.Moved()
		case strings.HasSuffix(n.Name, ".rpm"), strings.HasSuffix(n.Name, ".deb"):
			count++
			touched = touched || n.Replaced() || n.Renamed() || n.Moved()
		}
		return nil
	})
	return count, touched
}

// repositories finds the roots of repositories of packages.
func repositories(s *stage.Stage) (roots []*tree.Node) {
	_ = s.Tree.Walk(func(n *tree.Node) error {
		if n.IsDir() && (n.Child("repodata") != nil && n.Child("repodata").Child("repomd.xml") != nil || n.Child("dists") != nil && n.Child("dists").IsDir()) {
			roots = append(roots, n)
		}
		return nil
	})
	return roots
}

// warnOutdated notes what the metadata of a repository does not say of its packages, unless
// the user brought new metadata. Packages elsewhere than its own ones may be meant for
// nobody.
func warnOutdated(s *stage.Stage, x *shop) {
	index := x.root.Child("dists")
	if index == nil {
		index = x.root.Child("repodata")
	}
	if brought(index) {
		return
	}
	added := 0
	for _, n := range x.added {
		if top, _, _ := strings.Cut(x.rel(n.Path()), "/"); x.tops[top] {
			added++
		}
	}
	if text := outdated(index.Path(), added, len(x.removed)); text != "" {
		s.Note(text)
	}
}

// outdated says what the metadata in a directory does not know.
func outdated(index string, added, removed int) string {
	var what []string
	if added > 0 {
		what = append(what, fmt.Sprintf("does not list %d packages that were added or replaced", added))
	}
	if removed > 0 {
		what = append(what, fmt.Sprintf("lists %d packages that are gone", removed))
	}
	if len(what) == 0 {
		return ""
	}
	text := strings.NewReplacer(" 1 packages that were", " 1 package that was", " 1 packages that are", " 1 package that is").Replace(strings.Join(what, ", and "))
	return fmt.Sprintf("%s %s; --refresh-repo writes it anew", index, text)
}

// brought reports a directory in which a file is new or replaced.
func brought(n *tree.Node) bool {
	return n.Replaced() && !n.IsDir() || slices.ContainsFunc(n.Children, brought)
}

// shopOf lists the packages of a repository; those of one below it are not its own.
func shopOf(s *stage.Stage, base *tree.Tree, root *tree.Node, roots []*tree.Node, ending string) (*shop, error) {
	x := &shop{root: root, tops: map[string]bool{}}
	own := func(n *tree.Node) bool {
		for d := n.Parent; d != nil; d = d.Parent {
			if d.Path() == root.Path() {
				return true
			}
			if slices.ContainsFunc(roots, func(r *tree.Node) bool { return r.Path() == d.Path() }) {
				return false
			}
		}
		return false
	}
	walk := func(t *tree.Tree, f func(n *tree.Node, rel string)) error {
		return t.Walk(func(n *tree.Node) error {
			if n.IsRegular() && strings.HasSuffix(n.Name, ending) && own(n) {
				f(n, x.rel(n.Path()))
			}
			return nil
		})
	}
	err := walk(s.Tree, func(n *tree.Node, rel string) {
		x.all = append(x.all, rel)
		if n.Replaced() || base.Exact(stage.Slashless(n.Path())) == nil {
			x.added = append(x.added, n)
		}
	})
	if err == nil {
		err = walk(base, func(n *tree.Node, rel string) {
			top, _, _ := strings.Cut(rel, "/")
			x.tops[top] = true
			if s.Tree.Exact(stage.Slashless(n.Path())) == nil {
				x.removed = append(x.removed, rel)
			}
		})
	}
	return x, err
}

func (x *shop) rel(p string) string { return stage.Slashless(strings.TrimPrefix(p, x.root.Path())) }

// inDirectory runs work in a directory with the new packages.
func inDirectory(s *stage.Stage, x *shop, work func(dir string, x *shop) error) (err error) {
	dir, err := os.MkdirTemp("", "isolayer-repo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	repository := filepath.Join(dir, "repository")
	if err := copyOut(s, repository, x, x.added, nil); err != nil {
		return err
	}
	return work(repository, x)
}

// copyOut writes nodes of the tree, with all below them that is wanted, below dir.
func copyOut(s *stage.Stage, dir string, x *shop, nodes []*tree.Node, keep func(*tree.Node) bool) (err error) {
	open := func(n *tree.Node) (io.ReaderAt, int64, error) { return openFile(s, n) }
	d, err := unpack.Open(s.Ctx, dir, unpack.Options{Open: open, Keep: keep})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	for _, n := range nodes {
		if err := d.Tree(n, x.rel(n.Path())); err != nil {
			return err
		}
	}
	if len(d.Twice) > 0 {
		return fmt.Errorf("%s is there twice: %w", d.Twice[0], iso9660.ErrUnsupported)
	}
	return d.Finish()
}

// openFile is that of a file of the tree, charged if it is the base's.
func openFile(s *stage.Stage, n *tree.Node) (io.ReaderAt, int64, error) {
	if n.Source != nil {
		return n.Source, n.Source.Size(), nil
	}
	r, size, err := s.Base.Open(n)
	if err == nil {
		err = s.Base.Charge(n, size)
	}
	return r, size, err
}

// isMetadata reports what programs read of old metadata: no links, which they would
// follow.
func isMetadata(n *tree.Node) bool { return n.IsDir() || n.IsRegular() && n.Size() <= maxIndex }

// own runs a program of a distribution and returns what it prints.
func own(ctx context.Context, dir, program, pkg string, args ...string) ([]byte, error) {
	file, err := exec.LookPath(program)
	if err != nil {
		return nil, fmt.Errorf("%w: %s is not installed (package %s)", ErrProgram, program, pkg)
	}
	cmd := exec.CommandContext(ctx, file, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC")
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w: %s", ErrProgram, program, err, bytes.TrimSpace(complaint.Bytes()))
	}
	return out.Bytes(), nil
}

// putBack replaces the files of a directory of the tree, but not those below it, by
// those of a local one.
func putBack(s *stage.Stage, n *tree.Node, from string) error {
	dir, attr := n.Path(), tree.Attr{Mode: stage.NewFileMode, ModTime: s.Tree.Epoch}
	was := map[string]bool{}
	for _, c := range n.Children {
		was[c.Name] = c.IsRegular()
	}
	list, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, d := range list {
		to := path.Join(dir, d.Name())
		delete(was, d.Name())
		if d.IsDir() {
			continue
		}
		b, err := os.ReadFile(filepath.Join(from, d.Name()))
		if err != nil {
			return err
		}
		a := attr
		if old := s.Tree.Exact(stage.Slashless(to)); old != nil {
			if text, err := s.Reader().Content(old, maxIndex); err == nil && bytes.Equal(text, b) {
				continue
			}
			a = old.Attr
		}
		if err := s.Put(to, a, fat.Bytes(b)); err != nil {
			return err
		}
	}
	for name, file := range was {
		if !file || slices.ContainsFunc(stage.SignatureEndings, func(ext string) bool { return strings.HasSuffix(name, ext) }) {
			continue // reported as broken, or made anew
		}
		if err := s.Tree.Do(tree.Remove{Path: path.Join(dir, name)}); err != nil {
			return err
		}
	}
	return nil
}

// refreshRPM runs createrepo_c, which takes from the old metadata what it says of
// packages that are not there.
func refreshRPM(s *stage.Stage, dir string, x *shop) error {
	meta := x.root.Child("repodata")
	if err := copyOut(s, dir, x, []*tree.Node{meta}, isMetadata); err != nil {
		return err
	}
	list := filepath.Join(filepath.Dir(dir), "packages") // beside it: there may be a directory of any name in it
	if err := os.WriteFile(list, []byte(strings.Join(x.all, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	args := []string{
		"--quiet", "--update", "--skip-stat", "--keep-all-metadata", "--retain-old-md", "0", "--pkglist", list,
		"--revision", strconv.FormatInt(s.FatTime().Unix(), 10), "--set-timestamp-to-revision",
	}
	if !slices.ContainsFunc(meta.Children, func(n *tree.Node) bool { return strings.Contains(n.Name, ".sqlite") }) {
		args = append(args, "--no-database")
	}
	if _, err := own(s.Ctx, dir, "createrepo_c", "createrepo-c or createrepo_c", append(args, dir)...); err != nil {
		return err
	}
	return putBack(s, meta, filepath.Join(dir, "repodata"))
}
