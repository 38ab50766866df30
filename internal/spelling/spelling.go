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
	for _, n := range names[:min(len(names), maxNames)] {
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

// What is compared letter by letter is bounded: so many names, each of so many bytes.
const (
	maxNames  = 1024
	maxLength = 255
)

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
	for len(x) > 0 && len(y) > 0 && x[0] == y[0] {
		x, y = x[1:], y[1:]
	}
	for len(x) > 0 && len(y) > 0 && x[len(x)-1] == y[len(y)-1] {
		x, y = x[:len(x)-1], y[:len(y)-1]
	}
	// Numbers from limit on are not told apart: only what lies near the diagonal is
	// computed.
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = min(j, limit)
	}
	for i := range x {
		least := limit
		for j := range row {
			row[j] = limit
		}
		row[0] = min(i+1, limit)
		for j := max(0, i-limit); j < min(len(y), i+limit+1); j++ {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1, limit)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
			least = min(least, row[j+1])
		}
		if least >= limit && row[0] >= limit {
			return limit
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}
