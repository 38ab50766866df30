package isolayer

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	_ "crypto/md5" // the sums of lists in images
	_ "crypto/sha1"
	_ "crypto/sha256"
	_ "crypto/sha512"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/fat"
	"github.com/isolayer/isolayer/iso9660"
	"github.com/isolayer/isolayer/layout"
	"github.com/isolayer/isolayer/sums"
	"github.com/isolayer/isolayer/tree"
)

// maxRounds bounds how often an image is planned: lists may list each other, and
// signatures them.
const maxRounds = 6

// ErrCircle reports lists of checksums that contain each other's.
var ErrCircle = errors.New("lists of checksums list each other")

// settle plans the image, and again until what it says of itself is true: lists of
// checksums and of translated names. What a sum is of is known only then: boot images
// get new addresses by the plan.
func (s *stage) settle(plan func() (*layout.Result, error)) (*layout.Result, error) {
	res, err := plan()
	if err != nil {
		return nil, err
	}
	if es := res.Map.Extents(); len(es) == 1 && es[0].Src == s.base.src || !s.tells() {
		return res, nil
	}
	b := &books{s: s, mine: map[string]bool{}, known: map[sumKey]string{}, signed: map[string]string{}}
	if b.base, err = s.base.Tree(); err != nil {
		return nil, err
	}
	for range maxRounds {
		if err := b.open(res.Map); err != nil {
			return nil, err
		}
		changed, err := b.refresh()
		if err != nil {
			return nil, err
		}
		if !changed {
			if err := b.checkAreas(); err != nil {
				return nil, err
			}
			res.Report.Signatures = b.broken()
			return res, nil
		}
		if res, err = plan(); err != nil {
			return nil, err
		}
	}
	return nil, ErrCircle
}

// tells reports an image that says something of its own files. Most say nothing, and
// need not be read again.
func (s *stage) tells() bool {
	head := make([]byte, 96)
	if n, _ := s.base.src.ReadAt(head, 16*iso9660.BlockSize-int64(len(head))); n == len(head) && bytes.Count(head, []byte{0}) < n {
		return true
	}
	found := errors.New("found")
	return s.tree.Walk(func(n *tree.Node) error {
		if n.IsRegular() && (sums.Named(n.Path()) || n.Name == "TRANS.TBL" || n.Name == "InRelease" || n.Name == "kargs.json" || n.Name == "ignition.img" ||
			slices.ContainsFunc(signatureEndings, func(ext string) bool { return strings.HasSuffix(n.Name, ext) })) {
			return found
		}
		return nil
	}) != nil
}

// books are what an image says of itself, with the image as it was planned last.
type books struct {
	s    *stage
	base *tree.Tree
	m    *extent.Map
	img  *iso9660.Image
	tree *tree.Tree

	mine    map[string]bool // lists changed here; others that are new are the user's
	known   map[sumKey]string
	signed  map[string]string // sum of what was signed anew, by the signature's path
	regular int               // files of the base
}

// sumKey is a local file in the image.
type sumKey struct {
	src  extent.Source
	hash crypto.Hash
}

// open reads the planned image.
func (b *books) open(m *extent.Map) (err error) {
	b.m = m
	if b.img, err = iso9660.Open(m, m.Size(), iso9660.Options{}); err != nil {
		return fmt.Errorf("internal error: read the plan: %w", err)
	}
	if b.tree, err = tree.FromImage(b.img); err != nil {
		return fmt.Errorf("internal error: read the plan: %w", err)
	}
	return nil
}

