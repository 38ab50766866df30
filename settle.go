package isolayer

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	_ "crypto/md5" // the sums of lists in images
	_ "crypto/sha1"
	_ "crypto/sha512"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/sums"
	"github.com/isolayer/isolayer/internal/tree"
	"github.com/isolayer/isolayer/sink"
)

// maxRounds bounds how often an image is planned: lists may list each other, and
// signatures them.
const maxRounds = 6

// ErrCircle reports lists of checksums that contain each other's.
var ErrCircle = errors.New("lists of checksums list each other")

// settle plans the image, and again until what it says of itself is true: lists of
// checksums and of translated names. Sums that no address decides are known before: most
// images are planned once.
func (s *stage) settle(plan func() (*layout.Result, error)) (*layout.Result, error) {
	if s.options.draft {
		return plan()
	}
	b := &books{s: s, mine: map[string]map[string]bool{}, known: map[sumKey]string{}, sources: map[extent.Source]int{}, signed: map[string]string{}}
	if err := b.foresee(); err != nil {
		return nil, err
	}
	res, err := plan()
	if err != nil {
		return nil, err
	}
	if es := res.Map.Extents(); len(es) == 1 && es[0].Src == s.base.src {
		return res, nil
	}
	if len(b.mine) == 0 {
		if tells, err := s.tells(); err != nil || !tells {
			return res, err
		}
	}
	for range maxRounds {
		if err := b.open(res); err != nil {
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
			return res, b.insisted(res.Report.Signatures)
		}
		if res, err = plan(); err != nil {
			return nil, err
		}
	}
	return nil, ErrCircle
}

// tells reports that what the image says of its own files may have become untrue, or is
// in reserved areas or signatures: the plan is then to be read. Most images say nothing of
// what was edited.
func (s *stage) tells() (bool, error) {
	head := make([]byte, 96)
	if n, _ := s.base.src.ReadAt(head, 16*iso9660.BlockSize-int64(len(head))); n == len(head) && bytes.Count(head, []byte{0}) < n {
		return true, nil
	}
	found := errors.New("found")
	err := s.tree.Walk(func(n *tree.Node) error {
		switch {
		case !n.IsRegular():
		case n.Name == "InRelease", n.Name == "kargs.json", n.Name == "ignition.img",
			slices.ContainsFunc(signatureEndings, func(ext string) bool { return strings.HasSuffix(n.Name, ext) }):
			return found
		case sums.Named(n.Name) && sums.Named(n.Path()):
			if ok, err := s.untouched(n); err != nil {
				return err
			} else if !ok {
				return found
			}
		}
		return nil
	})
	if errors.Is(err, found) {
		return true, nil
	}
	return false, err
}

// untouched reports a list of checksums that no edit can have made untrue: all that it
// names is there as it was found, has no addresses in it, and it is no list of all files.
func (s *stage) untouched(n *tree.Node) (bool, error) {
	if n.Replaced() || n.Size() > sums.MaxSize || path.Dir(n.Path()) == "/" && n.Name != ".treeinfo" {
		return false, nil
	}
	text, err := s.reader().Content(n, sums.MaxSize)
	if err != nil {
		return false, fmt.Errorf("%s: %w", n.Path(), err)
	}
	l, err := sums.Parse(n.Path(), text)
	if err != nil {
		return false, nil // books tells
	}
	for _, x := range l.Lines {
		is := s.tree.Exact(x.Path)
		if is == nil || !is.IsRegular() || is.Replaced() || is.Renamed() || is.Moved() || len(is.Content) > 0 && s.base.addressed(is.Content[0].LBA) {
			return false, nil
		}
	}
	return true, nil
}

// books are what an image says of itself, with the image as it was planned last.
type books struct {
	s    *stage
	base *tree.Tree
	res  *layout.Result // before there is a plan: the base
	tree *tree.Tree     // of the plan: that of the stage, unless the plan is read
	img  *iso9660.Image // … which is this then

	planned bool
	mine    map[string]map[string]bool // changed lines by lists changed here; others that are new are the user's
	changed []string                   // lists, in the order of their first change
	known   map[sumKey]string
	sources map[extent.Source]int // their numbers in sumKey
	signed  map[string]string     // sum of what was signed anew, by the signature's path
	regular int                   // files of the base
}

// sumKey is content by where its bytes are from: what has the same, in whatever plan and
// at whatever place, has the same sum.
type sumKey struct {
	origin string
	hash   crypto.Hash
}

