package layout

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/tree"
)

// sound checks what holds for every result: readers see the tree that was planned, nothing
// lies on anything else, directories and path tables have the orders that the standard and
// libarchive want, and what is no longer used is zeros.
func sound(t *testing.T, base Base, tr *tree.Tree, o Options, r *Result, b []byte) {
	t.Helper()
	if int64(len(b)) != r.Report.Size {
		t.Errorf("the image has %d bytes, the report says %d", len(b), r.Report.Size)
	}
	known := map[string]bool{} // libisofs writes other ".." in Joliet
	at := func(fault string) string { _, says, _ := strings.Cut(fault, " has "); return says }
	for _, f := range isotest.DirectoryFaults(t, base.Source.(*content).b) {
		known[at(f)] = true
	}
	for _, f := range isotest.DirectoryFaults(t, b) {
		if !known[at(f)] || at(f) == "" {
			t.Error(f)
		}
	}
	got := open(t, b)
	sameTree(t, base, tr, got)
	for _, f := range got.Boot.Findings {
		if len(base.Boot.Findings) == 0 {
			t.Errorf("boot equipment: %v", f)
		}
	}
	sets, err := setsOf(got)
	if err != nil {
		t.Fatal(err)
	}
	if before, _ := setsOf(base); len(before) != len(sets) {
		t.Fatalf("%d sets of descriptors, the base has %d", len(sets), len(before))
	}
	used := spans{{0, 16}}
	var list []owned
	old := places(t, base)
	for _, s := range sets {
		for _, h := range iso9660.Hierarchies {
			root, err := s.img.Tree(h)
			if err != nil || root == nil {
				continue
			}
			list = append(list, occupied(t, s, h, root, old)...)
			pathTables(t, s, h, root, b)
		}
		used = used.plus(spans{s.fixed()})
	}
	used = apart(t, used, list, int64(len(b)))
	placed(t, base, tr, o, r, got, b)
	if o.InPlace && int64(len(b)) < base.Source.Size() {
		t.Errorf("edited in place, the image shrinks from %d to %d bytes", base.Source.Size(), len(b))
	}
	if r.plan != nil && !o.KeepFreed {
		zeroed(t, base, o, got, used, b)
	}
}

// sameTree compares the tree of a result with the one that was planned.
func sameTree(t *testing.T, base Base, want *tree.Tree, got Base) {
	t.Helper()
	read := edited(t, got)
	list := func(tr *tree.Tree, from Base) map[string]string {
		out := map[string]string{}
		_ = tr.Walk(func(n *tree.Node) error {
			in, name := n.In, n.Path()
			if n.IsLink() && n.Replaced() {
				in[iso9660.Joliet] = false // it has no links
			}
			s := fmt.Sprintf("%d bytes %q, in %v", n.Size(), n.Link, in)
			if tr.RockRidge {
				s += fmt.Sprintf(", mode %o, owner %d:%d, %v", n.Mode, n.UID, n.GID, n.ModTime.Unix())
			} else {
				name = strings.ToUpper(name)
			}
			if n.IsRegular() && !bootFile(from, n) {
				s += fmt.Sprintf(", SHA-256 %x", sha256.Sum256(bytesOf(t, from, n)))
			}
			out[name] = s
			return nil
		})
		return out
	}
	a, b := list(want, base), list(read, got)
	for p, s := range a {
		if b[p] != s {
			t.Errorf("%s reads as %.160s, want %.160s", p, b[p], s)
		}
	}
	for p := range b {
		if _, ok := a[p]; !ok {
			t.Errorf("%s is in the result", p)
		}
	}
}

// bootFile reports a file that the boot equipment writes into.
func bootFile(b Base, n *tree.Node) bool {
	for _, o := range b.Boot.Objects() {
		if o.Path == n.Path() {
			return true
		}
	}
	return false
}

// owned is a run of blocks with its owner; several names may own the same file.
type owned struct {
	span
	who  string
	file bool
}

// places are where the base has directories and continuation areas, which may have an order
// that is none and stay so, and how many path tables its hierarchies have.
func places(t *testing.T, base Base) map[string]int {
	t.Helper()
	sets, err := setsOf(base)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, s := range sets {
		for _, h := range iso9660.Hierarchies {
			root, err := s.img.Tree(h)
			if err != nil || root == nil {
				continue
			}
			out[fmt.Sprint(h, " tables")] = len(tableSpans(s.img.Descriptor(h)))
			for e := range physical(root) {
				if e.IsDir() {
					out[fmt.Sprint(h, e.Path(), s.origin+int64(e.Record().LBA()))] = 1
					out[fmt.Sprint("size ", e.Record().Size())] = 1
				}
				for raw := range recordsOf(e) {
					for _, a := range raw.Areas {
						out[fmt.Sprint("area ", s.area(a).from)] = 1
					}
				}
			}
		}
	}
	return out
}

