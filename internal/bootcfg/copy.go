package bootcfg

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// AddEntry puts a copy of an entry behind it, under another title and with changed
// arguments. Numbers of entries that stand behind it move along. The error is that of an entry without arguments, or of a title
// that the format cannot write.
func (f *File) AddEntry(like *MenuEntry, title string, changes []Karg) error {
	if !like.Boots() || like.head == nil {
		return fmt.Errorf("%q starts no kernel: %w", like.Title, ErrNoEntry)
	}
	for _, c := range []byte(title) {
		if c < ' ' || c == 0x7f {
			return fmt.Errorf("title %q: %w", title, ErrQuote)
		}
	}
	from, to := slices.Index(f.commands, like.head), f.lastOf(like)
	if from < 0 || to < from {
		return fmt.Errorf("%q: %w", like.Title, ErrNoEntry)
	}
	var text strings.Builder
	for _, c := range f.commands[from : to+1] {
		if !(c.is(0, "menu") && c.is(1, "default", "hotkey", "accelerator")) && !(f.format == Entry && c.is(0, "sort-key")) {
			c.write(&text)
		}
	}
	part, err := Parse(f.format, []byte(text.String()))
	if err != nil {
		return err
	}
	if f.format == Syslinux {
		part.graph = f.graph
		part.graph.apart = true
		part.entries = part.scan()
	}
	if len(part.entries) != 1 {
		return fmt.Errorf("%q cannot be told from what stands around: %w", like.Title, ErrNoEntry)
	}
	e := part.entries[0]
	part.eol = f.eol
	part.rename(e, title, f.unused(title))
	for _, k := range changes {
		if _, err := part.Karg(k); err != nil {
			return err
		}
	}
	if n := len(part.commands); !strings.Contains(part.commands[n-1].tail, "\n") {
		part.commands[n-1].tail += f.eol
	}
	if f.format == Syslinux {
		part.commands = slices.Insert(part.commands, 0, &command{tail: f.eol})
	}
	for _, c := range part.commands {
		c.depth += like.head.depth
	}
	if last := f.commands[to]; !strings.Contains(last.tail, "\n") {
		last.tail += f.eol
	}
	f.shift(like)
	f.commands = slices.Insert(f.commands, to+1, part.commands...)
	f.entries = slices.Insert(f.entries, slices.Index(f.entries, like)+1, e)
	return nil
}

// ofLabel are the commands of syslinux that belong to the label in front of them; others
// only stand behind it.
var ofLabel = []string{"kernel", "linux", "com32", "boot", "bss", "pxe", "fdimage", "comboot", "config", "localboot", "append", "initrd", "fdt", "ipappend", "sysappend", "text", "say"}

// lastOf is the index of the last command that is the entry's own.
func (f *File) lastOf(e *MenuEntry) int {
	to := slices.Index(f.commands, e.last)
	if f.format != Syslinux {
		return to
	}
	from := slices.Index(f.commands, e.head)
	end := from
	for i := from + 1; i <= to; i++ {
		c := f.commands[i]
		switch {
		case len(c.words) == 0: // a comment, or a text
			if !strings.EqualFold(strings.TrimSpace(c.tail), "endtext") {
				continue
			}
		case c.is(0, "menu"):
			if !c.is(1, "label", "default", "indent", "passwd", "hide", "disable", "disabled", "save", "nosave", "immediate", "noimmediate", "hotkey", "accelerator") {
				return end
			}
		case !c.is(0, ofLabel...):
			return end
		}
		end = i
	}
	return end
}

// shift moves numbers along that count entries, where one is put behind an entry.
func (f *File) shift(like *MenuEntry) {
	at, first := -1, 0
	for _, e := range f.menuEntries() {
		if len(e.menus) > 0 {
			continue
		}
		at++
		if e == like {
			break
		}
	}
	if f.format == Limine {
		first = 1
	}
	if f.format == GRUB && len(like.menus) > 0 || f.format != GRUB && f.format != Legacy && f.format != Limine {
		return
	}
	list, prefix := f.defaults()
	more, fallback := f.fallbacks()
	for i, w := range append(list, more...) {
		head := prefix
		if i >= len(list) {
			head = fallback
		}
		text := strings.TrimPrefix(f.format.value(w.raw), head)
		number, rest, deeper := strings.Cut(text, ">")
		n, err := strconv.Atoi(number)
		if err != nil || n-first <= at {
			continue
		}
		if number = strconv.Itoa(n + 1); deeper {
			number += ">" + rest
		}
		if w.raw = head + number; deeper {
			w.raw = head + quote(number)
		}
	}
}

