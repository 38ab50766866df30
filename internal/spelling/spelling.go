// Package spelling finds the name that somebody who mistyped one probably meant.
//
// It knows nothing of files: who looks a path up says what there is.
package spelling

import (
	"io/fs"
	"slices"
	"strings"
)

// Missing is the error that an image has nothing under a path.
type Missing struct {
	Path string
	Err  error // what is said; fs.ErrNotExist in other words if nil
	// Near returns the path that was probably meant, "" if none is near; it is called
	// only when somebody is going to read it. nil is none.
	Near func() string
}

// Error implements error.
func (m *Missing) Error() string {
	if m.Err != nil {
		return m.Err.Error()
	}
	return "not in the image"
}

// Unwrap returns what is said.
func (m *Missing) Unwrap() error { return m.Err }

// Is makes the plain error fs.ErrNotExist.
func (m *Missing) Is(target error) bool { return m.Err == nil && target == fs.ErrNotExist }

// Meant returns the path that was probably meant, "" if none is near.
func (m *Missing) Meant() string {
	if m.Near == nil {
		return ""
	}
	return m.Near()
}

// Nearest returns the name that is nearest to the one given: one that differs by case
// only, else one with few other letters; "" without one.
func Nearest(name string, names []string) string {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return n
		}
	}
	best, least := "", allowed(name)+1
	for _, n := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(n), least); d < least {
			best, least = n, d
		}
	}
	return best
}

// Path returns the path that is nearest to one that is not there, by the names that list
// returns of a directory ("" is the root); "" if a name on the way has none near.
func Path(p string, list func(dir string) []string) string {
	at := ""
	for name := range strings.SplitSeq(strings.Trim(p, "/"), "/") {
		names := list(at)
		if !slices.Contains(names, name) {
			if name = Nearest(name, names); name == "" {
				return ""
			}
		}
		at = strings.TrimPrefix(at+"/"+name, "/")
	}
	return at
}

// maxLength bounds the names that are compared letter by letter, in bytes.
const maxLength = 255

// allowed is how many letters a name may differ by: two, in short ones one, in the
// shortest none.
func allowed(name string) int {
	switch {
	case len(name) > maxLength || len(name) < 3:
		return 0
	case len(name) < 6:
		return 1
	}
	return 2
}

// distance counts the letters to put in, take out, replace or exchange with their
// neighbour to make b of a; from limit on any number.
func distance(a, b string, limit int) int {
	if max(len(a), len(b)) > maxLength || len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	x, y := []rune(a), []rune(b)
	var before []int
	last := make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := range x {
		row := make([]int, len(y)+1)
		row[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(y)]
}
