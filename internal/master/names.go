package master

import (
	"crypto/md5" //nolint:gosec // by which xorriso keeps cut names apart
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/isolayer/isolayer/internal/tree"
)

// ErrLong reports a name that is longer than options allow.
var ErrLong = errors.New("the name is too long")

// maxName is the longest name of a file (POSIX NAME_MAX), in bytes.
const maxName = 255

// CheckName reports why no file of an image can have a name. Control characters are
// taken: Rock Ridge holds them, and other programs record them.
func CheckName(name string) error {
	switch {
	case name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00"):
		return fmt.Errorf("%w: no name of a file", fs.ErrInvalid)
	case len(name) > maxName:
		return fmt.Errorf("%w: %d bytes, names have up to %d", ErrLong, len(name), maxName)
	}
	return nil
}

// Names say how local names become names of the image.
type Names struct {
	// Input is the coding of local names, Output that of Rock Ridge.
	Input, Output *Charset
	// Whole, unless 0, is how many bytes names may have, Cut to how many longer ones are
	// cut by CutName.
	Whole, Cut int
}

// In is the name of the image that a local name, or the target of a link, becomes. The
// error says why there is none.
func (n Names) In(local string) (string, error) {
	name, err := n.Input.Decode(local)
	if err != nil {
		return "", err
	}
	if n.Whole > 0 && len(name) > n.Whole {
		return "", fmt.Errorf("%w: %d bytes, %d are allowed", ErrLong, len(name), n.Whole)
	}
	if _, err := n.Output.Encode(name); err != nil {
		return "", err
	}
	return name, nil
}

// Split is the components of a path of an image, of which each is a name. Components
// without meaning are left out; ".." is an error.
func Split(p string) ([]string, error) {
	var out []string
	for part := range strings.SplitSeq(p, "/") {
		if part == "" || part == "." {
			continue
		}
		if err := CheckName(part); err != nil {
			return nil, &fs.PathError{Op: "path", Path: p, Err: err}
		}
		out = append(out, part)
	}
	return out, nil
}

// hashed is what replaces the end of a name that is cut: a colon and the digits of an MD5.
const hashed = 1 + 2*md5.Size

// CutName cuts a name to limit bytes as xorriso does: its end becomes the MD5 of the whole
// name. limit is at least 64.
func CutName(name string, limit int) string {
	if len(name) <= limit {
		return name
	}
	b := []byte(name[:limit-hashed])
	for i := len(b) - 1; i >= 0 && i >= len(b)-utf8.UTFMax; i-- { // half a character
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:]) {
				for j := range b[i:] {
					b[i+j] = '_'
				}
			}
			break
		}
	}
	return fmt.Sprintf("%s:%x", b, md5.Sum([]byte(name))) //nolint:gosec // no secret
}

// Matches reports whether any pattern is that of a name, or of a path on disk.
func Matches(patterns []string, p, name string) bool {
	for _, pattern := range patterns {
		pattern = strings.TrimPrefix(pattern, "./")
		for _, text := range []string{name, p} {
			if ok, err := path.Match(pattern, text); ok || err != nil && pattern == text {
				return true
			}
		}
	}
	return false
}

// firstYear and lastYear are what a directory record can tell (ECMA-119 9.1.5).
const firstYear, lastYear = 1900, 2155

// ClampTime returns the time nearest to t that a directory record holds, and whether that
// is another one.
func ClampTime(t time.Time) (nearest time.Time, other bool) {
	switch y := t.UTC().Year(); {
	case y < firstYear:
		return time.Date(firstYear, 1, 1, 0, 0, 0, 0, time.UTC), true
	case y > lastYear:
		return time.Date(lastYear, 12, 31, 23, 59, 59, 0, time.UTC), true
	}
	return t, false
}

// PathWeight puts the content of what a path of the image leads to, and of all that lies
// below, in front of that of smaller weights.
type PathWeight struct {
	Path    string
	Pattern bool // Path is a pattern of path.Match
	Weight  int
}

// Weigh carries weights out in their order, later ones over earlier ones, and returns the
// paths that lead to nothing.
func Weigh(t *tree.Tree, list []PathWeight, weights map[*tree.Node]int) (missing []string) {
	for _, w := range list {
		clean := path.Clean("/" + w.Path)
		hit := false
		set := func(n *tree.Node) { hit = true; weighAll(n, w.Weight, weights) }
		if !w.Pattern {
			if n, err := t.Lookup(clean); err == nil {
				set(n)
			}
		} else {
			_ = t.Walk(func(n *tree.Node) error { // never fails
				if ok, _ := path.Match(clean, n.Path()); ok {
					set(n)
				}
				return nil
			})
		}
		if !hit {
			missing = append(missing, w.Path)
		}
	}
	return missing
}

func weighAll(n *tree.Node, weight int, weights map[*tree.Node]int) {
	if !n.IsDir() {
		weights[n] = weight
		return
	}
	for _, c := range n.Children {
		weighAll(c, weight, weights)
	}
}
