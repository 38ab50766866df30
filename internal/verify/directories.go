package verify

import (
	"bytes"
	"fmt"
	"iter"
	"strings"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// linuxName is the longest name in bytes that Linux's isofs shows unharmed.
const linuxName = 253

// directories checks the records of all hierarchies.
func (c *checker) directories() (string, error) {
	var parts []string
	for _, h := range iso9660.Hierarchies {
		if err := c.broken[h]; err != nil {
			c.at(Problem, place(err, c.img.Descriptor(h).Block.Offset()), "%s hierarchy: %s", h, cause(err))
			c.as(kindOf(err))
		}
		if root := c.trees[h]; root != nil {
			n := c.hierarchy(h, root)
			parts = append(parts, fmt.Sprintf("%d %s", n, h))
		}
	}
	c.tolerated()
	return strings.Join(parts, ", "), nil
}

// tolerated adds what the reader made its peace with. What it says of descriptors
// and of "." and ".." is checked elsewhere, in more detail.
func (c *checker) tolerated() {
	for _, f := range c.img.Tolerated() {
		s, text := Problem, cause(&f)
		switch {
		case strings.HasPrefix(f.Structure, "volume descriptor"), f.Structure == "directory" && f.Field != "":
			continue
		case strings.HasSuffix(text, "listed twice"), f.Field == "signature", f.Structure == "Rock Ridge PX", f.Structure == "Rock Ridge TF":
			s = Notice
		}
		c.at(s, f.Off, "%s", text)
		c.as(kindOf(f.Err))
	}
}

// physical yields all entries as they are stored, relocated ones where they lie.
func physical(root *iso9660.Entry) iter.Seq[*iso9660.Entry] {
	return func(yield func(*iso9660.Entry) bool) {
		stack := []*iso9660.Entry{root}
		for len(stack) > 0 {
			e := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if !yield(e) {
				return
			}
			for i := len(e.Children()) - 1; i >= 0; i-- {
				stack = append(stack, e.Children()[i])
			}
		}
	}
}

// tally counts an oddity that is reported once for a hierarchy.
type tally struct {
	n     int
	first *iso9660.Entry
}

func (t *tally) count(e *iso9660.Entry) {
	if t.n++; t.n == 1 {
		t.first = e
	}
}

// hierarchy checks the directories of a hierarchy and returns how many there are.
func (c *checker) hierarchy(h iso9660.Hierarchy, root *iso9660.Entry) int {
	var unsorted, backward, upward tally
	n := 0
	for e := range physical(root) {
		if !e.IsDir() {
			continue
		}
		n++
		c.selfAndParent(h, e, &upward)
		if !sorted(h, e) {
			unsorted.count(e)
		}
		if e.Record().LBA() < e.Parent.Record().LBA() {
			backward.count(e)
		}
		c.names(h, e)
	}
	for _, t := range []struct {
		tally
		text string
	}{
		{unsorted, "records not in the order of ECMA-119 9.3"},
		{backward, "in front of their parent, where libarchive drops them"},
		{upward, `".." record names the directory itself, as libisofs writes it`},
	} {
		if t.n > 0 {
			c.path(Notice, t.first, "%s hierarchy, %d directories: %s", h, t.n, t.text)
		}
	}
	return n
}

// selfAndParent checks the first two records of a directory (ECMA-119 6.8.2.2).
func (c *checker) selfAndParent(h iso9660.Hierarchy, e *iso9660.Entry, upward *tally) {
	rec, self := e.Record(), e.Self().Record
	if self.LBA() != rec.LBA() || self.Size() != rec.Size() {
		c.at(Problem, e.Self().Off, `directory %s, ".": block %d, %d bytes, but it is listed with block %d, %d bytes`, lazy{e}, self.LBA(), self.Size(), rec.LBA(), rec.Size())
	}
	parent := e.Parent.Record()
	switch {
	case e.Up() == nil:
		c.at(Problem, e.Self().Off, `directory %s has no ".." record`, lazy{e})
	case h != iso9660.Primary && e.Up().Record.LBA() == rec.LBA() && rec.LBA() != parent.LBA():
		upward.count(e)
	case e.Up().Record.LBA() != parent.LBA() || e.Up().Record.Size() != parent.Size():
		c.at(Problem, e.Up().Off, `directory %s, "..": block %d, %d bytes, but its parent has block %d, %d bytes`, lazy{e}, e.Up().Record.LBA(), e.Up().Record.Size(), parent.LBA(), parent.Size())
	}
}

// sorted reports whether the children have the order of ECMA-119 9.3.
func sorted(h iso9660.Hierarchy, e *iso9660.Entry) bool {
	children := e.Children()
	for i := 1; i < len(children); i++ {
		a, b := children[i-1].Record().ID(), children[i].Record().ID()
		if iso9660.Less(h, b, a) {
			return false
		}
	}
	return true
}

// names looks for identifiers and names that a directory has twice, and for names
// that Linux cuts.
func (c *checker) names(h iso9660.Hierarchy, dir *iso9660.Entry) {
	ids := make(map[string]bool, len(dir.Children()))
	names := make(map[string]bool, len(dir.Children()))
	for _, e := range dir.Children() {
		if e.Associated() {
			continue
		}
		id, name := e.Record().ID(), e.Name()
		switch {
		case ids[string(id)]:
			c.at(Problem, e.Off(), "directory record: %s has the identifier %q twice", lazy{dir}, bytes.TrimRight(id, "\x00"))
		case names[name]:
			c.at(Problem, e.Off(), "directory record: %s has the name %q twice in the %s hierarchy", lazy{dir}, name, h)
		}
		ids[string(id)], names[name] = true, true
		if len(name) > linuxName {
			c.at(Notice, e.Off(), "directory record: name of %d bytes, Linux shows %d at most: %q", len(name), linuxName, name)
		}
	}
}
