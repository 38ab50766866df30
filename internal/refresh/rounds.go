package refresh

import (
	"bytes"
	"crypto"
	_ "crypto/md5"
	_ "crypto/sha1"
	"crypto/sha256"
	_ "crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/coreos"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/initrd"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/sums"
	"github.com/isolayer/isolayer/internal/tree"
	"github.com/isolayer/isolayer/sink"
)

// maxRounds bounds how often an image is planned: lists may list each other, and
// signatures them.
const maxRounds = 6

// ErrCircle reports lists of checksums that contain each other's.
var ErrCircle = errors.New("lists of checksums list each other")

// Refresh plans the image, and again until what it says of itself is true: lists of
// checksums and of translated names. Sums that no address decides are known before: most
// images are planned once.
// See RATIONALE.md, "Lists of checksums are made true by planning again".
func Refresh(s *stage.Stage, plan func() (*layout.Result, error)) (*layout.Result, error) {
	if s.Options.Draft {
		return plan()
	}
	b := &checks{s: s, mine: map[string]map[string]bool{}, known: map[sumKey]string{}, sources: map[extent.Source]int{}, signed: map[string]string{}}
	if err := b.foresee(); err != nil {
		return nil, err
	}
	res, err := plan()
	if err != nil {
		return nil, err
	}
	if es := res.Map.Extents(); len(es) == 1 && es[0].Src == s.Base.Source() {
		return res, nil
	}
	if len(b.mine) == 0 {
		if describes, err := selfDescribing(s); err != nil || !describes {
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

// selfDescribing reports that what the image says of its own files may have become untrue, or is
// in reserved areas or signatures: the plan is then to be read. Most images say nothing of
// what was edited.
func selfDescribing(s *stage.Stage) (bool, error) {
	head := make([]byte, 96)
	if n, _ := s.Base.Source().ReadAt(head, 16*iso9660.BlockSize-int64(len(head))); n == len(head) && bytes.Count(head, []byte{0}) < n {
		return true, nil
	}
	found := errors.New("found")
	err := s.Tree.Walk(func(n *tree.Node) error {
		switch {
		case !n.IsRegular():
		case n.Name == "InRelease", n.Name == "kargs.json", n.Name == "ignition.img",
			slices.ContainsFunc(stage.SignatureEndings, func(ext string) bool { return strings.HasSuffix(n.Name, ext) }):
			return found
		case sums.Named(n.Name) && sums.Named(n.Path()):
			if ok, err := untouched(s, n); err != nil {
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
func untouched(s *stage.Stage, n *tree.Node) (bool, error) {
	if n.Replaced() || n.Size() > sums.MaxSize || path.Dir(n.Path()) == "/" && n.Name != ".treeinfo" {
		return false, nil
	}
	text, err := s.Reader().Content(n, sums.MaxSize)
	if err != nil {
		return false, fmt.Errorf("%s: %w", n.Path(), err)
	}
	l, err := sums.Parse(n.Path(), text)
	if err != nil {
		return false, nil // refresh reports it
	}
	for _, x := range l.Lines {
		is := s.Tree.Exact(x.Path)
		if is == nil || !is.IsRegular() || is.Replaced() || is.Renamed() || is.Moved() || len(is.Content()) > 0 && s.Base.Addressed(is.Content()[0].LBA) {
			return false, nil
		}
	}
	return true, nil
}

// checks are what an image says of itself, with the image as it was planned last.
type checks struct {
	s    *stage.Stage
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
func (b *checks) origin(m *extent.Map) string {
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
func (b *checks) foresee() error {
	b.tree, b.res = b.s.Tree, &layout.Result{Map: extent.Whole(b.s.Base.Source())}
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
func (b *checks) compare() (err error) {
	if b.base == nil {
		b.base, err = b.s.Base.Merged()
	}
	return err
}

// quick reports an image whose plan has the tree of the stage, name by name.
func (b *checks) quick() bool { return b.s.Tree.RockRidge && coreos.AreaHeader(b.s.Base) == nil }

// open takes a plan; where its names may not be those of the stage it is read as an image.
func (b *checks) open(res *layout.Result) error {
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
func (b *checks) lists() (lists []*tree.Node, err error) {
	err = b.s.Tree.Walk(func(n *tree.Node) error {
		p := ""
		if n.IsRegular() && sums.Named(n.Name) {
			p = n.Path()
		}
		if p == "" || n.Size() > sums.MaxSize || n.Replaced() && b.mine[p] == nil || !sums.Named(p) {
			return nil
		}
		still := false
		if !b.planned {
			if still, err = untouched(b.s, n); err != nil {
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
func (b *checks) rewriteAll(lists []*tree.Node) (changed bool, err error) {
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
func (b *checks) refresh() (changed bool, err error) {
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
func (b *checks) rewrite(n *tree.Node) (bool, error) {
	text, err := b.s.Reader().Content(n, sums.MaxSize)
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
	return true, b.s.Tree.Do(tree.Put{Path: n.Path(), Attr: n.Attr, Source: fat.Bytes(now)})
}

// report notes the lists that changed, once there is a plan.
func (b *checks) report() {
	for _, p := range b.changed {
		if b.planned {
			b.s.Changed(p, "checksums", len(b.mine[p]))
		}
	}
}

// note remembers the lines that change, each once in however many plans.
func (b *checks) note(list string, l *sums.List, e sums.Edit) {
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
func (b *checks) edits(n *tree.Node, text []byte) (*sums.List, sums.Edit, error) {
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
	if h := l.Hash(); h != 0 && n.Parent.Parent == nil && covers(b, l) {
		if e.Add, err = newcomers(b, h, listed); err != nil {
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
func (b *checks) sealed(n *tree.Node, l *sums.List, e sums.Edit) (bool, error) {
	o := b.s.Options
	if o.Resign != "" || o.Insecure || b.mine[n.Path()] != nil {
		return false, nil
	}
	f := b.s.Release().Family
	sig := b.s.Tree.Exact(stage.Slashless(n.Path()) + ".asc")
	if f.Checks == nil || sig == nil || sig.Replaced() {
		return false, nil
	}
	checks := f.Checks(stage.Slashless(n.Path()))
	if checks == nil {
		return false, nil
	}
	for i, x := range l.Lines {
		if _, changed := e.Sums[i]; (changed || e.Drop[i]) && checks(x.Path) {
			return false, fmt.Errorf("/%s changed, which the installer compares with the signed %s: %w", x.Path, n.Path(), ErrSealed)
		}
	}
	note := fmt.Sprintf("%s stays as it was, so that its signature holds; the installer compares none of the changed files with it", n.Path())
	if !slices.Contains(b.s.Notes, note) {
		b.s.Notes = append(b.s.Notes, note)
	}
	return true, nil
}

// covers reports a list that has at least half of the base's files.
func covers(b *checks, l *sums.List) bool {
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
func newcomers(b *checks, h crypto.Hash, listed map[string]bool) (out []sums.Line, err error) {
	err = b.tree.Walk(func(n *tree.Node) error {
		p := stage.Slashless(n.Path())
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
func (b *checks) same(was, is *tree.Node) bool { return b.res.Same(b.s.Base.Source(), was, is) }

// sum reads a file of the planned image. The same content is read once.
func (b *checks) sum(n *tree.Node, h crypto.Hash) (string, error) {
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
		if head, k := initrd.Head(b.s, es[0], h); head != nil {
			w, from = head, k
		}
	}
	if whole, ok := r.(*extent.Map); ok && from == 0 {
		err = sink.Feed(b.s.Ctx, whole, nil, w)
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
func (b *checks) content(n *tree.Node) (io.ReaderAt, int64, error) {
	for _, e := range n.Found {
		switch {
		case e == nil:
		case b.img != nil:
			return b.img.Open(e)
		case n.Source == nil && e.Attributes().Compressed != nil:
			return b.s.Base.Open(n)
		}
	}
	m, err := b.res.Content(n)
	if err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", n.Path(), err)
	}
	return m, m.Size(), nil
}
