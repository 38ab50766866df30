package menu

import (
	"fmt"
	"path"
	"strings"
)

// Readers names the entries whose kernels are told of a file of the image, and whether they
// start by themselves.
func Readers(list []*Menu, file string) (out []string) {
	for _, m := range list {
		for _, e := range m.Entries {
			if e.Boots() && names(e.Args, file) {
				text := fmt.Sprintf("%q", e.Name())
				if m.Start.Entry == e && !m.Start.Waits() {
					text += fmt.Sprintf(" (%s: starts by itself after %s)", m.On(), m.Start.Seconds())
				}
				out = appendOnce(out, text)
			}
		}
		if s := m.Start; s.Entry == nil && s.Boots() && names(s.Args, file) {
			out = appendOnce(out, fmt.Sprintf("what %s starts by itself after %s", m.On(), s.Seconds()))
		}
	}
	return out
}

// names reports whether arguments name a file, or the directory that it lies in.
func names(args, file string) bool {
	dir := path.Dir(file)
	for a := range strings.FieldsSeq(args) {
		if strings.HasSuffix(a, file) || dir != "/" && (strings.HasSuffix(a, dir) || strings.HasSuffix(a, dir+"/")) {
			return true
		}
	}
	return false
}

// Testers names the entries that let the medium test itself before anything else: without
// a media check in the image that fails.
func Testers(list []*Menu) (out []string, byItself bool) {
	for _, m := range list {
		for _, e := range m.Entries {
			if !e.Boots() || !tests(e.Args) {
				continue
			}
			out = appendOnce(out, fmt.Sprintf("%q", e.Name()))
			byItself = byItself || m.Start.Entry == e && !m.Start.Waits()
		}
	}
	return out, byItself
}

// tests reports arguments by which an initrd checks the medium: dracut's, the older one of
// Anaconda's, and linuxrc's.
func tests(args string) bool {
	on := false
	for a := range strings.FieldsSeq(args) {
		switch a {
		case "rd.live.check", "rd.live.check=1", "mediacheck", "mediacheck=1":
			on = true
		case "rd.live.check=0", "mediacheck=0":
			on = false
		}
	}
	return on
}
