package diff

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/iso9660"
	"github.com/isolayer/isolayer/tree"
)

// Result is how two trees differ; directories come before what they hold.
type Result struct {
	Changes   []Change
	Same      int   // files with the same content
	SameBytes int64 // of content, counted once if several files share it
}

// Trees compares the trees of two images: names, attributes, content. Content is
// read in both images, whether it lies at the same place or not.
func Trees(ctx context.Context, a, b Side, progress Progress) (*Result, error) {
	c := &comparison{
		ctx: ctx, a: a, b: b, progress: progress,
		seen: map[string]bool{}, total: min(a.Size, b.Size), limit: 4 * (a.Size + b.Size),
	}
	stack := []pair{{a.Tree.Root, b.Tree.Root, "/"}}
	for len(stack) > 0 {
		p := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if err := c.pair(p); err != nil {
			return nil, err
		}
		children := p.children()
		slices.Reverse(children)
		stack = append(stack, children...)
	}
	return &c.result, nil
}

// pair is a node of each tree with the same path; one of them may be nil.
type pair struct {
	m, n *tree.Node
	name string
}

func (p pair) path() string {
	n := p.n
	if n == nil {
		n = p.m
	}
	if n.Parent == nil {
		return "/"
	}
	return strings.TrimSuffix(n.Parent.Path(), "/") + "/" + p.name
}

// children pairs the children of both nodes by name, sorted. A name that a
// directory has twice is numbered.
func (p pair) children() []pair {
	before, after := named(p.m), named(p.n)
	var out []pair
	for name, m := range before {
		out = append(out, pair{m, after[name], name})
	}
	for name, n := range after {
		if before[name] == nil {
			out = append(out, pair{nil, n, name})
		}
	}
	slices.SortFunc(out, func(x, y pair) int { return strings.Compare(x.name, y.name) })
	return out
}

func named(dir *tree.Node) map[string]*tree.Node {
	out := map[string]*tree.Node{}
	if dir == nil {
		return out
	}
	times := map[string]int{}
	for _, n := range dir.Children {
		if n.Hidden {
			continue
		}
		name := n.Name
		if times[n.Name]++; times[n.Name] > 1 {
			name = fmt.Sprintf("%s (number %d of that name)", name, times[n.Name])
		}
		out[name] = n
	}
	return out
}

// pair compares two nodes and notes the difference.
func (c *comparison) pair(p pair) error {
	switch {
	case p.m == nil:
		c.result.Changes = append(c.result.Changes, Change{Kind: Added, Name: p.path()})
	case p.n == nil:
		c.result.Changes = append(c.result.Changes, Change{Kind: Removed, Name: p.path()})
	default:
		details, err := c.nodes(p.m, p.n)
		if err != nil {
			return err
		}
		if len(details) > 0 {
			c.result.Changes = append(c.result.Changes, Change{Changed, p.path(), details})
		}
	}
	return nil
}

// nodes tells how two nodes of the same path differ.
func (c *comparison) nodes(m, n *tree.Node) ([]Detail, error) {
	if a, b := m.Mode&iso9660.ModeType, n.Mode&iso9660.ModeType; a != b {
		return []Detail{{"type", typeName(a), typeName(b)}}, nil
	}
	var out []Detail
	add := func(what, from, to string) {
		if from != to {
			out = append(out, Detail{what, from, to})
		}
	}
	if m.IsRegular() {
		same, why, err := c.content(m, n)
		switch {
		case err != nil:
			return nil, err
		case !same:
			out = append(out, Detail{What: why})
		}
		add("size", fmt.Sprint(m.Size()), fmt.Sprint(n.Size()))
	}
	add("mode", fmt.Sprintf("%04o", m.Mode&0o7777), fmt.Sprintf("%04o", n.Mode&0o7777))
	add("owner", fmt.Sprintf("%d:%d", m.UID, m.GID), fmt.Sprintf("%d:%d", n.UID, n.GID))
	add("device", fmt.Sprintf("%d,%d", m.Major, m.Minor), fmt.Sprintf("%d,%d", n.Major, n.Minor))
	add("target", m.Link, n.Link)
	if !m.ModTime.Equal(n.ModTime) {
		add("time", m.ModTime.UTC().Format("2006-01-02T15:04:05Z"), n.ModTime.UTC().Format("2006-01-02T15:04:05Z"))
	}
	add("hierarchies", hierarchies(m), hierarchies(n))
	return out, nil
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
