package bootcfg

import (
	"fmt"
	"slices"
	"strings"
)

// Karg is a change of kernel arguments.
type Karg struct {
	op    byte // '=' set, '+' append, '-' remove
	name  string
	value string
	has   bool // it has a value, which may be empty
	// Keep puts a new argument behind "---", where installers look for what the
	// installed system shall have.
	Keep bool
	// Xen makes the change in the arguments of the hypervisor around the kernel.
	Xen bool
}

// repeated are the arguments that are given several times on one command line, each
// with a meaning of its own.
var repeated = []string{"console", "earlycon", "ip", "nameserver"}

// ParseKarg reads a change as users write it. N=V gives N that value, at its place if
// the argument is there; console, earlycon, ip, nameserver, rd.* and all with a plus
// sign in front are added beside others of that name. A word without value is added
// once. With xen: in front it is an argument of the hypervisor. -N removes N, -N=V the one with that value. A value with blanks may stand in
// double quotes.
func ParseKarg(s string) (Karg, error) {
	k := Karg{op: '='}
	text := s
	if rest, ok := strings.CutPrefix(text, "xen:"); ok {
		k.Xen, text = true, rest
	}
	if text != "" && (text[0] == '+' || text[0] == '-') {
		k.op, text = text[0], text[1:]
	}
	bad := func(why string) (Karg, error) { return Karg{}, fmt.Errorf("%q %w: %s", s, ErrSpec, why) }
	for _, c := range []byte(text) {
		if c < ' ' || c == 0x7f {
			return bad("it has a control character")
		}
	}
	if strings.Count(text, `"`)%2 != 0 {
		return bad("a quote is open")
	}
	text = strings.ReplaceAll(text, `"`, "")
	k.name, k.value, k.has = strings.Cut(text, "=")
	switch {
	case k.name == "" || k.name[0] == '-' || k.name[0] == '+':
		return bad("it has no name")
	case strings.ContainsAny(k.name, " #") || k.name[0] == '$':
		return bad("names have no blanks or marks")
	}
	if k.op == '=' && (slices.Contains(repeated, k.name) || strings.HasPrefix(k.name, "rd.")) {
		k.op = '+'
	}
	return k, nil
}

// String is the change as users write it.
func (k Karg) String() string {
	op := ""
	if k.op == '-' || k.op == '+' && !slices.Contains(repeated, k.name) && !strings.HasPrefix(k.name, "rd.") {
		op = string(k.op)
	}
	if k.Xen {
		op = "xen:" + op
	}
	return op + k.Text()
}

// Idle says why a change that changed no entry did not.
func (k Karg) Idle() string {
	if k.op == '-' {
		return fmt.Sprintf("no boot entry has the argument %s", k.Text())
	}
	return fmt.Sprintf("every boot entry has the argument %s already", k.Text())
}

// Blank reports a word given with a blank that no quotes hold together: it is one
// argument, though two were probably meant.
func Blank(arg string) bool { return strings.Contains(arg, " ") && !strings.Contains(arg, `"`) }

// Name is that of the argument.
func (k Karg) Name() string { return k.name }

// Single reports a change that sets or removes the argument, and does not add another one
// of its name.
func (k Karg) Single() bool { return k.op != '+' }

// Removal is the change that removes an argument, whatever its value.
func Removal(name string) Karg { return Karg{op: '-', name: name} }

// Text is the argument.
func (k Karg) Text() string {
	if !k.has {
		return k.name
	}
	return k.name + "=" + k.value
}

// matches reports whether an argument is one that k is about: -N and N=V mean all of
// that name.
func (k Karg) matches(arg string) bool {
	if k.op == '-' && !k.has || k.op == '=' && k.has {
		name, _, _ := strings.Cut(arg, "=")
		return name == k.name
	}
	return arg == k.Text()
}

// Holds reports whether a command line is as the change makes it.
func (k Karg) Holds(cmdline string) bool {
	found := 0
	for _, w := range split(cmdline, Parm) {
		arg := Parm.kernelText(w.raw)
		switch {
		case !k.matches(arg):
		case k.op == '-' || arg != k.Text():
			return false
		default:
			found++
		}
	}
	return found > 0 || k.op == '-'
}

