package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// compareTrees looks for files that the hierarchies show differently.
func (c *checker) compareTrees() (string, error) {
	t := c.merged
	if t == nil {
		return "not compared: one cannot be read", nil
	}
	count := [3]int{}
	for h, root := range c.trees {
		if root != nil {
			for range root.Walk() {
				count[h]++
			}
			count[h]-- // the root is no entry
		}
	}
	// Walk ends only with an error of its function, which here has none.
	_ = t.Walk(func(n *tree.Node) error {
		c.node(t, n)
		return nil
	})
	var parts []string
	for h, root := range c.trees {
		if root == nil {
			continue
		}
		name := iso9660.Hierarchy(h).String()
		if h == int(iso9660.Primary) && t.RockRidge {
			name = "Rock Ridge"
		}
		if same := fmt.Sprintf("%d entries", count[h]); h > 0 && count[h] == count[iso9660.Primary] {
			parts = append(parts, name+" the same")
		} else {
			parts = append(parts, name+" "+same)
		}
	}
	return strings.Join(parts, ", "), nil
}

// node compares the entries of one node.
func (c *checker) node(t *tree.Tree, n *tree.Node) {
	if n.Parent == nil {
		return
	}
	var in, out []string
	for h, has := range t.Has {
		switch {
		case !has:
		case n.In[h]:
			in = append(in, iso9660.Hierarchy(h).String())
		case n.Parent.In[h]: // what lies in a directory that is missing is not reported again
			out = append(out, iso9660.Hierarchy(h).String())
		}
	}
	if len(out) > 0 && !explained(n) {
		c.path(Notice, n, "in the %s hierarchy, not in the %s one", strings.Join(in, " and "), strings.Join(out, " and "))
	}
	if n.IsDir() {
		return
	}
	var first *iso9660.Entry
	for _, e := range n.Found {
		switch {
		case e == nil:
		case first == nil:
			first = e
		case !slices.Equal(first.Sections(), e.Sections()):
			c.path(Problem, n, "the hierarchies show different content: %s and %s", where(first), where(e))
			return
		}
	}
}

// explained reports whether a node is rightly in some hierarchies only: links and
// devices are not in Joliet, and hidden entries are left out on purpose.
func explained(n *tree.Node) bool {
	if !n.IsDir() && !n.IsRegular() {
		return true
	}
	for _, e := range n.Found {
		if e != nil && (e.Record().Flags()&iso9660.FlagHidden != 0 || e.Unlisted()) {
			return true
		}
	}
	return false
}

// where is the place of a file's content.
func where(e *iso9660.Entry) string {
	s := e.Sections()
	if len(s) == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%d bytes at block %d", e.Size(), s[0].LBA)
}
