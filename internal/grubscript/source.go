// Package grubscript reads the configurations of GRUB as GRUB does: it parses the
// language of GRUB 2, runs it against the files of an image, and says which entries the
// menu has, what each of them starts with which command line, and what starts when
// nobody presses a key. It knows where in which file each of these was written, and makes
// edits there. It does not look for configurations and knows no other loader but GRUB
// and, by itself, GRUB 0.97.
package grubscript

import (
	"bytes"
	"sort"
	"strconv"
)

// MaxSource is the size up to which a file is read.
const MaxSource = 1 << 20

// Source is a text that GRUB runs: a file, or the argument of an eval.
type Source struct {
	Name   string // path of the file, as the volume has it
	Device string // the device it is read from, without parentheses
	Text   []byte

	logical []byte  // the text without what GRUB's reader of lines drops
	at      []int32 // where its bytes are in Text; nil if they are the same
	lines   []int   // where lines of Text begin
	legacy  bool    // a menu of GRUB 0.97
	origin  []Frag  // what the text of an eval was made of
}

// newFile makes a source of a file. GRUB drops carriage returns and lines that begin with
// a number sign, even inside of quotes, and what stands behind a zero byte of a line.
func newFile(device, name string, text []byte) *Source {
	s := &Source{Name: name, Device: device, Text: text, logical: text}
	if !needsReader(text) {
		return s
	}
	s.logical = make([]byte, 0, len(text))
	s.at = make([]int32, 0, len(text)+1)
	for pos := 0; pos < len(text); {
		end := pos + bytes.IndexByte(text[pos:], '\n') + 1
		if end == pos {
			end = len(text)
		}
		s.line(pos, end)
		pos = end
	}
	s.at = append(s.at, int32(len(text)))
	return s
}

func needsReader(text []byte) bool {
	return bytes.IndexByte(text, '\r') >= 0 || bytes.IndexByte(text, 0) >= 0 ||
		bytes.HasPrefix(text, []byte("#")) || bytes.Contains(text, []byte("\n#"))
}

// line takes what GRUB sees of the line text[pos:end].
func (s *Source) line(pos, end int) {
	from, cut := len(s.logical), false
	for i := pos; i < end; i++ {
		switch c := s.Text[i]; {
		case c == '\r' || cut && c != '\n':
		case c == 0:
			cut = true
		default:
			s.logical = append(s.logical, c)
			s.at = append(s.at, int32(i))
		}
	}
	if len(s.logical) > from && s.logical[from] == '#' {
		s.logical, s.at = s.logical[:from], s.at[:from]
	}
}

// newEval makes a source of a text that a script put together.
func newEval(w Word) *Source {
	s := &Source{origin: w, Text: []byte(w.String())}
	s.logical = s.Text
	if len(w) > 0 && w[0].Span.Source != nil {
		s.Name, s.Device = w[0].Span.Source.Name, w[0].Span.Source.Device
	}
	return s
}

// span makes a span of a range of the logical text.
func (s *Source) span(start, end int) Span {
	if s.at == nil {
		return Span{s, start, end}
	}
	last := int(s.at[start])
	if end > start {
		last = int(s.at[end-1]) + 1
	}
	return Span{s, int(s.at[start]), last}
}

// Span is a range of bytes of a source.
type Span struct {
	Source     *Source
	Start, End int
}

// File returns the file that the range is in; of an eval, the one in which its text
// begins.
func (s Span) File() string {
	if s.Source == nil {
		return ""
	}
	return s.Source.Name
}

// Line returns the line number in the file, from 1 on; 0 if the text is of no file.
func (s Span) Line() int {
	switch {
	case s.Source == nil:
		return 0
	case s.Source.origin != nil:
		f, i := s.Source.fragAt(s.Start)
		if f.exact() {
			return Span{f.Span.Source, f.Span.Start + i, f.Span.Start + i}.Line()
		}
		return f.Span.Line()
	}
	src := s.Source
	if src.lines == nil {
		src.lines = []int{0}
		for i, c := range src.Text {
			if c == '\n' {
				src.lines = append(src.lines, i+1)
			}
		}
	}
	return sort.SearchInts(src.lines, s.Start+1)
}

// String returns file:line.
func (s Span) String() string {
	if s.Line() == 0 {
		return s.File()
	}
	return s.File() + ":" + strconv.Itoa(s.Line())
}

// fragAt returns the fragment of an eval's text that has the byte at pos, and where in
// it that is; at the end, the last one.
func (s *Source) fragAt(pos int) (f Frag, in int) {
	for _, f = range s.origin {
		if pos < len(f.Text) {
			return f, pos
		}
		pos -= len(f.Text)
	}
	return f, len(f.Text)
}
