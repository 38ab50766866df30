package diff

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// trees compares the trees of two images: names, attributes, content. Content is
// read in both images, whether it lies at the same place or not.
func (c *comparison) trees() error {
	var gone, come []*tree.Node
	stack := []pair{{a: c.a.Tree.Root, b: c.b.Tree.Root}}
	for len(stack) > 0 {
		p := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		switch {
		case p.a == nil:
			come = append(come, p.b)
			continue
		case p.b == nil:
			gone = append(gone, p.a)
			continue
		}
		details, err := c.nodes(p.a, p.b)
		if err != nil {
			return err
		}
		if len(details) > 0 {
			c.change(Changed, p.a, p.b, details)
		}
		children := p.children() // of a file there are none: what was or is in the directory comes or goes
		slices.Reverse(children)
		stack = append(stack, children...)
	}
	if err := c.moves(gone, come); err != nil {
		return err
	}
	slices.SortStableFunc(c.changes, func(x, y Change) int { return comparePaths(x.Name, y.Name) })
	return nil
}

// comparePaths puts directories in front of what they hold, and that behind them.
func comparePaths(x, y string) int {
	return slices.Compare(strings.Split(x, "/"), strings.Split(y, "/"))
}

// change notes a difference of the nodes a and b, of which one may be nil.
func (c *comparison) change(k Kind, a, b *tree.Node, details []Detail) {
	n := b
	if n == nil {
		n = a
	}
	if n.Hidden {
		return
	}
	ch := Change{Kind: k, Name: n.Path(), Details: details, Dir: n.IsDir(), Before: a, After: b}
	if k == Moved {
		ch.From = a.Path()
	}
	c.changes = append(c.changes, ch)
}

// pair is a node of each tree with the same path; one of them may be nil.
type pair struct{ a, b *tree.Node }

// children pairs the children of both nodes by name, sorted. A name that a
// directory has twice is numbered.
func (p pair) children() []pair {
	if out := p.alike(); out != nil {
		return out
	}
	before, after := named(p.a), named(p.b)
	var out []pair
	for name, n := range before {
		out = append(out, pair{n, after[name]})
	}
	for name, n := range after {
		if before[name] == nil {
			out = append(out, pair{nil, n})
		}
	}
	slices.SortFunc(out, func(x, y pair) int { return strings.Compare(x.name(), y.name()) })
	return out
}

// alike is what children returns for directories with the same names in the same order, as
// most are; nil for others.
func (p pair) alike() []pair {
	out := make([]pair, 0, len(p.a.Children))
	rest := p.b.Children
	for _, m := range p.a.Children {
		if m.Hidden {
			continue
		}
		for len(rest) > 0 && rest[0].Hidden {
			rest = rest[1:]
		}
		if len(rest) == 0 || rest[0].Name != m.Name {
			return nil
		}
		out = append(out, pair{m, rest[0]})
		rest = rest[1:]
	}
	if slices.ContainsFunc(rest, func(n *tree.Node) bool { return !n.Hidden }) {
		return nil
	}
	slices.SortStableFunc(out, func(x, y pair) int { return strings.Compare(x.name(), y.name()) })
	return out
}

func (p pair) name() string {
	if p.a != nil {
		return p.a.Name
	}
	return p.b.Name
}

func named(dir *tree.Node) map[string]*tree.Node {
	out := make(map[string]*tree.Node, len(dir.Children))
	times := map[string]int{}
	for _, n := range dir.Children {
		if n.Hidden {
			continue
		}
		name := n.Name
		if times[n.Name]++; times[n.Name] > 1 {
			name = fmt.Sprintf("%s\x00%d", name, times[n.Name])
		}
		out[name] = n
	}
	return out
}

// nodes says how two nodes differ.
func (c *comparison) nodes(m, n *tree.Node) ([]Detail, error) {
	if a, b := m.Mode&iso9660.ModeType, n.Mode&iso9660.ModeType; a != b {
		return []Detail{{"type", typeName(a), typeName(b)}}, nil
	}
	var out []Detail
	if m.IsRegular() {
		same, why, err := c.content(m, n)
		switch {
		case err != nil:
			return nil, err
		case same:
			c.count(m, n)
		default:
			out = append(out, Detail{What: why})
		}
		same, err = c.forks(m.Forks(), n.Forks())
		if err != nil {
			return nil, err
		}
		if !same {
			out = append(out, Detail{What: "resource fork"})
		}
	}
	return append(out, attributes(m, n)...), nil
}

// forks compares the associated files of two files.
func (c *comparison) forks(a, b []*tree.Node) (same bool, err error) {
	if len(a) != len(b) {
		return false, nil
	}
	for i := range a {
		if same, _, err := c.content(a[i], b[i]); err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// attributes says what differs besides content.
func attributes(m, n *tree.Node) (out []Detail) {
	if m.Attr == n.Attr && m.In == n.In && m.Size() == n.Size() { // as most are
		return nil
	}
	add := func(what, from, to string) {
		if from != to {
			out = append(out, Detail{what, from, to})
		}
	}
	if m.IsRegular() {
		add("size", fmt.Sprint(m.Size()), fmt.Sprint(n.Size()))
	}
	add("mode", fmt.Sprintf("%04o", m.Mode&0o7777), fmt.Sprintf("%04o", n.Mode&0o7777))
	add("owner", fmt.Sprintf("%d:%d", m.UID, m.GID), fmt.Sprintf("%d:%d", n.UID, n.GID))
	add("device", fmt.Sprintf("%d,%d", m.Major, m.Minor), fmt.Sprintf("%d,%d", n.Major, n.Minor))
	add("target", m.Link, n.Link)
	if !m.ModTime.Equal(n.ModTime) {
		add("time", m.ModTime.UTC().Format(time.RFC3339), n.ModTime.UTC().Format(time.RFC3339))
	}
	add("hierarchies", hierarchies(m), hierarchies(n))
	return out
}

func hierarchies(n *tree.Node) string {
	var names []string
	for h, in := range n.In {
		if in {
			names = append(names, iso9660.Hierarchy(h).String())
		}
	}
	return strings.Join(names, " and ")
}

// typeName names the type of a mode.
func typeName(t uint32) string {
	switch t {
	case iso9660.ModeDir:
		return "directory"
	case iso9660.ModeRegular:
		return "file"
	case iso9660.ModeSymlink:
		return "link"
	case iso9660.ModeChar:
		return "character device"
	case iso9660.ModeBlock:
		return "block device"
	case iso9660.ModeFIFO:
		return "fifo"
	case iso9660.ModeSocket:
		return "socket"
	}
	return fmt.Sprintf("type %o", t)
}