// origin says where bytes are from, as a key.
func (b *books) origin(m *extent.Map) string {
	var out strings.Builder
	fmt.Fprint(&out, m.Size())
	for _, e := range m.Extents() {
		fmt.Fprintf(&out, ";%d+%d:%d", e.Off, e.Len, e.Kind)
		switch e.Kind {
		case extent.Bytes:
			fmt.Fprintf(&out, "%x", sha256.Sum256(e.Data))
		case extent.Copy:
			k, ok := b.sources[e.Src]
			if !ok {
				k = len(b.sources)
				b.sources[e.Src] = k
			}
			fmt.Fprintf(&out, "%d@%d", k, e.SrcOff)
		}
	}
	return out.String()
}

// foresee brings lists in line before there is a plan, as far as can be known then. Names
// that only plain ISO 9660 has, and areas at addresses, are looked for in the plan.
func (b *books) foresee() error {
	b.tree, b.res = b.s.tree, &layout.Result{Map: extent.Whole(b.s.base.src)}
	lists, err := b.lists()
	if err != nil || !b.quick() || len(lists) == 0 {
		return err
	}
	if err := b.compare(); err != nil {
		return err
	}
	_, err = b.rewriteAll(lists)
	return err
}

// compare gets the tree to compare with, which is the base's own.
func (b *books) compare() (err error) {
	if b.base == nil {
		b.base, err = b.s.base.merged()
	}
	return err
}

// quick reports an image whose plan has the tree of the stage, name by name.
func (b *books) quick() bool { return b.s.tree.RockRidge && b.s.base.areaHeader() == nil }

// open takes a plan; where its names may not be those of the stage it is read as an image.
func (b *books) open(res *layout.Result) error {
	if err := b.compare(); err != nil {
		return err
	}
	b.res, b.planned = res, true
	if b.report(); b.quick() {
		return nil
	}
	m, err := res.Map, error(nil)
	b.res = &layout.Result{Map: m}
	if b.img, err = iso9660.Open(m, m.Size(), iso9660.Options{Budget: fault.NewBudget(m.Size(), fault.Unlimited())}); err == nil {
		b.tree, err = tree.FromImage(b.img)
	}
	if err != nil {
		return fmt.Errorf("internal error: read the plan: %w", err)
	}
	return nil
}

// lists are those of checksums that are to be true: none of the user's own, and none that no
// edit can have made untrue.
func (b *books) lists() (lists []*tree.Node, err error) {
	err = b.s.tree.Walk(func(n *tree.Node) error {
		p := ""
		if n.IsRegular() && sums.Named(n.Name) {
			p = n.Path()
		}
		if p == "" || n.Size() > sums.MaxSize || n.Replaced() && b.mine[p] == nil || !sums.Named(p) {
			return nil
		}
		still := false
		if !b.planned {
			if still, err = b.s.untouched(n); err != nil {
				return err
			}
		}
		if !still {
			lists = append(lists, n)
		}
		return nil
	})
	return lists, err
}

// rewriteAll brings lists in line, and reports whether any changed.
func (b *books) rewriteAll(lists []*tree.Node) (changed bool, err error) {
	for _, n := range lists {
		did, err := b.rewrite(n)
		if err != nil {
			return false, fmt.Errorf("%s: %w", n.Path(), err)
		}
		changed = changed || did
	}
	return changed, nil
}

// refresh brings what the plan says of itself in line, and reports whether anything changed.
func (b *books) refresh() (changed bool, err error) {
	lists, err := b.lists()
	if err == nil {
		changed, err = b.rewriteAll(lists)
	}
	if err != nil || changed {
		return changed, err
	}
	return b.resign()
}

// rewrite gives a list the text that is true.
func (b *books) rewrite(n *tree.Node) (bool, error) {
	text, err := b.s.reader().Content(n, sums.MaxSize)
	if err != nil {
		return false, err
	}
	l, e, err := b.edits(n, text)
	if err != nil || len(e.Sums)+len(e.Drop)+len(e.Add) == 0 {
		return false, err
	}
	if stays, err := b.sealed(n, l, e); err != nil || stays {
		return false, err
	}
	now := l.Edit(e)
	b.note(n.Path(), l, e)
	b.report()
	return true, b.s.tree.Do(tree.Put{Path: n.Path(), Attr: n.Attr, Source: fat.Bytes(now)})
}

// report tells of the lists that changed, once there is a plan.
func (b *books) report() {
	for _, p := range b.changed {
		if b.planned {
			b.s.changed(p, "checksums", len(b.mine[p]))
		}
	}
}

// note remembers the lines that change, each once in however many plans.
func (b *books) note(list string, l *sums.List, e sums.Edit) {
	lines := b.mine[list]
	if lines == nil {
		lines = map[string]bool{}
		b.mine[list] = lines
		b.changed = append(b.changed, list)
	}
	for i, x := range l.Lines {
		if _, ok := e.Sums[i]; ok || e.Drop[i] {
			lines[fmt.Sprint(x.Hash, x.Path)] = true
		}
	}
	for _, x := range e.Add {
		lines[fmt.Sprint(x.Hash, x.Path)] = true
	}
}

