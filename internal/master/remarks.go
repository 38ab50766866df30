package master

import (
	"fmt"
	"strings"
)

// Remarks collects what is to be said of files, each reason once. The zero value is
// empty.
type Remarks struct {
	list []remark
	of   map[string]int
}

type remark struct {
	why   string
	note  bool
	names []string // the first ones
	count int
}

// namesShown is how many files a remark names.
const namesShown = 5

// Add warns of a file for a reason.
func (r *Remarks) Add(why, name string) { r.add(why, name, false) }

// Note says something of a file that nobody needs to act on.
func (r *Remarks) Note(why, name string) { r.add(why, name, true) }

func (r *Remarks) add(why, name string, note bool) {
	i, ok := r.of[why]
	if !ok {
		if r.of == nil {
			r.of = map[string]int{}
		}
		i = len(r.list)
		r.of[why], r.list = i, append(r.list, remark{why: why, note: note})
	}
	x := &r.list[i]
	if x.count++; x.count <= namesShown {
		x.names = append(x.names, name)
	}
}

// Warnings and Notes are the lines to say, in the order in which reasons came up.
func (r *Remarks) Warnings() []string { return r.lines(false) }

// Notes are those that nobody needs to act on.
func (r *Remarks) Notes() []string { return r.lines(true) }

func (r *Remarks) lines(notes bool) (out []string) {
	for _, x := range r.list {
		if x.note != notes {
			continue
		}
		text := strings.Join(x.names, ", ")
		if more := x.count - len(x.names); more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		out = append(out, text+": "+x.why)
	}
	return out
}