// refresh brings lists in line, and reports whether any changed.
func (b *books) refresh() (changed bool, err error) {
	var lists, tables []*tree.Node
	err = b.s.tree.Walk(func(n *tree.Node) error {
		switch {
		case !n.IsRegular() || n.Size() > sums.MaxSize || n.Replaced() && !b.mine[n.Path()]:
		case sums.Named(n.Path()):
			lists = append(lists, n)
		case n.Name == "TRANS.TBL" && b.renamed(n.Parent):
			tables = append(tables, n)
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	for i, n := range append(lists, tables...) {
		edit := b.list
		if i >= len(lists) {
			edit = b.table
		}
		did, err := b.rewrite(n, edit)
		if err != nil {
			return false, fmt.Errorf("%s: %w", n.Path(), err)
		}
		changed = changed || did
	}
	if changed {
		return true, nil
	}
	return b.resign()
}

// renamed reports a directory that has other names in it than the base's.
func (b *books) renamed(dir *tree.Node) bool {
	was := b.base.Root
	if dir.Parent != nil {
		was = exact(b.base, slashless(dir.Path()))
	}
	return was == nil || len(was.Children) != len(dir.Children) ||
		slices.ContainsFunc(dir.Children, func(c *tree.Node) bool { return c.Moved() || c.Renamed() || was.Child(c.Name) == nil })
}

// rewrite gives a file of the tree the text that edit makes of it.
func (b *books) rewrite(n *tree.Node, edit func(n *tree.Node, text []byte) ([]byte, int, error)) (bool, error) {
	text, err := b.s.reader().Content(n, sums.MaxSize)
	if err != nil {
		return false, err
	}
	now, count, err := edit(n, text)
	if err != nil || count == 0 {
		return false, err
	}
	b.mine[n.Path()] = true
	what := "checksums"
	if n.Name == "TRANS.TBL" {
		what = "names"
	}
	b.s.changed(n.Path(), what, count)
	return true, b.s.tree.Do(tree.Put{Path: n.Path(), Attr: n.Attr, Source: fat.Bytes(now)})
}

// list brings a list of checksums in line: sums of what changed, no lines of what is
// gone, and lines of what is new where the list has those of nearly all files.
func (b *books) list(n *tree.Node, text []byte) ([]byte, int, error) {
	l, err := sums.Parse(n.Path(), text)
	if err != nil || len(l.Lines) == 0 {
		return text, 0, err
	}
	e := sums.Edit{Sums: map[int]string{}, Drop: map[int]bool{}}
	listed := map[string]bool{}
	for i, x := range l.Lines {
		listed[x.Path] = true
		was, is := exact(b.base, x.Path), exact(b.tree, x.Path)
		switch {
		case "/"+x.Path == n.Path():
		case is == nil && was != nil:
			e.Drop[i] = true
		case is == nil || !is.IsRegular() || b.same(was, is):
		default:
			sum, err := b.sum(is, x.Hash)
			if err != nil {
				return nil, 0, err
			}
			if sum != x.Sum {
				e.Sums[i] = sum
			}
		}
	}
	if h := l.Hash(); h != 0 && n.Parent.Parent == nil && b.covers(l) {
		if e.Add, err = b.newcomers(h, listed); err != nil {
			return nil, 0, err
		}
	}
	return l.Edit(e), len(e.Sums) + len(e.Drop) + len(e.Add), nil
}

// covers reports a list that has at least half of the base's files.
func (b *books) covers(l *sums.List) bool {
	if b.regular == 0 {
		_ = b.base.Walk(func(n *tree.Node) error {
			if n.IsRegular() {
				b.regular++
			}
			return nil
		})
	}
	return 2*len(l.Lines) >= b.regular
}

// newcomers are lines of the files that the base did not have.
func (b *books) newcomers(h crypto.Hash, listed map[string]bool) (out []sums.Line, err error) {
	err = b.tree.Walk(func(n *tree.Node) error {
		p := slashless(n.Path())
		if !n.IsRegular() || listed[p] || sums.Named(n.Path()) || exact(b.base, p) != nil {
			return nil
		}
		sum, err := b.sum(n, h)
		out = append(out, sums.Line{Path: p, Hash: h, Sum: sum})
		return err
	})
	return out, err
}

// exact returns the node of a path, no other case of it.
func exact(t *tree.Tree, p string) *tree.Node {
	n, err := t.Lookup("/" + p)
	if err != nil || n.Path() != "/"+p {
		return nil
	}
	return n
}

// same reports that a file has the bytes that it had in the base, by where they are from.
func (b *books) same(was, is *tree.Node) bool {
	if was == nil || !was.IsRegular() || was.Size() != is.Size() || len(was.Content) != len(is.Content) {
		return false
	}
	for i, now := range is.Content {
		old := was.Content[i]
		if old.Size != now.Size || !b.copied(now.LBA.Offset(), old.LBA.Offset(), now.Size) {
			return false
		}
	}
	return true
}

// copied reports that n bytes at a place of the image are those at a place of the base.
func (b *books) copied(at, from, n int64) bool {
	es := b.m.Extents()
	i, _ := slices.BinarySearchFunc(es, at, func(e extent.Extent, at int64) int {
		switch {
		case e.End() <= at:
			return -1
		case e.Off > at:
			return 1
		}
		return 0
	})
	for ; i < len(es) && es[i].Off < at+n; i++ {
		if e := es[i]; e.Kind != extent.Copy || e.Src != b.s.base.src || e.SrcOff-e.Off != from-at {
			return false
		}
	}
	return true
}

// sum reads a file of the planned image. Local files are read once.
func (b *books) sum(n *tree.Node, h crypto.Hash) (string, error) {
	key := sumKey{hash: h}
	if own := exact(b.s.tree, slashless(n.Path())); own != nil {
		if f, ok := own.Source.(*extent.File); ok {
			key.src = f
		}
	}
	if sum, ok := b.known[key]; ok && key.src != nil {
		return sum, nil
	}
	r, size, err := b.content(n)
	if err != nil {
		return "", err
	}
	w := h.New()
	if got, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{io.NewSectionReader(r, 0, size)}, make([]byte, 1<<20)); err != nil || got < size {
		return "", fmt.Errorf("read %s: %w", n.Path(), errors.Join(err, io.ErrUnexpectedEOF))
	}
	sum := hex.EncodeToString(w.Sum(nil))
	if key.src != nil {
		b.known[key] = sum
	}
	return sum, nil
}

// content opens a file of the planned image.
func (b *books) content(n *tree.Node) (io.ReaderAt, int64, error) {
	for _, e := range n.Found {
		if e != nil {
			return b.img.Open(e)
		}
	}
	return nil, 0, fmt.Errorf("internal error: %s has no entry", n.Path())
}

// table brings a list of translated names (genisoimage -T) in line with its directory.
func (b *books) table(n *tree.Node, text []byte) ([]byte, int, error) {
	dir := path.Dir(n.Path())
	was, is := exact(b.base, slashless(dir)), exact(b.tree, slashless(dir))
	if dir == "/" {
		was, is = b.base.Root, b.tree.Root
	}
	if was == nil || is == nil {
		return text, 0, nil // its directory has another name; the names in it are the same
	}
	now, count, width := map[string]*tree.Node{}, 0, 0
	for _, c := range is.Children {
		now[c.Name] = c
	}
	var out strings.Builder
	have := map[string]bool{}
	for l := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimRight(l, "\r\n"), "\t")
		if len(f) < 2 {
			out.WriteString(l)
			continue
		}
		width = len(f[0])
		c := now[f[1]]
		if c == nil && was.Child(f[1]) != nil {
			count++
			continue
		}
		if have[f[1]] = true; c != nil {
			if line := tableLine(c, width); line != "" && line != l {
				count++
				l = line
			}
		}
		out.WriteString(l)
	}
	for _, c := range is.Children {
		if have[c.Name] || c.Hidden || c.Name == "TRANS.TBL" || was.Child(c.Name) != nil {
			continue
		}
		if line := tableLine(c, width); line != "" {
			count++
			out.WriteString(line)
		}
	}
	return []byte(out.String()), count, nil
}

// tableLine is the line of an entry: type, identifier, name, and where a link leads.
func tableLine(n *tree.Node, width int) string {
	e := n.Found[iso9660.Primary]
	if e == nil {
		return ""
	}
	kind, rest := "F", ""
	switch {
	case n.IsDir():
		kind = "D"
	case n.IsLink():
		kind, rest = "L", "\t"+n.Link
	case !n.IsRegular():
		return ""
	}
	return fmt.Sprintf("%-*s\t%s%s\n", width, kind+" "+string(e.Raws[0].Record.ID()), n.Name, rest)
}