// fallbacks are the words that name entries for when another one fails.
func (f *File) fallbacks() (list []*word, prefix string) {
	for _, c := range f.commands {
		if f.format == GRUB {
			if w, name, _ := scriptOf(c).assigned(); name == "fallback" {
				list, prefix = append(list, w), "fallback="
			}
			continue
		}
		switch {
		case f.format == Legacy && c.is(0, "fallback", "fallback="):
			for i := 1; i < len(c.words); i++ {
				list = append(list, &c.words[i])
			}
		}
	}
	return list, prefix
}

// rename gives an entry another title and name.
func (f *File) rename(e *MenuEntry, title, name string) {
	e.Title, e.explicit = title, false
	switch f.format {
	case Syslinux:
		e.Name = name
		e.head.words = append(e.head.words[:1], word{" ", name})
		for _, c := range f.commands {
			if c.is(0, "menu") && c.is(1, "label") {
				c.words = append(c.words[:2], word{" ", title})
				return
			}
		}
		f.insert(e.head, f.newLine(e.markIndent(), "menu", "label", title))
	case GRUB:
		e.Name = ""
		words := e.head.words[:1:1]
		words = append(words, word{" ", quote(title)})
		for i := 1; i < len(e.head.words); i++ { // classes, but no id or hotkey
			x := script{e.head, 0, "menuentry"}
			if a := x.arg(i); a == "--class" || a == "--users" {
				words = append(words, e.head.words[i], e.head.words[i+1])
			} else if a == "--unrestricted" {
				words = append(words, e.head.words[i])
			}
		}
		e.head.words = append(words, word{" ", "{"})
	case Legacy:
		e.head.words = append(e.head.words[:1], word{" ", title})
	case Limine:
		raw := e.head.words[0].raw
		e.head.words[0].raw = raw[:len(raw)-len(strings.TrimLeft(raw, "/:"))] + title
	case REFInd:
		mark := `"` + strings.ReplaceAll(title, `"`, `""`) + `"`
		if strings.HasPrefix(e.head.words[0].raw, `"`) {
			e.head.words[0].raw = mark
		} else if len(e.head.words) > 1 {
			e.head.words[1].raw = mark
		}
	case Entry:
		for _, c := range f.commands {
			if c.is(0, "title") {
				c.words = append(c.words[:1], word{c.words[1].gap, title})
				return
			}
		}
	}
}

// unused makes a label of a title that no entry has.
func (f *File) unused(title string) string {
	base := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, title)
	if base = strings.Trim(base, "-"); base == "" {
		base = "entry"
	}
	for n := 1; ; n++ {
		name := base
		if n > 1 {
			name += strconv.Itoa(n)
		}
		if !slices.ContainsFunc(f.entries, func(e *MenuEntry) bool { return strings.EqualFold(e.Name, name) }) {
			return name
		}
	}
}

// InMenu reports an entry that menus show, and that can be copied.
func (e *MenuEntry) InMenu() bool { return e.head != nil }

// Copy makes an entry of systemd-boot out of this one, with another title and changed
// arguments; name is what its file may be called.
func (f *File) Copy(title string, changes []Karg) (text []byte, name string, err error) {
	part, err := Parse(f.format, f.Bytes())
	if err != nil || len(part.entries) != 1 {
		return nil, "", fmt.Errorf("%q: %w", title, ErrNoEntry)
	}
	part.rename(part.entries[0], title, "")
	for _, k := range changes {
		if _, err := part.Karg(k); err != nil {
			return nil, "", err
		}
	}
	return part.Bytes(), f.unused(title), nil
}
