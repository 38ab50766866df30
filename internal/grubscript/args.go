package grubscript

import (
	"fmt"
	"slices"
	"strings"
)

// SetArgs makes the edits after which each of the loads has the arguments that are wanted
// for it, and everything else is as it was. What came through a variable is changed where
// the variable is set; if that would change others that are to stay, the command gets the
// words themselves. The edits are tried: an error says why there are none.
func (r *Result) SetArgs(want map[*Load][]string) ([]Edit, error) {
	var first error
	for _, how := range ways {
		edits, err := r.argEdits(want, how)
		if err == nil {
			err = r.check(edits, want)
		}
		if err == nil {
			return edits, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// way is how arguments are changed.
type way struct {
	spread bool // words that are variables are replaced by what they stand for
	late   bool // new ones at the end stand behind blanks, where a text that is run ends
}

// ways are tried in order.
var ways = []way{{}, {spread: true}, {late: true}, {spread: true, late: true}}

// argEdits collects the edits of all loads, in order of their places.
func (r *Result) argEdits(want map[*Load][]string, how way) ([]Edit, error) {
	var out []Edit
	for _, l := range r.loads() {
		args, ok := want[l]
		if !ok || slices.Equal(args, argTexts(l)) {
			continue
		}
		edits, err := l.edits(args, how)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.Span, err)
		}
		out = append(out, edits...)
	}
	return mergeEdits(out)
}

func argTexts(l *Load) []string {
	out := make([]string, len(l.Args))
	for i, a := range l.Args {
		out[i] = a.String()
	}
	return out
}

// step is a difference of two lists: remove the old argument at, put new ones in front of
// it.
type step struct {
	at     int
	remove bool
	add    []string
}

// steps lists how to get from one list to another with few changes.
func steps(from, to []string) (out []step) {
	keep := longest(from, to)
	i, j := 0, 0
	for _, k := range append(keep, [2]int{len(from), len(to)}) {
		add := to[j:k[1]]
		for ; i < k[0]; i++ {
			out = append(out, step{at: i, remove: true, add: add[:min(1, len(add))]})
			add = add[min(1, len(add)):]
		}
		if len(add) > 0 {
			out = append(out, step{at: i, add: add})
		}
		i, j = k[0]+1, k[1]+1
	}
	return out
}

// maxDiff bounds the table that longest fills.
const maxDiff = 1 << 22

// longest returns the pairs of a longest common part.
func longest(from, to []string) (out [][2]int) {
	n, m := len(from), len(to)
	if n*m > maxDiff {
		return nil
	}
	table := make([]int, (n+1)*(m+1))
	at := func(i, j int) *int { return &table[i*(m+1)+j] }
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			if from[i] == to[j] {
				*at(i, j) = *at(i+1, j+1) + 1
			} else {
				*at(i, j) = max(*at(i+1, j), *at(i, j+1))
			}
		}
	}
	for i, j := 0, 0; i < n && j < m; {
		switch {
		case from[i] == to[j]:
			out = append(out, [2]int{i, j})
			i, j = i+1, j+1
		case *at(i+1, j) >= *at(i, j+1):
			i++
		default:
			j++
		}
	}
	return out
}

