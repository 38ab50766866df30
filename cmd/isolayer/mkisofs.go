package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/localtree"
	"github.com/isolayer/isolayer/internal/master/scan"
)

// mkisofs is a command line in the language of mkisofs, genisoimage and xorrisofs: long
// options after one dash or two, abbreviated as long as that is unique, with their value
// after "=" or as the next word; short ones with it attached or as the next word, or
// several flags in one word.
type mkisofs struct {
	sources   []string
	lists     []string // files with further sources, a line each
	quoted    []string // files with further sources, as words of a shell
	root      string   // directory of the image that all goes into
	grafts    bool     // sources may be DEST=SOURCE
	options   scan.Options
	boot      scan.Boot
	booting   bool        // any boot option was given
	entry     *scan.Entry // that options are for; nil: they begin a new one
	entries   []*scan.Entry
	volume    string // volume id if none is given
	noPad     bool
	noStartup bool // nobody wants to hear of startup files
	deep      bool // directories stay where they are, however deep
	platform  *boot.Platform
	output    bool // the coding of names in the image was given
	show      showOptions
	print     bool // the size, and nothing else
}

// showOptions are what our own commands have too.
type showOptions struct {
	output, progress, checksum     string
	quiet, asJSON, dryRun, showMap bool
	help, version                  bool
}

// option is one option of the language, under all its names.
type option struct {
	names string // separated by spaces
	args  int    // how many values it takes
	whole bool   // it has no abbreviations, as those of xorriso alone have none
	do    func(m *mkisofs, v []string) error
	use   string // what to do instead, of an option that is not supported
	idle  string // why it has no effect on the image, of one that has none
}

// unnamed is a volume id that nobody can give.
const unnamed = "\x00"

// parseMkisofs reads a command line.
// See RATIONALE.md, "mkisofs's options have their own parser".
func parseMkisofs(args []string, in io.Reader) (*mkisofs, error) {
	m := &mkisofs{volume: "CDROM"}
	m.options.Texts.System, m.options.Texts.Volume, m.options.Texts.Application = "LINUX", unnamed, "ISOLAYER"
	m.show.progress = progressAuto
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		if word == "--" {
			m.sources = append(m.sources, args...)
			break
		}
		if len(word) < 2 || word[0] != '-' {
			m.sources = append(m.sources, word)
			continue
		}
		rest, err := m.word(word, args)
		if err != nil {
			return nil, err
		}
		args = rest
	}
	return m, m.finish(in)
}

// word reads the option that a word holds and takes its values from what follows.
func (m *mkisofs) word(word string, rest []string) ([]string, error) {
	body := strings.TrimPrefix(word, "-")
	long := strings.HasPrefix(body, "-")
	body = strings.TrimPrefix(body, "-")
	name, value, attached := strings.Cut(body, "=")
	o, full, err := lookup(name)
	if errors.Is(err, errUnknown) && !long {
		if s := find(body[:1]); s != nil && like(name) == "" { // a short one with something attached
			if s.args == 0 {
				if err := m.run(s, body[:1], nil); err != nil {
					return nil, err
				}
				return m.word("-"+body[1:], rest)
			}
			o, full, err = s, body[:1], nil
			value, attached = body[1:], true
		}
	}
	if err != nil {
		return nil, err
	}
	var values []string
	if attached {
		values = append(values, value)
	}
	if len(values) > o.args {
		return nil, usagef("", "-%s takes no value", full)
	}
	for len(values) < o.args {
		if len(rest) == 0 {
			return nil, usagef("", "-%s needs a value", full)
		}
		values, rest = append(values, rest[0]), rest[1:]
	}
	return rest, m.run(o, full, values)
}

func (m *mkisofs) run(o *option, name string, values []string) error {
	if o.do == nil {
		return usagef(o.use, "-%s is not supported", name)
	}
	if err := o.do(m, values); err != nil {
		var usage usageError
		if errors.As(err, &usage) {
			return err
		}
		return usagef("", "-%s: %w", name, err)
	}
	return nil
}

// lookup finds an option by its name or the beginning of it.
func lookup(name string) (*option, string, error) {
	if o := find(name); o != nil {
		return o, name, nil
	}
	var full []string
	var hit *option
	for i := range mkisofsOptions {
		o := &mkisofsOptions[i]
		for _, n := range strings.Fields(o.names) {
			if len(n) > 1 && !o.whole && name != "" && strings.HasPrefix(n, name) {
				if hit != o {
					full = append(full, n)
				}
				hit = o
			}
		}
	}
	switch len(full) {
	case 1:
		return hit, full[0], nil
	case 0:
		hint := "isolayer master -help lists the options"
		if near := like(name); near != "" {
			hint = "did you mean -" + near + "?"
		}
		return nil, "", usagef(hint, "%w -%s", errUnknown, name)
	}
	slices.Sort(full)
	return nil, "", usagef("", "-%s may mean -%s", name, strings.Join(full, " or -"))
}

var errUnknown = errors.New("unknown option")

// like returns a long name that begins as a word does, "" without one: the word is it,
// misspelled, rather than a short option with a value.
func like(word string) string {
	const same = 4
	for i := range mkisofsOptions {
		for _, n := range strings.Fields(mkisofsOptions[i].names) {
			if len(word) >= same && len(n) > same && n[:same] == word[:same] {
				return n
			}
		}
	}
	return ""
}

// find returns the option of exactly that name.
func find(name string) *option {
	for i := range mkisofsOptions {
		if slices.Contains(strings.Fields(mkisofsOptions[i].names), name) {
			return &mkisofsOptions[i]
		}
	}
	return nil
}

