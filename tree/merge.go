package tree

import (
	"fmt"
	"strings"

	"github.com/isolayer/isolayer/iso9660"
)

// FromImage merges the hierarchies of an image into one tree. An entry is the
// same node in two hierarchies when name or content say so; one that has no
// counterpart stays a node of its own, in its hierarchy only.
func FromImage(img *iso9660.Image) (*Tree, error) {
	rr, err := img.RockRidge(iso9660.Primary)
	if err != nil {
		return nil, err
	}
	t := &Tree{RockRidge: rr, Epoch: img.Primary().Modified().Time()}
	if t.Epoch.IsZero() {
		t.Epoch = img.Primary().Root().Time()
	}
	var roots [3]*iso9660.Entry
	for _, h := range []iso9660.Hierarchy{iso9660.Primary, iso9660.Joliet, iso9660.Enhanced} {
		if roots[h], err = img.Tree(h); err != nil {
			return nil, err
		}
		t.Has[h] = roots[h] != nil
	}
	t.Root = t.node(roots)
	t.Root.Mode = iso9660.ModeDir | t.Root.Mode&0o7777
	t.Root.found = t.Root.Attr
	stack := []*Node{t.Root}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		t.children(n)
		for _, c := range n.Children {
			if c.IsDir() && !c.Hidden {
				stack = append(stack, c)
			}
		}
	}
	return t, nil
}

// node makes the node for one entry in each hierarchy.
func (t *Tree) node(found [3]*iso9660.Entry) *Node {
	n := &Node{Found: found}
	for h, e := range found {
		n.In[h] = e != nil
	}
	e := t.chief(found)
	n.Name = e.LogicalName()
	n.Attr = Attr{Mode: e.StMode(), UID: e.UID, GID: e.GID, Major: e.Major, Minor: e.Minor, ModTime: e.ModTime(), Link: e.Link}
	if p := found[iso9660.Primary]; p != nil && e != p {
		n.Mode = p.StMode()
	}
	if !n.IsDir() {
		for _, e := range found {
			if e != nil && len(n.Content) == 0 {
				n.Content = e.Sections()
			}
		}
	}
	n.found, n.name = n.Attr, n.Name
	return n
}

// chief returns the entry whose name people know: that of Rock Ridge, else Joliet's.
func (t *Tree) chief(found [3]*iso9660.Entry) *iso9660.Entry {
	order := []iso9660.Hierarchy{iso9660.Joliet, iso9660.Primary, iso9660.Enhanced}
	if t.RockRidge {
		order = []iso9660.Hierarchy{iso9660.Primary, iso9660.Joliet, iso9660.Enhanced}
	}
	for _, h := range order {
		if found[h] != nil {
			return found[h]
		}
	}
	panic("internal error: a node without entry")
}

// children makes the children of n out of those of its entries.
func (t *Tree) children(n *Node) {
	var lists [3][]*iso9660.Entry
	for h, e := range n.Found {
		if e != nil {
			lists[h] = e.Entries()
		}
	}
	others := []iso9660.Hierarchy{iso9660.Joliet, iso9660.Enhanced}
	pairs := make(map[*iso9660.Entry]*[3]*iso9660.Entry, len(lists[iso9660.Primary]))
	for _, e := range lists[iso9660.Primary] {
		pairs[e] = &[3]*iso9660.Entry{iso9660.Primary: e}
	}
	left := map[*iso9660.Entry]bool{}
	for _, h := range others {
		taken := map[*iso9660.Entry]bool{}
		for i, key := range keys {
			match(key, i == 0, lists[iso9660.Primary], lists[h], taken, func(p, e *iso9660.Entry) { pairs[p][h] = e })
		}
		for _, e := range lists[h] {
			left[e] = !taken[e]
		}
	}
	for _, e := range lists[iso9660.Primary] {
		t.adopt(n, *pairs[e], false)
	}
	for _, h := range others {
		for _, e := range lists[h] {
			if left[e] {
				var found [3]*iso9660.Entry
				found[h] = e
				t.adopt(n, found, false)
			}
		}
	}
	if e := n.Found[iso9660.Primary]; e != nil {
		for _, c := range e.Children {
			if c.Unlisted() {
				t.adopt(n, [3]*iso9660.Entry{c}, true)
			}
		}
	}
}

func (t *Tree) adopt(n *Node, found [3]*iso9660.Entry, hidden bool) {
	c := t.node(found)
	c.Hidden = hidden
	c.Parent, c.parent = n, n
	n.Children = append(n.Children, c)
}

// keys are the ways to tell that an entry of the primary hierarchy is the same
// as one of another, the surest first. "" is no key.
var keys = []func(*iso9660.Entry) string{
	func(e *iso9660.Entry) string { return kind(e) + iso9660.JolietName(e.LogicalName()) },
	func(e *iso9660.Entry) string {
		if s := e.Sections(); !e.IsDir() && len(s) > 0 {
			return fmt.Sprint(s[0].LBA, "+", s[0].Size)
		}
		return ""
	},
	func(e *iso9660.Entry) string { return kind(e) + strings.ToUpper(e.LogicalName()) },
	// Joliet and plain names are cut at different lengths: what is left alike is
	// the head. 8 characters are what every level keeps.
	func(e *iso9660.Entry) string { return kind(e) + head(e.LogicalName()) },
}

// match pairs the entries of two lists that are not taken yet and have the same
// key. Where a key is not unique it decides nothing, unless it is exact.
func match(key func(*iso9660.Entry) string, exact bool, list, other []*iso9660.Entry, taken map[*iso9660.Entry]bool, pair func(p, e *iso9660.Entry)) {
	group := func(list []*iso9660.Entry) map[string][]*iso9660.Entry {
		g := map[string][]*iso9660.Entry{}
		for _, e := range list {
			if k := key(e); !taken[e] && k != "" {
				g[k] = append(g[k], e)
			}
		}
		return g
	}
	theirs := group(other)
	for k, mine := range group(list) {
		found := theirs[k]
		if !exact && (len(mine) != 1 || len(found) != 1) {
			continue
		}
		for i := range min(len(mine), len(found)) {
			taken[mine[i]], taken[found[i]] = true, true
			pair(mine[i], found[i])
		}
	}
}

func kind(e *iso9660.Entry) string {
	if e.IsDir() {
		return "d"
	}
	return "f"
}

// head is the start of a name in the characters that a plain identifier has.
func head(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, name)
	return name[:min(len(name), 8)]
}