// occupied lists what a hierarchy has in the image, and checks the order of directories:
// children behind their parents, records as ECMA-119 9.3 sorts them.
func occupied(t *testing.T, s set, h iso9660.Hierarchy, root *iso9660.Entry, old map[string]int) (out []owned) {
	t.Helper()
	for e := range physical(root) {
		r := e.Record()
		at := s.origin + int64(r.LBA())
		if !e.IsDir() {
			for r := range e.Records() {
				if r.Size() > 0 && e.Target() == nil {
					at := s.origin + int64(r.LBA())
					out = append(out, owned{span{at, at + iso9660.Blocks(int64(r.Size()))}, e.Path(), true})
				}
			}
			continue
		}
		who := fmt.Sprintf("%s directory %s", h, e.Path())
		out = append(out, owned{span{at, at + iso9660.Blocks(int64(r.Size()))}, who, false})
		if up := e.Parent; up != e && r.LBA() <= up.Record().LBA() && old[fmt.Sprint(h, e.Path(), at)] == 0 {
			t.Errorf("%s at %d lies in front of its parent at %d", who, r.LBA(), e.Parent.Record().LBA())
		}
		if n := int(r.Size()); n%blockSize != 0 && old[fmt.Sprint("size ", n)] == 0 { // ECMA-119 6.8.1.3
			t.Errorf("%s has %d bytes, no whole blocks", who, n)
		}
		areas := map[int64]bool{}
		for raw := range recordsOf(e) {
			for _, a := range raw.Areas {
				for b := s.area(a).from; b < s.area(a).to; b++ {
					areas[b] = true
				}
			}
		}
		for b := range areas {
			out = append(out, owned{span{b, b + 1}, who + ", area", false})
			if behind := at + iso9660.Blocks(int64(r.Size())); (b < behind || b >= behind+int64(len(areas))) && old[fmt.Sprint("area ", b)] == 0 {
				t.Errorf("%s at %d has a continuation area at %d", who, at, b)
			}
		}
		for i := 1; i < len(e.Children()); i++ {
			x, y := e.Children()[i-1].Record(), e.Children()[i].Record()
			if string(x.ID()) == string(y.ID()) && !e.Children()[i-1].Associated() {
				t.Errorf("%s has %q twice", who, x.ID())
			}
			if iso9660.Less(h, y.ID(), x.ID()) {
				t.Errorf("%s: %q stands in front of %q", who, x.ID(), y.ID())
			}
		}
	}
	if n := len(tableSpans(s.img.Descriptor(h))); n != old[fmt.Sprint(h, " tables")] {
		t.Errorf("%s has %d path tables, %d in the base", h, n, old[fmt.Sprint(h, " tables")])
	}
	for i, at := range tableSpans(s.img.Descriptor(h)) {
		out = append(out, owned{s.shift([]span{at})[0], fmt.Sprintf("%s path table %d", h, i), false})
	}
	return out
}

// pathTables checks that the tables list directories by level, parent and identifier, each
// with the number of its parent (ECMA-119 6.9.1, 9.4).
func pathTables(t *testing.T, s set, h iso9660.Hierarchy, root *iso9660.Entry, b []byte) {
	t.Helper()
	parents := map[uint32]uint32{} // by address
	for e := range physical(root) {
		if e.IsDir() && e.Parent != e {
			parents[uint32(e.Record().LBA())] = uint32(e.Parent.Record().LBA())
		}
	}
	d := s.img.Descriptor(h)
	l, optL, m, optM := d.PathTables()
	for i, at := range []iso9660.LBA{l, optL, m, optM} {
		if at == 0 {
			continue
		}
		var order binary.ByteOrder = binary.LittleEndian
		if i > 1 {
			order = binary.BigEndian
		}
		table := b[(s.origin+int64(at))*blockSize:][:d.PathTableSize()]
		type row struct {
			at     uint32
			parent uint16
			id     string
		}
		var rows []row
		for len(table) >= 8 {
			n := int(table[0])
			rows = append(rows, row{order.Uint32(table[2:]), order.Uint16(table[6:]), string(table[8 : 8+n])})
			table = table[8+n+n%2:]
		}
		for k, x := range rows[1:] {
			if int(x.parent) > k+1 || rows[x.parent-1].at != parents[x.at] {
				t.Errorf("%s path table %d: %q has number %d for its parent", h, i, x.id, x.parent)
			}
		}
		if !slices.IsSortedFunc(rows, func(x, y row) int { return cmp.Or(cmp.Compare(x.parent, y.parent), cmp.Compare(x.id, y.id)) }) {
			t.Errorf("%s path table %d is not in order: %v", h, i, rows)
		}
		if len(rows) != len(parents)+1 {
			t.Errorf("%s path table %d has %d directories of %d", h, i, len(rows), len(parents)+1)
		}
	}
}

