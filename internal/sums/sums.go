// Package sums reads and edits the lists of checksums that images carry for their own
// files: those of md5sum(1) and its kin, .treeinfo of Fedora and RHEL, content of SUSE.
//
// It computes no checksum and opens no file: texts go in, texts come out, and every byte
// that is no checksum of a changed file stays.
package sums

import (
	"crypto"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// MaxSize is the longest list that Parse takes, in bytes: that of a DVD has two MB.
const MaxSize = 32 << 20

// ErrLimit reports a list beyond it.
var ErrLimit = errors.New("exceeds a limit")

// Line is a checksum of a file.
type Line struct {
	Path string // from the root of the image, without a slash in front
	Hash crypto.Hash
	Sum  string // lower-case hexadecimal

	line     int
	from, to int // of the sum in its line
}

// List is a list of checksums.
type List struct {
	Lines []Line

	dir   string   // that paths count from
	texts []string // lines, with their ends
	plain bool     // as md5sum(1) writes them
}

// Named reports whether a file is called like a list: md5sum.txt, SHA256SUMS, CHECKSUMS,
// .treeinfo, x.sha256. SUSE's "content" is one at the root only.
func Named(p string) bool {
	base := p[strings.LastIndexByte(p, '/')+1:]
	// Most names are none: two bytes tell.
	if n := len(base); n < len("a.md5") || !strings.Contains("um ms fo nt xt d5 a1 24 56 84 12", strings.ToLower(base[n-2:])) {
		return false
	}
	base = strings.ToLower(base)
	switch base {
	case "treeinfo", ".treeinfo", "checksum", "checksums":
		return true
	case "content":
		return path.Dir(path.Clean("/"+p)) == "/"
	}
	for _, kind := range kinds {
		if rest, ok := strings.CutPrefix(base, kind+"sum"); ok {
			return slices.Contains([]string{"", "s", ".txt", "s.txt"}, rest)
		}
		if strings.HasSuffix(base, "."+kind) {
			return true
		}
	}
	return false
}

var kinds = []string{"md5", "sha1", "sha224", "sha256", "sha384", "sha512"}

// hashes are the kinds of sums by the number of their hexadecimal digits.
var hashes = map[int]crypto.Hash{32: crypto.MD5, 40: crypto.SHA1, 56: crypto.SHA224, 64: crypto.SHA256, 96: crypto.SHA384, 128: crypto.SHA512}

// The ways that a line gives a sum: the first group is the sum, the second the path.
// They are compiled when first used: few commands read lists.
var (
	plainLine = lazily(`^\\?([0-9a-fA-F]{32,128}) [ *](.+?)\r?\n?$`)
	bsdLine   = lazily(`^(?:MD5|SHA1|SHA224|SHA256|SHA384|SHA512) \((.+)\) = ([0-9a-fA-F]{32,128})\s*$`)
	treeLine  = lazily(`^\s*([^;#=\s][^=]*?)\s*=\s*(?:md5|sha1|sha224|sha256|sha384|sha512):([0-9a-fA-F]{32,128})\s*$`)
	suseLine  = lazily(`^(HASH|META|KEY)\s+(?:MD5|SHA1|SHA224|SHA256|SHA384|SHA512)\s+([0-9a-fA-F]{32,128})\s+(\S.*?)\s*$`)
)

func lazily(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// Parse reads a list at a path of the image. What is no checksum is kept.
func Parse(name string, text []byte) (*List, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("%d bytes: %w", len(text), ErrLimit)
	}
	l := &List{dir: path.Dir(path.Clean("/" + name)), plain: true}
	section, tree := "", strings.Contains(strings.ToLower(path.Base(name)), "treeinfo")
	for text := range strings.Lines(string(text)) {
		l.texts = append(l.texts, text)
		if t := strings.TrimSpace(text); tree && strings.HasPrefix(t, "[") {
			section = strings.Trim(t, "[]")
		}
		switch {
		case tree:
			if at := treeLine().FindStringSubmatchIndex(text); at != nil && section == "checksums" {
				l.add(text, at[4], at[5], text[at[2]:at[3]])
			}
		default:
			l.line(text)
		}
	}
	return l, nil
}

// line reads a line of those that need no section.
func (l *List) line(text string) {
	if at := plainLine().FindStringSubmatchIndex(text); at != nil {
		l.add(text, at[2], at[3], text[at[4]:at[5]])
	} else if at := bsdLine().FindStringSubmatchIndex(text); at != nil {
		l.add(text, at[4], at[5], text[at[2]:at[3]])
	} else if at := suseLine().FindStringSubmatchIndex(text); at != nil {
		name := text[at[6]:at[7]]
		if text[at[2]:at[3]] == "META" {
			name = "suse/setup/descr/" + name
		}
		l.add(text, at[4], at[5], name)
	}
}

func (l *List) add(text string, from, to int, name string) {
	h := hashes[to-from]
	if h == 0 {
		return
	}
	l.Lines = append(l.Lines, Line{
		Path: strings.TrimPrefix(path.Join(l.dir, name), "/"), Hash: h, Sum: strings.ToLower(text[from:to]),
		line: len(l.texts) - 1, from: from, to: to,
	})
	l.plain = l.plain && plainLine().MatchString(text)
}

// Hash is that of new lines: the one that the list has. 0 if it is not as md5sum(1)
// writes lists, or has several.
func (l *List) Hash() crypto.Hash {
	if !l.plain || len(l.Lines) == 0 {
		return 0
	}
	h := l.Lines[0].Hash
	if slices.ContainsFunc(l.Lines, func(x Line) bool { return x.Hash != h }) {
		return 0
	}
	return h
}

// Edit is a change of a list: new sums by line, and lines to drop, both by index in
// Lines; and new lines by path from the root, for lists that have a Hash.
type Edit struct {
	Sums map[int]string
	Drop map[int]bool
	Add  []Line
}

// Edit returns the text with its changes.
func (l *List) Edit(e Edit) []byte {
	texts := slices.Clone(l.texts)
	for i, x := range l.Lines {
		switch sum, ok := e.Sums[i]; {
		case e.Drop[i]:
			texts[x.line] = ""
		case ok:
			texts[x.line] = texts[x.line][:x.from] + sum + texts[x.line][x.to:]
		}
	}
	text := strings.Join(texts, "")
	if len(e.Add) > 0 && text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	for _, x := range e.Add {
		text += l.newLine(x)
	}
	return []byte(text)
}

// newLine writes a line as the list's others are.
func (l *List) newLine(x Line) string {
	like := l.texts[l.Lines[0].line]
	rest := like[l.Lines[0].to:]
	name := strings.TrimPrefix(x.Path, strings.TrimPrefix(l.dir+"/", "/"))
	if strings.HasPrefix(rest[2:], "./") {
		name = "./" + name
	}
	return x.Sum + rest[:2] + name + "\n"
}
