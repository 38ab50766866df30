package grubscript

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}

// place is a path with its device.
type place struct {
	device string // its name, without parentheses
	path   string // without a slash in front
	dev    *Device
}

// String returns the path as GRUB spells it.
func (p place) String() string { return "(" + p.device + ")/" + p.path }

// place finds the device of a path: the one in parentheses, else root.
func (m *machine) place(name string) place {
	device := m.text("root")
	if strings.HasPrefix(name, "(") {
		if n := strings.IndexByte(name, ')'); n > 0 {
			device, name = name[1:n], name[n+1:]
		}
	}
	device = strings.Trim(device, "()")
	clean := strings.TrimPrefix(path.Clean("/"+name), "/")
	return place{device: device, path: clean, dev: m.device(device)}
}

// device returns the device of a name; nil if the image has none.
func (m *machine) device(name string) *Device {
	if d := m.loops[name]; d != nil {
		return d
	}
	for i := range m.fw.Devices {
		d := &m.fw.Devices[i]
		if d.Name == name {
			return d
		}
	}
	return nil
}

// presence is whether a file is there.
type presence byte

const (
	absent presence = iota
	isFile
	isDir
	unsure // on a device that is not of this image
)

// stat looks for a file or directory.
func (m *machine) stat(name string) (place, presence) {
	p := m.place(name)
	if p.dev == nil || p.dev.Volume == nil {
		return p, unsure
	}
	if m.budget.lookups--; m.budget.lookups < 0 {
		m.limit(Span{})
		return p, unsure
	}
	if p.path == "" {
		return p, isDir
	}
	found, dir, err := p.dev.Volume.Lookup(p.path)
	switch {
	case err != nil:
		return p, absent
	case dir:
		p.path = found
		return p, isDir
	}
	p.path = found
	return p, isFile
}

// read returns the content of a file; nil without one.
func (m *machine) read(name string) (place, []byte, presence) {
	p, is := m.stat(name)
	if is != isFile {
		return p, nil, is
	}
	key := p.String()
	if text, ok := m.budget.texts[key]; ok {
		return p, text, is
	}
	text, err := p.dev.Volume.Read(p.path, MaxSource)
	if err != nil || text == nil {
		return p, nil, unsure
	}
	m.budget.texts[key] = text
	return p, text, is
}

// maxNames is how many names stars stand for.
const maxNames = 4096

// names lists the files that fit a pattern: backslashes stand in front of characters
// that are meant as they are.
func (m *machine) names(pattern string) []string {
	device, rest := "", pattern
	if strings.HasPrefix(pattern, "(") {
		n := strings.IndexByte(pattern, ')')
		if n < 0 {
			return nil
		}
		device, rest = pattern[1:n], pattern[n+1:]
	}
	var found []string
	for _, prefix := range m.devices(device, strings.HasPrefix(pattern, "(")) {
		dirs := []string{prefix}
		for i, level := range strings.Split(strings.TrimPrefix(rest, "/"), "/") {
			if rest == "" && i == 0 {
				break
			}
			dirs = m.level(dirs, level)
		}
		found = append(found, dirs...)
	}
	return found[:min(len(found), maxNames)]
}

// devices returns what a pattern of devices stands for, with parentheses.
func (m *machine) devices(pattern string, named bool) []string {
	if !named {
		return []string{""}
	}
	if !strings.ContainsAny(pattern, "*?") {
		return []string{"(" + pattern + ")"}
	}
	m.remark(m.here, "looks at all disks, of which those of the machine are not known: ("+pattern+")")
	var out []string
	re := patternOf(pattern)
	for i := range m.fw.Devices {
		if name := m.fw.Devices[i].Name; re.MatchString(name) {
			out = append(out, "("+name+")")
		}
	}
	return out
}

// level adds a part of a path to each of the paths.
func (m *machine) level(dirs []string, level string) (out []string) {
	bare := unescape(level)
	re := patternOf(level)
	for _, d := range dirs {
		if !strings.ContainsAny(level, "*?") || bare != level && !strings.ContainsAny(strings.ReplaceAll(strings.ReplaceAll(level, `\*`, ""), `\?`, ""), "*?") {
			if _, is := m.stat(d + "/" + bare); is != absent || bare == "" {
				out = append(out, d+"/"+bare)
			}
			continue
		}
		p, is := m.stat(d + "/")
		if is != isDir {
			continue
		}
		names, err := p.dev.Volume.List(p.path)
		if err != nil || len(names) > maxNames {
			continue
		}
		names = slices.Clone(names)
		slices.Sort(names)
		for _, name := range names {
			if re.MatchString(name) && len(out) < maxNames {
				out = append(out, d+"/"+name)
			}
		}
	}
	return out
}

func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// patternOf makes an expression of a pattern with stars.
func patternOf(pattern string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString("^")
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '*':
			b.WriteString(".*")
		case c == '?':
			b.WriteString(".")
		case c == '\\' && i+1 < len(pattern):
			i++
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		default:
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		}
	}
	re, err := regexp.Compile(b.String() + "$")
	if err != nil {
		return regexp.MustCompile("$.^") // of bytes that are no text: fits nothing
	}
	return re
}
