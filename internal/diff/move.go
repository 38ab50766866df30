package diff

import (
	"cmp"
	"slices"

	"github.com/isolayer/isolayer/internal/tree"
)

// maxCandidates bounds how many files of its size a file is compared with.
const maxCandidates = 8

// moves finds what is gone at one path and has come at another: whole trees first, then
// single files, which are known by their content. The rest was added or removed.
func (c *comparison) moves(gone, come []*tree.Node) error {
	gone, come, err := c.match(gone, come, func(n *tree.Node) bool { return n.IsDir() && len(n.Children) > 0 })
	if err != nil {
		return err
	}
	gone, come, err = c.match(expand(gone), expand(come), func(n *tree.Node) bool { return n.IsRegular() && n.Size() > 0 })
	if err != nil {
		return err
	}
	for _, n := range gone {
		c.change(Removed, n, nil, nil)
	}
	for _, n := range come {
		c.change(Added, nil, n, nil)
	}
	return nil
}

// expand lists nodes with all that is below them.
func expand(nodes []*tree.Node) []*tree.Node {
	var out []*tree.Node
	stack := slices.Clone(nodes)
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = append(stack[:len(stack)-1], n.Children...)
		out = append(out, n)
	}
	return out
}

// match notes as moved what is the same in both lists, and returns the rest.
func (c *comparison) match(gone, come []*tree.Node, able func(*tree.Node) bool) (left, fresh []*tree.Node, err error) {
	type shape struct {
		size  int64
		nodes int
	}
	of := func(n *tree.Node) (s shape) {
		for _, m := range expand([]*tree.Node{n}) {
			s.nodes++
			s.size += m.Size()
		}
		return s
	}
	candidates := map[shape][]*tree.Node{}
	for _, n := range gone {
		if able(n) {
			candidates[of(n)] = append(candidates[of(n)], n)
		}
	}
	taken := map[*tree.Node]bool{}
	for _, n := range come {
		var from *tree.Node
		if able(n) && len(candidates) > 0 {
			if from, err = c.origin(candidates[of(n)], taken, n); err != nil {
				return nil, nil, err
			}
		}
		if from == nil {
			fresh = append(fresh, n)
			continue
		}
		taken[from] = true
		c.countAll(from, n)
		c.change(Moved, from, n, attributes(from, n))
	}
	return slices.DeleteFunc(gone, func(n *tree.Node) bool { return taken[n] }), fresh, nil
}

// origin is the candidate that n was, nil if none was; one of the same name first.
func (c *comparison) origin(candidates []*tree.Node, taken map[*tree.Node]bool, n *tree.Node) (*tree.Node, error) {
	candidates = slices.DeleteFunc(slices.Clone(candidates), func(m *tree.Node) bool { return taken[m] })
	slices.SortStableFunc(candidates, func(x, y *tree.Node) int {
		return cmp.Compare(btoi(x.Name != n.Name), btoi(y.Name != n.Name))
	})
	for _, m := range candidates[:min(len(candidates), maxCandidates)] {
		if same, err := c.equalTrees(m, n); same || err != nil {
			return m, err
		}
	}
	return nil, nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// equalTrees reports whether two trees are the same but for the names and attributes of their
// roots.
func (c *comparison) equalTrees(m, n *tree.Node) (bool, error) {
	if m.IsDir() != n.IsDir() || m.IsRegular() != n.IsRegular() {
		return false, nil
	}
	if m.IsRegular() {
		same, _, err := c.content(m, n)
		return same, err
	}
	for _, p := range (pair{m, n}).children() {
		if p.a == nil || p.b == nil || len(attributes(p.a, p.b)) > 0 {
			return false, nil
		}
		if same, err := c.equalTrees(p.a, p.b); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

// countAll counts the files of two trees that are the same.
func (c *comparison) countAll(m, n *tree.Node) {
	if m.IsRegular() {
		c.count(m, n)
		return
	}
	for _, p := range (pair{m, n}).children() {
		c.countAll(p.a, p.b)
	}
}