// On makes the change in a list of arguments.
func (k Karg) On(args []string) []string {
	f := &File{format: Parm}
	c := &command{}
	for _, a := range args {
		c.words = append(c.words, word{" ", a})
	}
	f.edit(&cmdline{parts: []part{{c, 0}}}, k, k.Text())
	var out []string
	for _, w := range c.words {
		out = append(out, w.raw)
	}
	return out
}

// TakesArguments reports whether a file is a kernel that takes arguments, by its name: memory
// tests, other loaders and the like are none.
func TakesArguments(name string) bool { return loadable(name) }

// Karg changes the arguments of every entry that starts a kernel and returns how many
// entries changed. An error changes nothing of the file that counts: it is to be
// dropped.
func (f *File) Karg(k Karg) (int, error) { return f.kargs(k, f.entries) }

// EntryKarg changes the arguments of one entry.
func (f *File) EntryKarg(k Karg, e *MenuEntry) (int, error) { return f.kargs(k, []*MenuEntry{e}) }

func (f *File) kargs(k Karg, entries []*MenuEntry) (int, error) {
	raw, err := f.format.argument(k.Text())
	if err != nil && k.op != '-' {
		return 0, err
	}
	if k.op != '-' && !k.Xen {
		f.giveLines(entries)
	}
	changed := 0
	for _, e := range entries {
		did, lines := false, e.lines
		if k.Xen {
			lines = e.xen
		}
		for _, l := range lines {
			before := f.measure(l)
			if !f.edit(l, k, raw) {
				continue
			}
			did = true
			if err := f.repad(l, before); err != nil {
				return changed, err
			}
		}
		if did {
			changed++
		}
	}
	return changed, nil
}

// giveLines makes the commands that hold arguments of entries that have none.
func (f *File) giveLines(entries []*MenuEntry) {
	key := map[Format]string{Syslinux: "append", Entry: "options", ESXi: "kernelopt=", REFInd: "options", Limine: "cmdline:"}[f.format]
	behind := map[*command]*command{}
	for _, e := range entries {
		if !e.missing {
			continue
		}
		if f.format == Limine && strings.HasSuffix(e.kernel.words[0].raw, "=") {
			key = "CMDLINE="
		}
		c := f.newLine(e.kernel.indent(), key)
		if e.kernel == e.head && f.format == Syslinux { // a label alone
			c = f.newLine(e.markIndent(), key)
		}
		if f.graph.apart {
			c.words = append(c.words, f.graph.append...)
		}
		behind[e.kernel] = c
		if e.last == e.kernel {
			e.last = c
		}
		e.lines, e.missing = []*cmdline{{parts: []part{{c, 1}}}}, false
	}
	if len(behind) == 0 {
		return
	}
	out := make([]*command, 0, len(f.commands)+len(behind))
	for _, c := range f.commands {
		out = append(out, c)
		if more := behind[c]; more != nil {
			if !strings.Contains(c.tail, "\n") { // the last line has no end
				c.tail += f.eol
			}
			out = append(out, more)
		}
	}
	f.commands = out
}

// separator reports the words that part the arguments of an installer from those
// that it hands on to the installed system.
func separator(raw string) bool { return raw == "---" || raw == "--" }

// edit changes one command line and reports whether it did.
func (f *File) edit(l *cmdline, k Karg, raw string) bool {
	var hits []place
	installed := false // behind the separator
	for _, a := range l.args() {
		if separator(a.word().raw) {
			installed = true
			continue
		}
		if (installed || !k.Keep) && k.matches(f.format.kernelText(a.word().raw)) {
			hits = append(hits, a)
		}
	}
	switch {
	case k.op == '-':
		l.remove(hits)
		return len(hits) > 0
	case len(hits) == 0 && l.more:
		return false // the entry has it
	case len(hits) == 0:
		l.add(raw, k.Keep)
		return true
	case k.op == '+' || !k.has: // it is there
		return false
	}
	same := len(hits) == 1 && f.format.kernelText(hits[0].word().raw) == k.Text()
	if same {
		return false
	}
	hits[0].word().raw = raw
	l.remove(hits[1:])
	return true
}

