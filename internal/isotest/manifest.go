package isotest

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// diffLimit bounds what Diff prints, in lines.
const diffLimit = 20

// Entry is one name of a tree. What a type does not have is zero: only files
// have Size and SHA256, only symbolic links have Link.
type Entry struct {
	Type     byte   // 'f' file, 'd' directory, 'l' symbolic link, 'c' and 'b' device, 'p' pipe
	Size     int64  // bytes
	Perm     uint32 // permissions with set-uid, set-gid and sticky bit
	UID, GID int
	MTime    int64 // seconds since 1970, UTC
	Link     string
	SHA256   string // lower-case hexadecimal
}

// File is a file of that content, with nothing else set.
func File(content []byte) Entry {
	sum, size, _ := digest(bytes.NewReader(content)) // reading memory cannot fail
	return Entry{Type: 'f', Size: size, SHA256: sum}
}

// String shows the entry on one line.
func (e Entry) String() string {
	s := fmt.Sprintf("%c %04o %d:%d %d bytes, time %d", e.Type, e.Perm, e.UID, e.GID, e.Size, e.MTime)
	if e.Link != "" {
		s += fmt.Sprintf(" -> %q", e.Link)
	}
	if e.SHA256 != "" {
		s += " sha256 " + e.SHA256[:min(12, len(e.SHA256))]
	}
	return s
}

// Manifest is a tree by path, without leading slash and without the root.
type Manifest map[string]Entry

// Diff shows where other differs from m, "-" what only m has and "+" what only
// other has. It is empty for equal manifests.
func (m Manifest) Diff(other Manifest) string {
	var lines []string
	for _, path := range slices.Sorted(maps.Keys(union(m, other))) {
		was, had := m[path]
		is, has := other[path]
		switch {
		case !has:
			lines = append(lines, fmt.Sprintf("- %q %v", path, was))
		case !had:
			lines = append(lines, fmt.Sprintf("+ %q %v", path, is))
		case was != is:
			lines = append(lines, fmt.Sprintf("- %q %v", path, was), fmt.Sprintf("+ %q %v", path, is))
		}
	}
	if more := len(lines) - diffLimit; more > 0 {
		lines = append(lines[:diffLimit], fmt.Sprintf("and %d lines more", more))
	}
	return strings.Join(lines, "\n")
}

// With is m with e at path, in place of what was there.
func (m Manifest) With(path string, e Entry) Manifest {
	out := m.clone()
	out[path] = e
	return out
}

// Without is m without path and everything below it.
func (m Manifest) Without(path string) Manifest {
	return m.Filter(func(p string, _ Entry) bool { return !within(p, path) })
}

// Rename is m with old and everything below it under the name of to, in place
// of what was there.
func (m Manifest) Rename(old, to string) Manifest {
	out := m.Without(old).Without(to)
	for path, e := range m {
		if within(path, old) {
			out[to+strings.TrimPrefix(path, old)] = e
		}
	}
	return out
}

// Filter is the part of m for which keep is true.
func (m Manifest) Filter(keep func(path string, e Entry) bool) Manifest {
	out := Manifest{}
	for path, e := range m {
		if keep(path, e) {
			out[path] = e
		}
	}
	return out
}

// Map is m with each entry replaced: to compare in fewer respects.
func (m Manifest) Map(f func(Entry) Entry) Manifest {
	out := make(Manifest, len(m))
	for path, e := range m {
		out[path] = f(e)
	}
	return out
}

// Content is an entry reduced to type, size, link and content, for [Manifest.Map].
func Content(e Entry) Entry {
	return Entry{Type: e.Type, Size: e.Size, Link: e.Link, SHA256: e.SHA256}
}

// Listed is what a directory lister says of a name, or of one section of a
// file.
type Listed struct {
	Type byte  // as in Entry
	Size int64 // bytes; of a directory its extent, or zero
	LBA  int64 // first block of 2048 bytes
}

// Paths are the sorted keys of a manifest or a listing.
func Paths[M ~map[string]V, V any](m M) []string {
	return slices.SortedFunc(maps.Keys(m), cmp.Compare[string])
}

func (m Manifest) clone() Manifest {
	out := make(Manifest, len(m)+1)
	maps.Copy(out, m)
	return out
}

// within reports whether path is dir or below it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, dir+"/")
}

func union(a, b Manifest) map[string]bool {
	all := make(map[string]bool, len(a)+len(b))
	for path := range a {
		all[path] = true
	}
	for path := range b {
		all[path] = true
	}
	return all
}
