package strategy

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/internal/diff"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/master"
	"github.com/isolayer/isolayer/internal/tree"
)

// lost compares an image that another program made with what it should be, and returns all
// that it did not keep, a text each.
func lost(ctx context.Context, want, got diff.Side, patched []string) ([]string, error) {
	report, err := diff.Images(ctx, want, got, nil)
	if err != nil {
		return nil, err
	}
	l := losses{written: patched, catalogs: []string{catalogOf(want), catalogOf(got)}}
	l.tree(report.Tree)
	l.volume(report.Volume)
	l.boot(report.Boot)
	if err := l.beside(want.Tree, got.Tree); err != nil {
		return nil, err
	}
	return slices.Concat(l.single, l.said.Warnings()), nil
}

func catalogOf(s diff.Side) string {
	if c := s.Boot.Catalog; c != nil {
		return c.Name
	}
	return ""
}

// losses are what differs from what should be.
type losses struct {
	written  []string // files that the program writes into
	catalogs []string // the boot catalogs, which it makes
	single   []string
	said     master.Remarks
}

// tree adds files that are gone, came, or differ.
func (l *losses) tree(list []diff.Change) {
	for _, c := range list {
		if slices.Contains(l.catalogs, c.Name) {
			continue // its own
		}
		switch c.Kind {
		case diff.Removed:
			l.single = append(l.single, fmt.Sprintf("%s (%s) is lost", c.Name, fileKind(c.Before)))
		case diff.Added:
			l.single = append(l.single, c.Name+" was not there")
		case diff.Moved:
			l.single = append(l.single, fmt.Sprintf("%s became %s", c.From, c.Name))
		default:
			l.details(c)
		}
	}
}

func (l *losses) details(c diff.Change) {
	for _, d := range c.Details {
		switch {
		case d.What == "content" && slices.Contains(l.written, c.Name):
		case d.What == "type":
			l.single = append(l.single, fmt.Sprintf("%s is a %s and became a %s", c.Name, d.From, d.To))
		case d.What == "hierarchies" && strings.Contains(d.To, d.From):
			l.said.Add("listed in "+d.To+", not only in "+orNone(d.From), c.Name)
		case d.What == "hierarchies":
			l.single = append(l.single, fmt.Sprintf("%s was listed in %s and is in %s", c.Name, orNone(d.From), orNone(d.To)))
		default:
			l.said.Add("other "+d.What+" than before", c.Name)
		}
	}
}

func orNone(s string) string {
	if s == "" {
		return "no hierarchy"
	}
	return s
}

// fileKind names the kind of a file.
func fileKind(n *tree.Node) string {
	switch n.Mode & iso9660.ModeType {
	case iso9660.ModeDir:
		return "directory"
	case iso9660.ModeSymlink:
		return "link"
	case iso9660.ModeFIFO:
		return "FIFO"
	case iso9660.ModeSocket:
		return "socket"
	case iso9660.ModeChar, iso9660.ModeBlock:
		return "device"
	}
	return "file"
}

// volume adds texts and hierarchies; sizes and times are those of a new image.
func (l *losses) volume(list []diff.Change) {
	for _, c := range list {
		if c.Kind == diff.Removed {
			l.single = append(l.single, "the "+c.Name+" is lost")
		}
		if c.Name != iso9660.Primary.String()+" descriptor" {
			continue // has the same texts, or halves of them
		}
		for _, d := range c.Details {
			if strings.Contains(d.What, "date") || strings.HasPrefix(d.What, "space size") {
				continue
			}
			l.single = append(l.single, fmt.Sprintf("%s: %s", c.Name, d))
		}
	}
}

// boot adds boot equipment that is other than before but for where it lies.
func (l *losses) boot(list []diff.Change) {
	count := map[string]int{}
	lines := make([]string, len(list))
	for i, c := range list {
		lines[i] = addresses.ReplaceAllString(c.Name, "$1")
		switch c.Kind {
		case diff.Removed:
			count[lines[i]]++
		case diff.Added:
			count[lines[i]]--
		}
	}
	for i, c := range list {
		if n := count[lines[i]]; c.Kind == diff.Removed && n > 0 || c.Kind == diff.Added && n < 0 || c.Kind == diff.Changed {
			l.single = append(l.single, "boot equipment: "+c.String())
		}
	}
}

// addresses are the numbers of blocks and sectors in descriptions of boot equipment.
var addresses = regexp.MustCompile(`\b(blocks?|sectors?|at) [0-9]+(?:[-–][0-9]+)?`)

// beside adds what a comparison of trees does not see: hard links, flags, associated
// files, attributes and further entries of records.
func (l *losses) beside(before, after *tree.Tree) error {
	first := map[iso9660.LBA]*tree.Node{} // of content, in what should be
	return before.Walk(func(n *tree.Node) error {
		m, err := after.Lookup(n.Path())
		if n.Hidden {
			if e := n.Found[iso9660.Primary]; e != nil && e.Associated() && (err != nil || !m.Hidden) {
				l.said.Add("the associated file is lost", n.Path())
			}
			return nil
		}
		if err != nil {
			return nil //nolint:nilerr // it is gone, which was said
		}
		for h := range n.Found {
			if l.record(n, n.Found[h], m.Found[h]) {
				break // once is enough
			}
		}
		if !n.IsRegular() || n.Size() == 0 || len(n.Content()) == 0 {
			return nil
		}
		if f := first[n.Content()[0].LBA]; f == nil {
			first[n.Content()[0].LBA] = n
		} else if o, err := after.Lookup(f.Path()); err == nil && len(o.Content()) > 0 && len(m.Content()) > 0 && o.Content()[0].LBA != m.Content()[0].LBA {
			l.said.Add("no hard link to "+f.Path()+" any more", n.Path())
		}
		return nil
	})
}

// entryNames are the system use entries that a program may drop, by signature.
var entryNames = map[string]string{
	"AL": "access lists and attributes", "ZF": "the mark of transparent compression",
	"AA": "Apple's information", "BA": "Apple's information", "XA": "attributes of CD-ROM XA",
}

// record compares flags and the kinds of system use entries of a file's records, and
// reports whether some are missing.
func (l *losses) record(n *tree.Node, was, is *iso9660.Entry) (missing bool) {
	if was == nil || is == nil {
		return false
	}
	if was.Record().Flags()&iso9660.FlagHidden > is.Record().Flags()&iso9660.FlagHidden {
		l.said.Add("not marked hidden any more", n.Path())
		missing = true
	}
	have := entriesOf(is)
	for sig := range entriesOf(was) {
		if what := entryNames[sig]; what != "" && !have[sig] {
			l.said.Add("without "+what, n.Path())
			missing = true
		}
	}
	return missing
}

// entriesOf are the signatures of the system use entries of a file's first record.
func entriesOf(e *iso9660.Entry) map[string]bool {
	out := map[string]bool{}
	for _, s := range e.Raws()[0].Draft(0).Entries() {
		out[s.Sig()] = true
	}
	return out
}
