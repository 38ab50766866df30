package menu

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/isolayer/isolayer/internal/bootcfg"
)

// The limits on what is searched for a label: boot files are small texts in few places.
const (
	maxText  = 256 << 10
	maxTexts = 4096
	maxDepth = 5
)

// textDirs are where files that look for the medium lie; in the root only files.
var textDirs = []string{"boot", "EFI", "isolinux", "syslinux", "loader", ".disk", "etc", "grub", "grub2", "images", "limine"}

// looks are what stands in front of a label where something looks for it.
const looks = `(?:LABEL=|by-label/|\blabel/|iso9660/|label://|--label[= ]+|\s-l +|label=|volid=|volume=)["']?`

// Relabel changes the label of the medium in every configuration, and in every small text
// besides that looks for it. Files that name it otherwise are reported.
func (e *Edit) Relabel(old, label string) error {
	if err := e.Every(func(f *bootcfg.File) (int, error) { return f.Relabel(old, label) }); err != nil {
		return err
	}
	if old == "" || old == label {
		return nil
	}
	if !utf8.ValidString(old) {
		e.warn("the old label %q is not text: only boot configurations were looked through for it", old)
		return nil
	}
	r := relabel{e: e, old: old, label: label, left: maxTexts}
	forms := regexp.QuoteMeta(old)
	if u := bootcfg.Udev(old); u != old {
		forms = "(?:" + forms + "|" + regexp.QuoteMeta(u) + "|" + regexp.QuoteMeta(strings.ReplaceAll(old, " ", `\040`)) + ")"
	}
	r.look = regexp.MustCompile(`(` + looks + `)(` + forms + `)($|[^\w.\-])`)
	r.word = regexp.MustCompile(`(^|[^\w.\-])(` + forms + `)($|[^\w.\-])`)
	for _, s := range e.Sets {
		if err := r.volume(s); err != nil {
			return err
		}
	}
	return nil
}

type relabel struct {
	e          *Edit
	old, label string
	look, word *regexp.Regexp
	left       int
}

func (r *relabel) volume(s *Set) error {
	names, err := s.Files.List(".")
	if err != nil {
		return err
	}
	for _, n := range names {
		found, dir, err := s.Files.Lookup(n)
		switch {
		case err != nil:
		case !dir:
			r.file(s, found)
		case slices.ContainsFunc(textDirs, func(d string) bool { return strings.EqualFold(d, n) }):
			if err := r.dir(s, found, maxDepth); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *relabel) dir(s *Set, dir string, depth int) error {
	names, err := s.Files.List(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if r.left--; r.left < 0 {
			return nil
		}
		found, isDir, err := s.Files.Lookup(path.Join(dir, n))
		switch {
		case err != nil:
		case !isDir:
			r.file(s, found)
		case depth > 0:
			if err := r.dir(s, found, depth-1); err != nil {
				return err
			}
		}
	}
	return nil
}

// file changes one text, or reports that it names the label.
func (r *relabel) file(s *Set, name string) {
	if !speaks(name) {
		return
	}
	known := slices.IndexFunc(s.Configs, func(c *bootcfg.Config) bool { return c.Path == name })
	var text []byte
	if known >= 0 {
		text = s.Configs[known].File.Bytes()
	} else if text = s.Added[name]; text == nil {
		text, _ = s.Files.Read(name, maxText)
	}
	if text == nil || bytes.IndexByte(text[:min(len(text), 1024)], 0) >= 0 || !r.word.Match(text) {
		return
	}
	if known < 0 {
		now, n := r.change(name, text)
		if n > 0 {
			r.e.replace(s, name, now)
			r.e.note(s, name, n)
		}
		text = now
	}
	if at := r.namedAt(text); at > 0 {
		r.e.warn("%s%s, line %d, still names the label %q", s.Prefix, name, at, r.old)
	}
}

// speaks reports a file that loaders, kernels or scripts of firmware read.
func speaks(name string) bool {
	base := strings.ToLower(path.Base(name))
	switch path.Ext(base) {
	case ".cfg", ".conf", ".lst", ".nsh", ".prm", ".ini", ".ins", ".ipxe", ".rc", ".4th", ".lua":
		return true
	}
	return base == "fstab" || base == "grubenv" || strings.HasPrefix(base, "parmfile") || strings.HasPrefix(path.Dir(name), ".disk") && path.Ext(base) == ""
}

// change replaces the label where the text looks for the medium.
func (r *relabel) change(name string, text []byte) ([]byte, int) {
	write, ok := r.form(name)
	if !ok {
		return text, 0
	}
	n := 0
	now := r.look.ReplaceAllFunc(text, func(m []byte) []byte {
		p := r.look.FindSubmatch(m)
		n++
		return slices.Concat(p[1], []byte(write), p[3])
	})
	if n > 0 && path.Base(strings.ToLower(name)) == "grubenv" {
		if now, ok = sameSize(now, len(text)); !ok {
			return text, 0
		}
	}
	return now, n
}

// form is how a file writes the new label; false where it has no way to.
func (r *relabel) form(name string) (string, bool) {
	plain := regexp.MustCompile(`^[\w.\-]+$`).MatchString(r.label)
	switch {
	case plain:
		return r.label, true
	case strings.EqualFold(path.Base(name), "fstab"):
		return strings.ReplaceAll(r.label, " ", `\040`), true
	}
	return "", false
}

// sameSize pads an environment of GRUB's, whose size is fixed, with its number signs.
func sameSize(text []byte, size int) ([]byte, bool) {
	body := bytes.TrimRight(text, "#")
	if len(body) > size {
		return nil, false
	}
	return append(slices.Clone(body), bytes.Repeat([]byte("#"), size-len(body))...), true
}

// aside are lines in which a word only looks like the label: comments, and what is shown.
var aside = regexp.MustCompile(`(?i)^\s*(#|rem\s|//|\*|menuentry\s|submenu\s|menu\s+(title|label)|title|display|say|echo|set\s+(menu_)?title|.*\b(host|user)(name)?=)`)

// namedAt is the number of the first line that still names the old label as a value, 0
// without one.
func (r *relabel) namedAt(text []byte) int {
	line := 0
	for l := range bytes.Lines(text) {
		line++
		if r.word.Match(l) && !aside.Match(l) && (len(r.old) >= 8 || r.look.Match(l)) {
			return line
		}
	}
	return 0
}