// placed checks where content lies: untouched files stay unless the report names them; large
// content lines up with file system blocks of its source; what is behind the last byte of
// new content is zeros; content of a name with a continuation area lies behind that.
func placed(t *testing.T, base Base, tr *tree.Tree, o Options, r *Result, got Base, b []byte) {
	t.Helper()
	read := edited(t, got)
	old, moved := places(t, base), map[string]bool{}
	warned := func(path string) bool {
		return slices.ContainsFunc(r.Report.Warnings, func(w string) bool { return strings.HasPrefix(w, path+": ") })
	}
	for _, m := range r.Report.Moved {
		moved[m.Path] = true
	}
	roots := func(b Base) (at [2]iso9660.LBA) {
		for h := range at {
			if d := b.Image.Descriptor(iso9660.Hierarchy(h)); d != nil {
				at[h] = d.Root().LBA()
			}
		}
		return at
	}
	if x, y := roots(base), roots(got); x[1] > x[0] && y[1] < y[0] {
		t.Errorf("the root of Joliet, behind that of the primary tree in the base, is at %d, that at %d", y[1], y[0])
	}
	_ = tr.Walk(func(n *tree.Node) error {
		x, err := read.Lookup(n.Path())
		if err != nil || !n.IsRegular() || n.Size() == 0 || len(x.Content()) == 0 {
			return nil
		}
		at := int64(x.Content()[0].LBA)
		source := int64(0) // block in its source
		switch {
		case n.Source == nil:
			source = int64(n.Content()[0].LBA)
			if !o.Compact && at != source && !moved[n.Path()] {
				t.Errorf("%s moved from %d to %d, which the report does not say", n.Path(), source, at)
			}
			if bootFile(base, n) && at != source && !o.Compact {
				t.Errorf("the boot image %s moved", n.Path())
			}
		default:
			end := x.Content()[0].LBA.Offset() + n.Size()
			if rest := b[end:min(int64(len(b)), (end+blockSize-1)/blockSize*blockSize)]; !bytes.Equal(rest, make([]byte, len(rest))) {
				t.Errorf("%s: the rest of its last block holds %.40q", n.Path(), rest)
			}
		}
		if n.Size() >= 64<<10 && at%2 != source%2 {
			t.Errorf("%s, of %d bytes, is at block %d: its source is at %d", n.Path(), n.Size(), at, source)
		}
		e := x.Found[iso9660.Primary]
		for _, raw := range e.Raws() {
			for _, a := range raw.Areas {
				if block := a.Off / blockSize; block >= at && (n.Replaced() || moved[n.Path()] || old[fmt.Sprint("area ", block)] == 0) && !warned(n.Path()) {
					t.Errorf("%s lies at %d, in front of the continuation area of its name at %d", n.Path(), at, block)
				}
			}
		}
		return nil
	})
}

// apart checks that nothing lies on anything else, but files on the same file, and that all
// is in the image; it returns all that is used.
func apart(t *testing.T, used spans, list []owned, size int64) spans {
	t.Helper()
	slices.SortStableFunc(list, func(x, y owned) int { return cmp.Or(cmp.Compare(x.from, y.from), cmp.Compare(x.to, y.to)) })
	last := owned{span: span{-1, -1}}
	for _, x := range list {
		same := x.file && last.file && x.span == last.span
		area := !x.file && !last.file && x.who == last.who && x.span == last.span
		if x.from < last.to && !same && !area || used.overlaps(x.span) && !same && !area {
			t.Errorf("%s at %v lies on %s at %v", x.who, x.span, last.who, last.span)
		}
		if x.to > iso9660.Blocks(size) {
			t.Errorf("%s at %v passes the end at block %d", x.who, x.span, iso9660.Blocks(size))
		}
		last = x
	}
	var all []span
	for _, x := range list {
		all = append(all, x.span)
	}
	return used.plus(union(all))
}

// zeroed checks that blocks which the base used and the result does not are zeros, and that
// data nobody owns is still there.
func zeroed(t *testing.T, base Base, o Options, got Base, used spans, b []byte) {
	t.Helper()
	for _, x := range got.Boot.Objects() {
		used = used.plus(spans{{x.Off / blockSize, iso9660.Blocks(x.End())}})
	}
	if r, ok := got.Boot.Trailer(); ok {
		used = used.plus(spans{{r.Off / blockSize, iso9660.Blocks(r.End())}})
	}
	p := planner{base: base, tree: edited(t, base), replaced: nil}
	p.sets, _ = setsOf(base)
	before, err := p.owners()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range (spans{{0, iso9660.Blocks(int64(len(b)))}}).minus(used) {
		for at := s.from; at < s.to; at++ {
			block := b[at*blockSize : min(at*blockSize+blockSize, int64(len(b)))]
			if !bytes.Equal(block, make([]byte, len(block))) && !before.nobody.overlaps(span{at, at + 1}) {
				t.Errorf("block %d holds bytes that nobody uses: %.40q", at, block)
			}
		}
	}
	for _, s := range before.nobody {
		if o.Compact || s.to*blockSize > int64(len(b)) {
			continue
		}
		old := make([]byte, (s.to-s.from)*blockSize)
		_, _ = base.Source.ReadAt(old, s.from*blockSize)
		if !bytes.Equal(old, b[s.from*blockSize:s.to*blockSize]) && !used.overlaps(s) {
			t.Errorf("data of nobody at blocks %v is gone", s)
		}
	}
}