// remove takes arguments away, each with the blanks in front of it.
func (l *cmdline) remove(list []place) {
	for _, p := range slices.Backward(list) {
		w := p.c.words
		if gap := w[p.i].gap; p.i+1 < len(w) && p.i == p.c.first() {
			w[p.i+1].gap = gap // the first of the line
		} else if p.i == 1 && p.c.quotes() && strings.Contains(gap, `"`) {
			p.c.tail = gap + p.c.tail
		}
		p.c.words = slices.Delete(w, p.i, p.i+1)
	}
}

// add puts an argument in front of the separator, or at the end of all.
func (l *cmdline) add(raw string, keep bool) {
	args := l.args()
	at := slices.IndexFunc(args, func(p place) bool { return separator(p.word().raw) })
	if keep && at < 0 {
		l.put("---")
	}
	if keep || at < 0 {
		l.put(raw)
		return
	}
	p := args[at]
	gap := " "
	if p.i == p.c.first() {
		gap = p.word().gap // a parameter file that begins with it
		p.word().gap = " "
	}
	p.c.words = slices.Insert(p.c.words, p.i, word{gap, raw})
}

// put adds a word at the end.
func (l *cmdline) put(raw string) {
	last := &l.parts[len(l.parts)-1]
	c := last.c
	if c.is(0, "append") && len(c.words) == 2 && c.words[1].raw == "-" { // none
		c.words, last.from = c.words[:1], 1
	}
	i := len(c.words) - l.behind
	gap := " "
	if i == 1 && c.key || len(c.words) == 0 {
		gap = ""
	}
	if c.quotes() {
		gap = c.unquoted(i)
	}
	c.words = slices.Insert(c.words, i, word{gap, raw})
}

// first is the index at which a command may begin with an argument.
func (c *command) first() int {
	if c.key || c.quotes() {
		return 1
	}
	return 0
}

// quotes reports a command of rEFInd whose arguments stand together in quotes.
func (c *command) quotes() bool { return c.quoted }

// Areas of CoreOS: behind a command line lie number signs that other programs
// overwrite with arguments. The place where they end does not move.
const (
	areaMark = "COREOS_KARG_EMBED_AREA"
	areaMin  = 16 // number signs; fewer are a comment
)

// area is the comment behind a command that pads it, nil without one.
func (f *File) area(c *command) *command {
	if !f.padded {
		return nil
	}
	i := slices.Index(f.commands, c)
	if i < 0 || i+1 >= len(f.commands) {
		return nil
	}
	if next := f.commands[i+1]; len(next.words) == 0 && padded(next.tail) {
		return next
	}
	return nil
}

// padded reports a comment of nothing but number signs, with or without its mark.
func padded(comment string) bool {
	s := strings.TrimRight(comment, "\r\n")
	s = strings.TrimSpace(strings.TrimSuffix(s, areaMark))
	return len(s) >= areaMin && strings.Trim(s, "#") == ""
}

// measure is the length of the commands of a line.
func (f *File) measure(l *cmdline) int {
	n := 0
	for _, p := range l.parts {
		n += p.c.len()
	}
	return n
}

// repad lets the area behind a line that was edited end where it did.
func (f *File) repad(l *cmdline, before int) error {
	if f.format != Syslinux && f.format != GRUB {
		return nil
	}
	a := f.area(l.parts[0].c)
	if a == nil || !f.Reserved && !strings.Contains(a.tail, areaMark) {
		return nil
	}
	return a.shrink(f.measure(l) - before)
}

// shrink takes n number signs away, or adds -n.
func (c *command) shrink(n int) error {
	head := c.tail[:len(c.tail)-len(strings.TrimLeft(c.tail, " \t"))]
	signs := len(c.tail) - len(head) - len(strings.TrimLeft(c.tail[len(head):], "#"))
	if signs-n < 1 {
		return fmt.Errorf("%d bytes more than the %d left: %w", n-signs+1, signs-1, ErrRoom)
	}
	c.tail = head + strings.Repeat("#", signs-n) + c.tail[len(head)+signs:]
	return nil
}

// Areas returns the offsets behind the areas reserved for arguments, in order.
func (f *File) Areas() []int64 {
	var out []int64
	at := int64(0)
	for _, c := range f.commands {
		at += int64(c.len())
		if len(c.words) == 0 && padded(c.tail) {
			out = append(out, at)
		}
	}
	return out
}
