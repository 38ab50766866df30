package refresh

import (
	"fmt"
	"strings"

	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/sums"
	"github.com/isolayer/isolayer/internal/tree"
)

// Tables brings lists of translated names (genisoimage -T) in line with their directories,
// once the identifiers are known; nil for images that have none.
func Tables(s *stage.Stage) func(id func(*tree.Node) []byte) (bool, error) {
	var list []*tree.Node
	_ = s.Tree.Walk(func(n *tree.Node) error {
		if n.Name == transTable && n.IsRegular() && n.Size() <= sums.MaxSize && (!n.Replaced() || s.Ours[n]) {
			list = append(list, n)
		}
		return nil
	})
	if len(list) == 0 {
		return nil
	}
	return func(id func(*tree.Node) []byte) (changed bool, err error) {
		for _, n := range list {
			did, err := table(s, n, id)
			if err != nil {
				return false, fmt.Errorf("%s: %w", n.Path(), err)
			}
			changed = changed || did
		}
		return changed, nil
	}
}

const transTable = "TRANS.TBL"

// table brings one such list in line.
func table(s *stage.Stage, n *tree.Node, id func(*tree.Node) []byte) (bool, error) {
	dir := n.Parent
	var entries []*iso9660.Entry // what the base has there
	for _, e := range dir.Found {
		if e != nil {
			entries = e.Entries()
			break
		}
	}
	shown, same := 0, true
	for _, c := range dir.Children {
		if !c.Hidden {
			shown++
			same = same && c.Found != [3]*iso9660.Entry{} && !c.Renamed() && !c.Moved()
		}
	}
	if same && shown == len(entries) {
		return false, nil
	}
	was := map[string]bool{}
	for _, c := range entries {
		was[c.LogicalName()] = true
	}
	now := map[string]*tree.Node{}
	var come []*tree.Node
	for _, c := range dir.Children {
		if now[c.Name] = c; !was[c.Name] && !c.Hidden && c.Name != transTable {
			come = append(come, c)
		}
	}
	gone := 0
	for name := range was {
		if now[name] == nil {
			gone++
		}
	}
	if len(was) == 0 || len(come)+gone == 0 {
		return false, nil // a new directory has no list; one that moved has its names
	}
	text, err := s.Reader().Content(n, sums.MaxSize)
	if err != nil {
		return false, err
	}
	var out strings.Builder
	have, count, width := map[string]bool{}, 0, 0
	for l := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimRight(l, "\r\n"), "\t")
		if len(f) >= 2 {
			width = len(f[0])
			if have[f[1]] = true; now[f[1]] == nil && was[f[1]] {
				count++
				continue
			}
		}
		out.WriteString(l)
	}
	for _, c := range come {
		if line := tableLine(c, id(c), width); line != "" && !have[c.Name] {
			count++
			out.WriteString(line)
		}
	}
	if count == 0 {
		return false, nil
	}
	if s.Ours == nil {
		s.Ours = map[*tree.Node]bool{}
	}
	s.Ours[n] = true
	s.Changed(n.Path(), "names", count)
	return true, s.Tree.Do(tree.Put{Path: n.Path(), Attr: n.Attr, Source: fat.Bytes([]byte(out.String()))})
}

// tableLine is the line of an entry: type, identifier, name, and where a link leads.
func tableLine(n *tree.Node, id []byte, width int) string {
	kind, rest := "F", ""
	switch {
	case id == nil:
		return ""
	case n.IsDir():
		kind = "D"
	case n.IsLink():
		kind, rest = "L", "\t"+n.Link
	case !n.IsRegular():
		return ""
	}
	return fmt.Sprintf("%-*s\t%s%s\n", width, kind+" "+string(id), n.Name, rest)
}
