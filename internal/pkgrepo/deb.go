package pkgrepo

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ulikunitz/xz"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
)

// refreshDeb lets apt-ftparchive describe the new packages, adds that to the indexes of
// their components, takes out those of removed packages, and lets it write the Release
// files, whose fields stay.
func refreshDeb(s *stage.Stage, dir string, x *shop) error {
	dists := x.root.Child("dists")
	if err := copyOut(s, dir, x, []*tree.Node{dists}, isMetadata); err != nil {
		return err
	}
	var stanzas []byte
	if len(x.added) > 0 {
		var err error
		if stanzas, err = own(s.Ctx, dir, "apt-ftparchive", "apt-utils", "packages", "."); err != nil {
			return err
		}
	}
	var suites []string
	indexes := map[string]bool{} // COMPONENT/binary-ARCH
	err := filepath.WalkDir(filepath.Join(dir, "dists"), func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir():
			return err
		case d.Name() == "Release" && filepath.Base(filepath.Dir(filepath.Dir(p))) == "dists":
			suites = append(suites, filepath.Dir(p))
		case strings.HasPrefix(d.Name(), "Packages"):
			indexes[indexOf(dir, p)] = true
			return reindex(dir, p, splitStanzas(stanzas), x.removed)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(suites) == 0 {
		return fmt.Errorf("no dists/*/Release: %w", iso9660.ErrUnsupported)
	}
	if err := unlisted(splitStanzas(stanzas), indexes); err != nil {
		return err
	}
	for _, suite := range suites {
		if err := release(s.Ctx, suite); err != nil {
			return err
		}
	}
	return filepath.WalkDir(filepath.Join(dir, "dists"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		n := s.Tree.Exact(stage.Slashless(path.Join(x.root.Path(), filepath.ToSlash(rel))))
		if n == nil {
			return fmt.Errorf("internal error: %s is not in the tree", rel)
		}
		return putBack(s, n, p)
	})
}

// stanzaField is a value of a stanza.
func stanzaField(stanza []byte, name string) string {
	for l := range strings.Lines(string(stanza)) {
		if k, v, ok := strings.Cut(l, ":"); ok && strings.EqualFold(k, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func splitStanzas(text []byte) (out [][]byte) {
	for _, s := range bytes.Split(text, []byte("\n\n")) {
		if s = bytes.Trim(s, "\n"); len(s) > 0 {
			out = append(out, s)
		}
	}
	return out
}

// packer opens and writes an index by its ending.
type packer struct {
	open  func(io.Reader) (io.Reader, error)
	write func(io.Writer) (io.WriteCloser, error)
}

var packers = map[string]packer{
	"": {func(r io.Reader) (io.Reader, error) { return r, nil }, func(w io.Writer) (io.WriteCloser, error) { return nopCloser{w}, nil }},
	".gz": {func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }, func(w io.Writer) (io.WriteCloser, error) {
		return gzip.NewWriterLevel(w, gzip.BestCompression)
	}},
	".xz": {func(r io.Reader) (io.Reader, error) { return xz.NewReader(r) }, func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) }},
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// reindex changes one index, dists/SUITE/COMPONENT/binary-ARCH/Packages or that packed.
func reindex(dir, file string, added [][]byte, removed []string) error {
	p, ok := packers[strings.TrimPrefix(filepath.Base(file), "Packages")]
	if !ok {
		return os.Remove(file) // of a kind that cannot be written; apt takes another
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	r, err := p.open(bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	text, err := io.ReadAll(io.LimitReader(r, maxIndex))
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	component, arch, ok := strings.Cut(indexOf(dir, file), "/binary-")
	if !ok {
		return nil
	}
	gone := map[string]bool{}
	for _, r := range removed {
		gone[r] = true
	}
	var fresh [][]byte
	for _, s := range added {
		name := strings.TrimPrefix(stanzaField(s, "Filename"), "./")
		gone[name] = true // an older description of it
		if a := stanzaField(s, "Architecture"); (a == arch || a == "all") && component == componentOf(name) {
			fresh = append(fresh, bytes.Replace(s, []byte("Filename: ./"), []byte("Filename: "), 1))
		}
	}
	keep := slices.DeleteFunc(splitStanzas(text), func(s []byte) bool { return gone[strings.TrimPrefix(stanzaField(s, "Filename"), "./")] })
	var out bytes.Buffer
	w, err := p.write(&out)
	if err != nil {
		return err
	}
	for _, s := range append(keep, fresh...) {
		if _, err := w.Write(append(s[:len(s):len(s)], "\n\n"...)); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(file, out.Bytes(), 0o644)
}

// indexOf is what an index is of, COMPONENT/binary-ARCH, by its place:
// dists/SUITE/COMPONENT/binary-ARCH/Packages; "" elsewhere.
func indexOf(dir, file string) string {
	rel, err := filepath.Rel(filepath.Join(dir, "dists"), file)
	parts := strings.Split(filepath.ToSlash(rel), "/")
	if err != nil || len(parts) < 4 {
		return ""
	}
	return path.Join(parts[1 : len(parts)-1]...)
}

// ErrComponent reports a package that no index of its repository would list.
var ErrComponent = errors.New("no index of the repository would list it")

// unlisted reports, as an error, new packages that are in none of the indexes: apt would
// never find them.
func unlisted(added [][]byte, indexes map[string]bool) error {
	delete(indexes, "")
	for _, s := range added {
		name := strings.TrimPrefix(stanzaField(s, "Filename"), "./")
		component, arch := componentOf(name), stanzaField(s, "Architecture")
		fits := func(index string) bool {
			return index == component+"/binary-"+arch || arch == "all" && strings.HasPrefix(index, component+"/binary-")
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(indexes)), fits) {
			return fmt.Errorf("/%s (component %s, architecture %s): %w; there are %s", name, component, arch, ErrComponent, strings.Join(slices.Sorted(maps.Keys(indexes)), ", "))
		}
	}
	return nil
}

// componentOf is the component of a package by its path: pool/COMPONENT/…, else main.
func componentOf(name string) string {
	if parts := strings.Split(name, "/"); len(parts) > 2 && parts[0] == "pool" {
		return parts[1]
	}
	return "main"
}

// release lets apt-ftparchive write the sums of a suite, and keeps the fields, the date
// too, that its Release file had.
func release(ctx context.Context, suite string) error {
	file := filepath.Join(suite, "Release")
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := os.Remove(file); err != nil { // it would list itself
		return err
	}
	text, err := own(ctx, suite, "apt-ftparchive", "apt-utils", "release", ".")
	if err != nil {
		return err
	}
	var out strings.Builder
	for l := range strings.Lines(string(old)) {
		if strings.HasPrefix(l, "MD5Sum:") || strings.HasPrefix(l, "SHA") {
			break
		}
		out.WriteString(strings.TrimRight(l, "\n") + "\n")
	}
	sums := false
	for l := range strings.Lines(string(text)) {
		sums = sums || strings.HasPrefix(l, "MD5Sum:") || strings.HasPrefix(l, "SHA")
		if sums {
			out.WriteString(l)
		}
	}
	return os.WriteFile(file, []byte(out.String()), 0o644)
}