// edits are those of one command.
func (l *Load) edits(want []string, how way) (out []Edit, err error) {
	list := steps(argTexts(l), want)
	if how.spread {
		return l.spread(list, how)
	}
	for _, s := range list {
		var e Edit
		switch {
		case s.remove && len(s.add) > 0:
			e, err = l.replace(s.at, s.add[0])
		case s.remove:
			e, err = l.remove(s.at)
		default:
			e, err = l.insert(s.at, s.add, how)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// own reports whether an argument is written in the command itself, at least in part.
func (a Arg) own() bool {
	if a.Shared {
		return false
	}
	if len(a.Word) == 0 {
		return true
	}
	return slices.ContainsFunc(a.Word, func(f Frag) bool {
		s := f.Span
		return s.Source != nil && s.Source == a.Span.Source && s.Start >= a.Span.Start && s.End <= a.Span.End && f.Text != ""
	})
}

// region is the place of an argument that came through variables as a whole.
func (a Arg) region() (s Span, q Quote, err error) {
	if len(a.Word) == 0 {
		return s, q, ErrComputed
	}
	s, q = a.Word[0].Span, a.Word[0].Quote
	for _, f := range a.Word {
		if !f.exact() || f.Span.Source != s.Source || f.Quote != q || f.Span.Start > s.End && f.Span.Start != a.Word[0].Span.Start {
			return s, q, ErrComputed
		}
		s.End = f.Span.End
	}
	return s, q, nil
}

// bare writes an argument into the value of a variable that is cut at blanks.
func bare(arg string, q Quote) (string, error) {
	if arg == "" || strings.ContainsAny(arg, " \t\n") {
		return "", fmt.Errorf("%q cannot be one word of a variable", arg)
	}
	return inside(arg, q)
}

func (l *Load) replace(i int, arg string) (Edit, error) {
	a := l.Args[i]
	if a.own() {
		text, err := a.Span.Source.quote(arg)
		if err != nil {
			return Edit{}, err
		}
		return a.Span.edit(text)
	}
	s, q, err := a.region()
	if err != nil {
		return Edit{}, err
	}
	text, err := bare(arg, q)
	if err != nil {
		return Edit{}, err
	}
	return s.edit(text)
}

// remove takes an argument away with the blanks in front of it.
func (l *Load) remove(i int) (Edit, error) {
	a := l.Args[i]
	if a.own() {
		return a.Span.withBlanks(false).edit("")
	}
	s, _, err := a.region()
	if err != nil {
		return Edit{}, err
	}
	return s.withBlanks(true).edit("")
}

// withBlanks widens a span over the blanks in front of it; in a value, over those behind
// it if there are none, as it may be the first word.
func (s Span) withBlanks(value bool) Span {
	blank := func(c byte) bool { return c == ' ' || c == '\t' }
	text := s.Source.Text
	start := s.Start
	for start > 0 && blank(text[start-1]) {
		start--
	}
	if start == s.Start && value {
		for s.End < len(text) && blank(text[s.End]) {
			s.End++
		}
	}
	s.Start = start
	return s
}

// insert puts arguments in front of the one at i, or behind the last.
func (l *Load) insert(i int, add []string, how way) (Edit, error) {
	text, err := l.Span.Source.quoteAll(add)
	if err != nil {
		return Edit{}, err
	}
	switch {
	case i == len(l.Args):
		end := l.Span.End
		for how.late && end < len(l.Span.Source.Text) && (l.Span.Source.Text[end] == ' ' || l.Span.Source.Text[end] == '\t') {
			end++
		}
		return Span{l.Span.Source, end, end}.edit(" " + text)
	case !l.Args[i].Shared || i == 0 || l.Args[i-1].Span != l.Args[i].Span:
		at := l.Args[i].Span
		return Span{at.Source, at.Start, at.Start}.edit(text + " ")
	}
	s, q, err := l.Args[i].region()
	if err != nil {
		return Edit{}, err
	}
	var inner []string
	for _, a := range add {
		x, err := bare(a, q)
		if err != nil {
			return Edit{}, err
		}
		inner = append(inner, x)
	}
	return Span{s.Source, s.Start, s.Start}.edit(strings.Join(inner, " ") + " ")
}

// spread makes edits in the command only: a word that gives several arguments, or one
// through a variable, is replaced by what becomes of them.
func (l *Load) spread(list []step, how way) (out []Edit, err error) {
	type group struct {
		span  Span
		words []string
	}
	groups := map[Span]*group{}
	for _, s := range list {
		if s.at < len(l.Args) && (l.Args[s.at].Shared || s.remove) {
			span := l.Args[s.at].Span
			groups[span] = &group{span: span}
		}
	}
	byAt := map[int]step{}
	for _, s := range list {
		byAt[s.at] = merged(byAt[s.at], s)
	}
	for i, a := range l.Args {
		s, g := byAt[i], groups[a.Span]
		if g == nil {
			if len(s.add) > 0 {
				e, err := l.insert(i, s.add, how)
				if err != nil {
					return nil, err
				}
				out = append(out, e)
			}
			continue
		}
		g.words = append(g.words, s.add...)
		if !s.remove {
			g.words = append(g.words, a.String())
		}
	}
	if s := byAt[len(l.Args)]; len(s.add) > 0 {
		e, err := l.insert(len(l.Args), s.add, how)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	for _, g := range groups {
		e, err := g.span.withWords(g.words)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func merged(a, b step) step {
	return step{at: b.at, remove: a.remove || b.remove, add: slices.Concat(a.add, b.add)}
}

// withWords replaces a word of a command by others, or takes it away.
func (s Span) withWords(words []string) (Edit, error) {
	if len(words) == 0 {
		return s.withBlanks(false).edit("")
	}
	text, err := s.Source.quoteAll(words)
	if err != nil {
		return Edit{}, err
	}
	return s.edit(text)
}

func (s *Source) quoteAll(words []string) (string, error) {
	out := make([]string, len(words))
	for i, w := range words {
		var err error
		if out[i], err = s.quote(w); err != nil {
			return "", err
		}
	}
	return strings.Join(out, " "), nil
}
