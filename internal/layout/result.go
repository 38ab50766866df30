package layout

import (
	"io"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// sections returns where the content of a node lies in the result; ok is false for content
// that the node got after it was planned. A result that Plan did not make has the content of
// all nodes where their sections say.
func (r *Result) sections(n *tree.Node) (list []iso9660.Section, ok bool) {
	switch {
	case r.plan == nil:
		return n.Content(), n.Source == nil
	case n.Source != nil && n.Size() > 0:
		at, ok := r.plan.placed[n.Source]
		return iso9660.SplitSections(iso9660.LBA(at), n.Size()), ok
	}
	for _, s := range n.Content() {
		list = append(list, iso9660.Section{LBA: iso9660.LBA(r.plan.whereabouts(int64(s.LBA))), Size: s.Size})
	}
	return list, true
}

// whereabouts is where a block of the base's content is in the result.
func (p *planner) whereabouts(at int64) int64 {
	if to, ok := p.follow(at); ok {
		return to
	}
	if to, ok := p.moved[at]; ok {
		return to
	}
	return at
}

// place is where the content of a node lies: sections of a map, which is one of its own for
// content that came after the result was planned.
func (r *Result) place(n *tree.Node) (*extent.Map, []iso9660.Section, error) {
	if list, ok := r.sections(n); ok {
		return r.Map, list, nil
	}
	m, err := extent.New(extent.Into(0, n.Source, n.Size()))
	return m, iso9660.SplitSections(0, n.Size()), err
}

// Content returns the bytes of a file of the tree that was planned, as the result has them:
// addresses in boot images are those of the result. Content that came after that is as it
// is. The error is io.ErrUnexpectedEOF if they lie behind the end.
func (r *Result) Content(n *tree.Node) (*extent.Map, error) {
	m, list, err := r.place(n)
	if err != nil {
		return nil, err
	}
	var out []extent.Extent
	at := int64(0)
	for _, c := range list {
		from := c.LBA.Offset()
		for _, e := range m.Range(from, from+c.Size) {
			e.Off += at - from
			out = append(out, e)
		}
		at += c.Size
	}
	whole, err := extent.New(out)
	if err == nil && whole.Size() != n.Size() {
		err = io.ErrUnexpectedEOF
	}
	return whole, err
}

// Same reports whether a file has the bytes that one of the base had, by where they are from:
// nothing is read.
func (r *Result) Same(base extent.Source, was, is *tree.Node) bool {
	if was == nil || !was.IsRegular() || was.Size() != is.Size() {
		return false
	}
	m, list, err := r.place(is)
	if err != nil || len(list) != len(was.Content()) {
		return false
	}
	for i, now := range list {
		old := was.Content()[i]
		if old.Size != now.Size || !copied(base, m, now.LBA.Offset(), old.LBA.Offset(), now.Size) {
			return false
		}
	}
	return true
}

// copied reports whether n bytes at a place of a map are those at a place of the base.
func copied(base extent.Source, m *extent.Map, at, from, n int64) bool {
	for _, e := range m.Range(at, at+n) {
		if e.Kind != extent.Copy || e.Src != base || e.SrcOff-e.Off != from-at {
			return false
		}
	}
	return true
}
