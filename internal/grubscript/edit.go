package grubscript

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Edit replaces bytes of a file.
type Edit struct {
	Device, File string
	Start, End   int
	New          string
}

// Errors of edits.
var (
	ErrComputed = errors.New("it is computed, not written in one place")
	ErrEffect   = errors.New("the edit would do something else as well, or not enough")
)

// edit makes the edit that replaces a span by a text, which is in the language of the
// span's source. Where that is the text of an eval, it is written so that it comes out
// so.
func (s Span) edit(text string) (Edit, error) {
	switch {
	case s.Source == nil || s.Source.origin == nil && s.Source.Name == "":
		return Edit{}, ErrComputed
	case s.Source.origin == nil:
		return Edit{s.Source.Device, s.Source.Name, s.Start, s.End, text}, nil
	}
	f, i := s.Source.fragAt(s.Start)
	j := i + s.End - s.Start
	if !f.exact() || j > len(f.Text) {
		return Edit{}, fmt.Errorf("%s: %w", s, ErrComputed)
	}
	inner, err := inside(text, f.Quote)
	if err != nil {
		return Edit{}, err
	}
	return f.cut2(i, j).edit(inner)
}

// cut2 is the span of the bytes from i to j of an exact fragment, which may be none.
func (f Frag) cut2(i, j int) Span { return Span{f.Span.Source, f.Span.Start + i, f.Span.Start + j} }

// inside writes a text into what is quoted already.
func inside(text string, q Quote) (string, error) {
	var b strings.Builder
	for _, c := range []byte(text) {
		switch q {
		case Double, Gettext:
			if strings.IndexByte(`\"$`, c) >= 0 {
				b.WriteByte('\\')
			}
		case Single:
			if c == '\'' {
				b.WriteString(`'\'`)
			}
		case Bare:
			if !safe(c) {
				b.WriteByte('\\')
			}
			if c == '\n' {
				return "", ErrComputed // a backslash in front of it would take it away
			}
		default:
			return "", ErrComputed
		}
		b.WriteByte(c)
	}
	return b.String(), nil
}

// safe characters mean nothing to GRUB wherever they stand in a word.
func safe(c byte) bool {
	return letter(c) || digit(c) || c >= 0x80 || strings.IndexByte("=.,:/@%+^~-!", c) >= 0
}

// Quoted writes a text so that GRUB reads it as one word.
func Quoted(text string) string {
	plain := text != "" && text != "!"
	for i := range len(text) {
		plain = plain && safe(text[i])
	}
	if plain {
		return text
	}
	if strings.IndexByte(text, '\'') < 0 {
		return "'" + text + "'"
	}
	inner, _ := inside(text, Double)
	return `"` + inner + `"`
}

// quote writes a text as a word of the source's language. GRUB 0.97 has no quotes: what
// is written reaches the kernel, which knows double ones.
func (s *Source) quote(text string) (string, error) {
	if s == nil || !s.legacy {
		return Quoted(text), nil
	}
	bare := text
	if n := strings.IndexByte(text, '"'); n >= 0 && strings.HasSuffix(text, `"`) && strings.Count(text, `"`) == 2 {
		bare = text[:n]
	}
	if text == "" || strings.ContainsAny(bare, " \t\n\r\\\"") {
		return "", fmt.Errorf("%q cannot be written in a menu of GRUB legacy", text)
	}
	return text, nil
}

// value writes a text behind name=, where quotes may begin within a word.
func value(text string) string {
	if text == "" {
		return ""
	}
	return Quoted(text)
}

// merge sorts edits and leaves out those that are there already. Different ones of the
// same bytes are an error.
func mergeEdits(edits []Edit) ([]Edit, error) {
	edits = slices.Clone(edits)
	slices.SortStableFunc(edits, func(a, b Edit) int {
		return cmp.Or(cmp.Compare(a.Device, b.Device), cmp.Compare(a.File, b.File), cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End))
	})
	edits = slices.CompactFunc(edits, func(a, b Edit) bool { return a == b })
	for i := 1; i < len(edits); i++ {
		a, b := edits[i-1], edits[i]
		if a.Device == b.Device && a.File == b.File && (b.Start < a.End || a.Start == b.Start && a.End == b.End && a.Start != a.End) {
			return nil, fmt.Errorf("%s: two different changes of %q: %w", a.File, a.New, ErrEffect)
		}
	}
	return edits, nil
}

// Apply returns what the files of the result have after edits, by device and path.
func (r *Result) Apply(edits []Edit) (map[[2]string][]byte, error) {
	edits, err := mergeEdits(edits)
	if err != nil {
		return nil, err
	}
	out := map[[2]string][]byte{}
	for i := len(edits) - 1; i >= 0; i-- {
		e := edits[i]
		key := [2]string{e.Device, e.File}
		text, ok := out[key]
		if !ok {
			if text = r.textOf(key); text == nil {
				return nil, fmt.Errorf("%s: %w", e.File, ErrComputed)
			}
		}
		out[key] = slices.Concat(text[:e.Start], []byte(e.New), text[e.End:])
	}
	return out, nil
}

func (r *Result) textOf(key [2]string) []byte {
	for _, s := range r.Files {
		if s.Device == key[0] && s.Name == key[1] {
			return s.Text
		}
	}
	return nil
}

// After evaluates the configuration as it is after edits.
func (r *Result) After(edits []Edit) (*Result, error) {
	texts, err := r.Apply(edits)
	if err != nil {
		return nil, err
	}
	f := r.firmware
	f.Devices = slices.Clone(f.Devices)
	for i := range f.Devices {
		mine := map[string][]byte{}
		for key, text := range texts {
			if key[0] == f.Devices[i].Name {
				mine[key[1]] = text
			}
		}
		if len(mine) > 0 {
			f.Devices[i].Volume = overlay{f.Devices[i].Volume, mine}
		}
	}
	if r.legacy {
		return EvaluateLegacy(f), nil
	}
	return Evaluate(f), nil
}

// overlay is a volume with other texts in some of its files.
type overlay struct {
	Volume
	texts map[string][]byte
}

func (v overlay) Read(name string, limit int64) ([]byte, error) {
	if text, ok := v.texts[name]; ok {
		if int64(len(text)) > limit {
			return nil, nil
		}
		return text, nil
	}
	return v.Volume.Read(name, limit)
}
