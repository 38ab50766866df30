package menu

import (
	"path"
	"strconv"
	"strings"
)

// refindTime is how long it waits where nothing is said, in tenths of a second.
const refindTime = 200

// readREFInd says what rEFInd does: what it finds by scanning stands in front of the
// entries that its configuration has, and nothing names those.
func readREFInd(v Volume, name string) *Menu {
	r := newReader(v)
	x := &refind{r: r, m: &Menu{Loader: REFInd, Platforms: []Platform{UEFI}}, wait: refindTime, scan: []string{"internal", "external", "optical", "manual"}}
	found, ok := x.file(name, 0)
	if !ok {
		return nil
	}
	x.m.Root, x.m.Files, x.m.Missing = v.Prefix+found, r.files, r.miss
	x.start()
	return x.m
}

type refind struct {
	r    *reader
	m    *Menu
	cur  *Entry
	sub  bool
	wait int
	def  string
	scan []string
}

func (x *refind) file(name string, depth int) (string, bool) {
	found, text, ok := x.r.read(name)
	if !ok || depth > maxNesting {
		return found, ok
	}
	number := 0
	for l := range strings.Lines(text) {
		number++
		words := refindWords(strings.TrimRight(l, "\r\n"))
		if len(words) == 0 {
			continue
		}
		if strings.EqualFold(words[0], "include") && len(words) > 1 {
			x.file(path.Join(path.Dir(found), strings.ReplaceAll(words[1], `\`, "/")), depth+1)
			continue
		}
		x.line(words, x.r.vol.Prefix+found, number)
	}
	return found, true
}

// refindWords splits a line at blanks, commas and equals signs; quotes hold words
// together, a doubled one stands for itself.
func refindWords(l string) (out []string) {
	var b strings.Builder
	in, any := false, false
	flush := func() {
		if any {
			out = append(out, b.String())
		}
		b.Reset()
		any = false
	}
	for i := 0; i < len(l); i++ {
		switch c := l[i]; {
		case c == '"' && in && i+1 < len(l) && l[i+1] == '"':
			b.WriteByte('"')
			i++
		case c == '"':
			in, any = !in, true
		case !in && c == '#':
			flush()
			return out
		case !in && (c == ' ' || c == '\t' || c == ',' || c == '='):
			flush()
		default:
			b.WriteByte(c)
			any = true
		}
	}
	flush()
	return out
}

func (x *refind) line(words []string, file string, number int) {
	arg := ""
	if len(words) > 1 {
		arg = words[1]
	}
	switch strings.ToLower(words[0]) {
	case "menuentry":
		x.cur, x.sub = &Entry{File: file, Line: number, Title: arg, Kind: Nothing}, false
		x.m.Entries = append(x.m.Entries, x.cur)
	case "submenuentry":
		x.sub = true
	case "}":
		if x.sub {
			x.sub = false
		} else {
			x.cur = nil
		}
	case "disabled":
		if x.cur != nil && !x.sub {
			x.cur.Hidden = true
		}
	case "loader":
		if x.cur != nil && !x.sub {
			x.cur.Kernel, x.cur.Kind = arg, Chain
			if linuxName(arg) {
				x.cur.Kind = Linux
			}
		}
	case "initrd":
		if x.cur != nil && !x.sub {
			x.cur.Initrds = append(x.cur.Initrds, arg)
			x.cur.Kind = Linux
		}
	case "options":
		if x.cur != nil && !x.sub {
			x.cur.Args = arg
		}
	case "timeout":
		if n, err := strconv.Atoi(arg); err == nil {
			x.wait = n * 10
		}
	case "default_selection":
		x.def = strings.Join(words[1:], ",")
	case "scanfor":
		x.scan = words[1:]
	}
}

func (x *refind) start() {
	s := &x.m.Start
	switch s.After = x.wait; {
	case x.wait == 0:
		s.After = Forever
	case x.wait < 0:
		s.After = 0
	}
	manual, scans := false, false
	for _, w := range x.scan {
		w = strings.ToLower(w)
		manual = manual || strings.HasPrefix(w, "manual")
		scans = scans || !strings.HasPrefix(w, "manual")
	}
	var shown []*Entry
	for _, e := range x.m.Entries {
		if !e.Hidden && manual {
			shown = append(shown, e)
		}
	}
	if e := x.named(shown, scans); e != nil && (x.def != "" || !scans) {
		s.Entry, s.Kind, s.Kernel, s.Args, s.Initrds = e, e.Kind, e.Kernel, e.Args, e.Initrds
		return
	}
	if s.Kind = Nothing; scans {
		s.Unsure = "rEFInd starts what it finds by scanning; nothing names it"
	} else {
		s.After = Forever
	}
}

// named is the entry that default_selection means, by number from 1 or part of its title;
// the first where it means none. What is scanned for counts, too.
func (x *refind) named(shown []*Entry, scans bool) *Entry {
	for want := range strings.SplitSeq(x.def, ",") {
		if want = strings.TrimSpace(want); want == "" || want == "+" {
			continue
		}
		if n, err := strconv.Atoi(want); err == nil {
			if !scans && n >= 1 && n <= len(shown) {
				return shown[n-1]
			}
			continue
		}
		for _, e := range shown {
			if strings.Contains(strings.ToLower(e.Title), strings.ToLower(want)) {
				return e
			}
		}
	}
	if len(shown) > 0 && (x.def == "" || !scans) {
		return shown[0]
	}
	return nil
}
