package bootcfg

import (
	"fmt"
	"regexp"
	"strings"
)

// Udev writes a label as udev and dracut do in the names of devices: all but
// letters, digits and some marks as \xNN.
func Udev(label string) string {
	var b strings.Builder
	for _, c := range []byte(label) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80 || strings.IndexByte("#+-.:=@_", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	return b.String()
}

// FromUdev reads what Udev writes.
func FromUdev(s string) string {
	if !strings.Contains(s, `\x`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if escape(s[i:]) == 0 {
			b.WriteByte(s[i])
			continue
		}
		b.WriteByte(nibble(s[i+2])<<4 | nibble(s[i+3]))
		i += 3
	}
	return b.String()
}

func nibble(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}

// distinct is the length from which on a label is taken for one wherever an argument
// has it for a value. Shorter ones may be ordinary words.
// See RATIONALE.md, "A label is replaced where it is one".
const distinct = 8

// labelAt finds labels in a kernel argument: behind LABEL= (also CDLABEL=), in the
// names of devices by label, in AutoYaST's label://, and as the value of arguments that are
// about one.
// It returns the ranges.
func labelAt(arg string) (out [][2]int) {
	for _, mark := range []string{"LABEL=", "by-label/", "label://"} {
		for from := 0; ; {
			i := strings.Index(arg[from:], mark)
			if i < 0 {
				break
			}
			from += i + len(mark)
			end := from + labelLen(arg[from:])
			out = append(out, [2]int{from, end})
		}
	}
	if len(out) > 0 {
		return out
	}
	if name, value, ok := strings.Cut(arg, "="); ok && labelArgs[name] {
		from := len(name) + 1
		return [][2]int{{from, from + labelLen(value)}}
	}
	return nil
}

// labelArgs are the arguments whose value is the label of the medium.
var labelArgs = map[string]bool{
	"archisolabel": true, "misolabel": true, "cdlabel": true, "bootlabel": true, "volid": true, "coreos.liveiso": true,
	"isolabel": true, "label": true, "medialabel": true,
}

// labelLen is how much of s is a label: all up to what parts it from a path.
func labelLen(s string) int {
	if i := strings.IndexAny(s, ":/,"); i >= 0 {
		return i
	}
	return len(s)
}

// Relabel changes the label of the medium wherever boot loaders or kernels look for
// it, and returns in how many places. Titles, comments and paths stay.
func (f *File) Relabel(old, label string) (int, error) {
	if old == "" || old == label {
		return 0, nil
	}
	r := relabel{f: f, old: old, label: label}
	done := map[*command]bool{}
	for _, e := range f.entries {
		for _, l := range e.lines {
			if done[l.parts[0].c] {
				continue // one that entries share
			}
			done[l.parts[0].c] = true
			before := f.measure(l)
			for _, a := range l.args() {
				r.argument(a.word())
			}
			if f.measure(l) == before {
				continue
			}
			if err := f.repad(l, before); err != nil {
				return r.count, err
			}
		}
	}
	if f.format == GRUB {
		for _, c := range f.commands {
			if !done[c] {
				r.command(scriptOf(c))
			}
		}
	}
	return r.count, r.err
}

type relabel struct {
	f          *File
	old, label string
	count      int
	err        error
}

// argument changes a kernel argument.
func (r *relabel) argument(w *word) {
	value := r.f.format.value(w.raw)
	for _, span := range labelAt(value) {
		if r.is(value[span[0]:span[1]]) {
			r.write(w, value[:span[0]], value[span[0]:span[1]], value[span[1]:])
			return
		}
	}
	if name, v, ok := strings.Cut(value, "="); ok && len(r.old) >= distinct && !strings.Contains(name, `"`) && !person.MatchString(name) {
		for _, form := range []string{r.old, Udev(r.old)} {
			if rest, ok := strings.CutPrefix(v, form); ok && (rest == "" || strings.IndexByte(":/,", rest[0]) >= 0) {
				r.write(w, name+"=", form, rest)
				return
			}
		}
	}
}

// person matches arguments whose value is a name of something else than the medium.
var person = regexp.MustCompile(`(?i)host|user|domain|title|locale|keyb`)

// is reports whether a text is the old label, escaped or not.
func (r *relabel) is(s string) bool {
	s = strings.Trim(s, `"`)
	return s == r.old || FromUdev(strings.ReplaceAll(s, `\\x`, `\x`)) == r.old
}

// write replaces the middle of a kernel argument: as udev writes it, for kernels split
// at blanks.
func (r *relabel) write(w *word, head, form, tail string) {
	now := Udev(r.label)
	if strings.Contains(form, `\\x`) {
		now = strings.ReplaceAll(now, `\x`, `\\x`)
	}
	r.set(w, head+strings.ReplaceAll(form, strings.Trim(form, `"`), now)+tail, form, now)
}

// set gives a word a new meaning, with as few other bytes as can be: the old form is
// replaced where it stands if the new one needs no quotes, else all is quoted anew.
func (r *relabel) set(w *word, value, form, now string) {
	r.count++
	if raw := strings.Replace(w.raw, form, now, 1); raw != w.raw && r.f.format.value(raw) == value && (r.f.format != GRUB || oneWord(raw)) {
		w.raw = raw
		return
	}
	if r.f.format != GRUB {
		w.raw = value
		return
	}
	w.raw = quote(value)
}

// oneWord reports a text that GRUB reads as one word.
func oneWord(raw string) bool {
	l := &lexer{text: raw}
	return l.word() == raw
}

// command changes the labels that commands of GRUB look for and that variables hold.
func (r *relabel) command(x script) {
	switch x.name {
	case "search", "search.fs_label":
		s := searchOf(x)
		if s.kind == "label" && s.at >= 0 && GRUB.value(x.words[s.at].raw) == r.old {
			r.plain(&x.words[s.at], "")
		} else if s.at >= 0 && strings.HasPrefix(x.arg(s.at-x.at), "--label=") && x.arg(s.at - x.at)[len("--label="):] == r.old {
			r.plain(&x.words[s.at], "--label=")
		}
	case "[", "test":
		for i := 1; x.arg(i) != "" && len(r.old) >= distinct; i++ {
			if x.arg(i) == r.old {
				r.plain(&x.words[x.at+i], "")
			}
		}
	default:
		switch w, name, value := x.assigned(); {
		case w == nil || name == "default" || name == "menu_title":
		case value == r.old && (len(r.old) >= distinct || strings.Contains(strings.ToLower(name), "label") || strings.Contains(strings.ToLower(name), "vol")):
			r.plain(w, name+"=")
		case value != r.old:
			r.variable(w, value)
		}
	}
}

// variable changes kernel arguments that a variable holds.
func (r *relabel) variable(w *word, value string) {
	for arg := range strings.FieldsSeq(value) {
		for _, span := range labelAt(arg) {
			form := arg[span[0]:span[1]]
			if r.is(form) {
				now := strings.ReplaceAll(arg, form, Udev(r.label))
				r.set(w, strings.Replace(r.f.format.value(w.raw), arg, now, 1), form, Udev(r.label))
				return
			}
		}
	}
}

// plain replaces a word that is the label, as it is.
func (r *relabel) plain(w *word, prefix string) {
	r.set(w, prefix+r.label, r.old, r.label)
}

// search is what GRUB's search command is for.
type search struct {
	kind   string // label, uuid, file; empty: something else
	at     int    // index of the word that names it, -1 without one
	value  string
	setVar string // the variable that is set
}

// searchOf reads a search command.
func searchOf(x script) search {
	s := search{at: -1, kind: map[string]string{"search.fs_label": "label", "search.fs_uuid": "uuid", "search.file": "file"}[x.name], setVar: "root"}
	for i := x.at + 1; i < len(x.words); i++ {
		a := GRUB.value(x.words[i].raw)
		kind, value, inline := strings.Cut(a, "=")
		switch kind {
		case "-l", "--label", "--fs-label":
			s.kind = "label"
		case "-u", "--fs-uuid":
			s.kind = "uuid"
		case "-f", "--file":
			s.kind = "file"
		case "-s", "--set", "--hint", "-h":
			if strings.HasPrefix(kind, "--set") && inline {
				s.setVar = value
			} else if !inline && kind != "--set" && kind != "-s" {
				i++
			} else if !inline && i+2 < len(x.words) && !strings.HasPrefix(x.words[i+1].raw, "-") {
				// The variable's name is optional: it is one if a name follows.
				i++
				s.setVar = GRUB.value(x.words[i].raw)
			}
			continue
		default:
			if !strings.HasPrefix(a, "-") && s.at < 0 {
				s.at, s.value = i, a
			}
			continue
		}
		if inline {
			s.at, s.value = i, value
		}
	}
	return s
}