// edits are what brings a list of checksums in line: sums of what changed, no lines of
// what is gone, and lines of what is new where the list has those of nearly all files.
func (b *books) edits(n *tree.Node, text []byte) (*sums.List, sums.Edit, error) {
	e := sums.Edit{Sums: map[int]string{}, Drop: map[int]bool{}}
	l, err := sums.Parse(n.Path(), text)
	if err != nil || len(l.Lines) == 0 {
		return l, e, err
	}
	listed := map[string]bool{}
	for i, x := range l.Lines {
		listed[x.Path] = true
		was, is := b.base.Exact(x.Path), b.tree.Exact(x.Path)
		switch {
		case "/"+x.Path == n.Path():
		case is == nil && was != nil:
			e.Drop[i] = true
		case is == nil || !is.IsRegular() || b.same(was, is):
		default:
			sum, err := b.sum(is, x.Hash)
			if err != nil {
				return nil, e, err
			}
			if sum != x.Sum {
				e.Sums[i] = sum
			}
		}
	}
	if h := l.Hash(); h != 0 && n.Parent.Parent == nil && b.covers(l) {
		if e.Add, err = b.newcomers(h, listed); err != nil {
			return nil, e, err
		}
	}
	return l, e, nil
}

// ErrSealed reports a list of checksums whose signature the installer insists on, though
// a file changed that it compares with the list.
var ErrSealed = errors.New("the installer ends where a signature does not hold")

// sealed reports a list that stays as it was, so that its signature holds: the installer
// insists on that, and compares with the list none of the files that changed.
func (b *books) sealed(n *tree.Node, l *sums.List, e sums.Edit) (bool, error) {
	o := b.s.options
	if o.Resign != "" || o.Insecure || b.mine[n.Path()] != nil {
		return false, nil
	}
	f := b.s.release().Family
	sig := b.s.tree.Exact(slashless(n.Path()) + ".asc")
	if f.Checks == nil || sig == nil || sig.Replaced() {
		return false, nil
	}
	checks := f.Checks(slashless(n.Path()))
	if checks == nil {
		return false, nil
	}
	for i, x := range l.Lines {
		if _, changed := e.Sums[i]; (changed || e.Drop[i]) && checks(x.Path) {
			return false, fmt.Errorf("/%s changed, which the installer compares with the signed %s: %w", x.Path, n.Path(), ErrSealed)
		}
	}
	note := fmt.Sprintf("%s stays as it was, so that its signature holds; the installer compares none of the changed files with it", n.Path())
	if !slices.Contains(b.s.notes, note) {
		b.s.notes = append(b.s.notes, note)
	}
	return true, nil
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
		if !n.IsRegular() || listed[p] || sums.Named(n.Path()) || b.base.Exact(p) != nil {
			return nil
		}
		sum, err := b.sum(n, h)
		out = append(out, sums.Line{Path: p, Hash: h, Sum: sum})
		return err
	})
	return out, err
}

// same reports that a file has the bytes that it had in the base, by where they are from.
func (b *books) same(was, is *tree.Node) bool { return b.res.Same(b.s.base.src, was, is) }

// sum reads a file of the planned image. The same content is read once.
func (b *books) sum(n *tree.Node, h crypto.Hash) (string, error) {
	m, err := b.res.Content(n)
	if err != nil {
		return "", err
	}
	key := sumKey{b.origin(m), h}
	if sum, ok := b.known[key]; ok {
		return sum, nil
	}
	r, size, err := b.content(n)
	if err != nil {
		return "", err
	}
	w, from := h.New(), int64(0)
	if es := m.Extents(); len(es) > 0 {
		if head, k := b.s.head(es[0], h); head != nil {
			w, from = head, k
		}
	}
	if whole, ok := r.(*extent.Map); ok && from == 0 {
		_, err = sink.Feed(b.s.ctx, whole, nil, sink.Observer{Writer: w})
	} else if got, err2 := io.Copy(w, io.NewSectionReader(r, from, size-from)); err2 != nil || got < size-from {
		err = errors.Join(err2, io.ErrUnexpectedEOF)
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", n.Path(), err)
	}
	sum := hex.EncodeToString(w.Sum(nil))
	b.known[key] = sum
	return sum, nil
}

// content opens a file of the planned image.
func (b *books) content(n *tree.Node) (io.ReaderAt, int64, error) {
	for _, e := range n.Found {
		switch {
		case e == nil:
		case b.img != nil:
			return b.img.Open(e)
		case n.Source == nil && e.Compressed != nil:
			return b.s.base.Open(n)
		}
	}
	m, err := b.res.Content(n)
	if err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", n.Path(), err)
	}
	return m, m.Size(), nil
}