// current is the entry of the boot catalog that options are for.
func (m *mkisofs) current() *scan.Entry {
	m.booting = true
	if m.entry == nil {
		m.entry = &scan.Entry{}
		m.entry.Media = scan.MediaBySize
		m.entries = append(m.entries, m.entry)
	}
	return m.entry
}

// image begins an entry, unless options for one that has no image yet came before.
func (m *mkisofs) image(p boot.Platform, name string) error {
	if m.entry != nil && (m.entry.Path != "" || m.entry.Appended > 0) {
		m.entry = nil
	}
	e := m.current()
	e.Platform = p
	if m.platform != nil {
		e.Platform = *m.platform
	}
	if p == boot.UEFI && e.Media == scan.MediaBySize {
		e.Media = boot.NoEmulation
	}
	if spec, ok := strings.CutPrefix(name, "--interval:appended_partition_"); ok {
		if spec != "" && spec[0] >= '1' && spec[0] <= '4' {
			e.Appended = int(spec[0] - '0')
			return nil
		}
	}
	if strings.HasPrefix(name, "--") {
		return fmt.Errorf("%q: only --interval:appended_partition_N:all:: and files of the image can boot", name)
	}
	e.Path = name
	return nil
}

// finish brings together what options say that belong together.
func (m *mkisofs) finish(in io.Reader) error {
	for _, list := range m.lists {
		if err := readLines(list, in, func(line string) error {
			m.sources = append(m.sources, line)
			return nil
		}); err != nil {
			return err
		}
	}
	for _, list := range m.quoted {
		words, err := readWords(list, in)
		if err != nil {
			return err
		}
		m.sources = append(m.sources, words...)
	}
	if !m.output { // as genisoimage has it
		m.options.Names.Output = m.options.Names.Input
	}
	if !m.noPad {
		m.options.Padding = padding
	}
	for _, e := range m.entries {
		if e.Path == "" && e.Appended == 0 {
			return usagef("name it with -b, or with -e for UEFI", "boot options without a boot image")
		}
		m.boot.Entries = append(m.boot.Entries, *e)
	}
	if m.booting {
		m.options.Boot = &m.boot
	}
	if m.options.Texts.Volume == unnamed {
		if m.options.Texts.Volume = m.volume; m.boot.From != "" {
			m.options.Texts.Volume = "" // that of the image
		}
	}
	if m.boot.From != "" && len(m.boot.Entries) > 0 {
		return usagef("", "both --boot-from and boot images of one's own")
	}
	if m.options.Output = m.show.output; m.show.output == "" {
		m.show.output = "-"
	}
	if m.deep {
		m.options.Relocate = ""
	}
	return nil
}

// padding is what mkisofs writes behind the content, in blocks: readers that look ahead
// want it.
const padding = 150

// grafted turns the sources into what goes where.
func (m *mkisofs) grafted() []scan.Graft {
	var out []scan.Graft
	for _, s := range m.sources {
		g := scan.Graft{Source: s}
		if m.grafts {
			if dest, src, ok := cutGraft(s); ok {
				g = scan.Graft{Source: src, Dest: dest}
			} else {
				g.Source = dest
			}
		}
		if m.root != "" {
			slash := ""
			if localtree.IsInto(g.Dest) {
				slash = "/"
			}
			g.Dest = path.Join(m.root, g.Dest) + slash
		}
		out = append(out, g)
	}
	return out
}

// cutGraft splits DEST=SOURCE at the first equals sign that is not escaped by a
// backslash, which escapes itself too.
func cutGraft(s string) (dest, src string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == '=' || s[i+1] == '\\'):
			i++
			b.WriteByte(s[i])
		case s[i] == '=' && !ok:
			dest, ok = b.String(), true
			b.Reset()
		default:
			b.WriteByte(s[i])
		}
	}
	if !ok {
		return b.String(), "", false
	}
	return dest, b.String(), true
}

// openLocal opens the files that options name.
var openLocal = os.Open

// readLines gives each line of a file, or of standard input for "-", to f.
func readLines(name string, in io.Reader, f func(string) error) (err error) {
	if name != "-" {
		file, err := openLocal(name)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if line := strings.TrimRight(lines.Text(), "\r"); line != "" {
			if err := f(line); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// maxWords bounds the file that readWords reads, in bytes.
const maxWords = 64 << 20

// readWords returns the words of a file, or of standard input for "-": what stands between
// quotation marks of either kind is one, and a backslash at the end of a line joins it
// with the next.
func readWords(name string, in io.Reader) (words []string, err error) {
	if name != "-" {
		file, err := openLocal(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxWords))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	var word []byte
	begun, mark := false, byte(0)
	for _, c := range []byte(strings.ReplaceAll(string(text), "\\\n", "")) {
		switch {
		case mark != 0 && c == mark:
			mark = 0
		case mark != 0:
			word = append(word, c)
		case c == '\'' || c == '"':
			mark, begun = c, true
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if begun {
				words = append(words, string(word))
			}
			word, begun = word[:0], false
		default:
			word, begun = append(word, c), true
		}
	}
	if mark != 0 {
		return nil, fmt.Errorf("%s: a quotation mark is not closed", name)
	}
	if begun {
		words = append(words, string(word))
	}
	return words, nil
}

// startupFiles are where mkisofs, genisoimage and xorrisofs look for default texts. They
// are not read: an image is made of its command line and its sources.
func startupFiles() (found []string) {
	for _, name := range []string{".genisoimagerc", ".mkisofsrc"} {
		places := []string{name}
		if home, err := os.UserHomeDir(); err == nil {
			places = append(places, filepath.Join(home, name))
		}
		for _, p := range append(places, os.Getenv(strings.ToUpper(name[1:]))) {
			if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() && !slices.Contains(found, p) {
				found = append(found, p)
			}
		}
	}
	return found
}
