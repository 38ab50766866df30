package isotest

import (
	"bufio"
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// IsoinfoRR is the tree of the primary hierarchy as isoinfo shows it: with Rock
// Ridge names where there are some, else with ISO 9660 names. Relocated
// directories stand where they are recorded.
func IsoinfoRR(tb testing.TB, image string) map[string]Listed {
	tb.Helper()
	return parseIsoinfo(tb, Run(tb, "isoinfo", "-l", "-R", "-i", image))
}

// IsoinfoJoliet is the Joliet hierarchy as isoinfo shows it, nil where the
// image has none. isoinfo knows no UTF-8; names are as in [IsoinfoName].
func IsoinfoJoliet(tb testing.TB, image string) map[string]Listed {
	tb.Helper()
	stdout, stderr, err := run(tb, "isoinfo", "-j", "iso8859-1", "-l", "-J", "-i", image)
	if err != nil {
		if bytes.Contains(stderr, []byte("Unable to find Joliet SVD")) {
			return nil
		}
		tb.Fatalf("isoinfo -J %s: %v\n%s", image, err, stderr)
	}
	wide := make([]rune, len(stdout))
	for i, b := range stdout {
		wide[i] = rune(b)
	}
	return parseIsoinfo(tb, []byte(string(wide)))
}

// IsoinfoName is how isoinfo shows a Joliet name: characters that are not in
// Latin-1 become "_".
func IsoinfoName(name string) string {
	return strings.Map(func(r rune) rune {
		if r > 0xff {
			return '_'
		}
		return r
	}, name)
}

var (
	// Owners above 4095 are printed without a space between.
	isoinfoDir  = regexp.MustCompile(`^Directory listing of /(.*)$`)
	isoinfoLine = regexp.MustCompile(`^(.{10})[ \d]+ (\d+) .{11} \[\s*(\d+) ([0-9a-f]{2})\]  (.*)$`)
)

func parseIsoinfo(tb testing.TB, text []byte) map[string]Listed {
	tb.Helper()
	out := map[string]Listed{}
	dir := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if at := isoinfoDir.FindStringSubmatch(line); at != nil {
			dir = at[1]
			continue
		}
		f := isoinfoLine.FindStringSubmatch(line)
		if f == nil {
			if strings.TrimSpace(line) != "" {
				tb.Fatalf("isoinfo: cannot read line %q", line)
			}
			continue
		}
		name, _, link := strings.Cut(f[5], " -> ")
		if !link {
			name = strings.TrimSuffix(name, " ")
		}
		if name == "." || name == ".." {
			continue
		}
		out[dir+name] = Listed{Type: listType(f[1][0], f[4]), Size: number(tb, f[2]), LBA: number(tb, f[3])}
	}
	return out
}

// listType reads the first letter of a mode in the manner of ls. Where there
// is no mode the flags of the directory record tell.
func listType(letter byte, flags string) byte {
	switch letter {
	case 'd', 'l', 'c', 'b', 'p':
		return letter
	case 'f': // isoinfo's letter for a pipe
		return 'p'
	}
	if n, err := strconv.ParseUint(flags, 16, 8); err == nil && letter != '?' && n&2 != 0 {
		return 'd'
	}
	return 'f'
}

// XorrisoLBA is where libisofs finds the content of each file, section by
// section. Symbolic links, devices and empty trees have no content and are
// left out.
func XorrisoLBA(tb testing.TB, image string) map[string][]Listed {
	tb.Helper()
	out := map[string][]Listed{}
	for _, f := range xorriso(tb, image, "report_lba", xorrisoLBA) {
		section, size, path := int(number(tb, f[1])), number(tb, f[4]), xorrisoPath(tb, f[5])
		if section != len(out[path]) {
			tb.Fatalf("xorriso: section %d of %q follows %d", section, path, len(out[path]))
		}
		out[path] = append(out[path], Listed{Type: 'f', Size: size, LBA: number(tb, f[2])})
	}
	return out
}

// XorrisoTree is the tree as libisofs reads it, without times and content. It
// prefers Rock Ridge over Joliet.
func XorrisoTree(tb testing.TB, image string) Manifest {
	tb.Helper()
	out := Manifest{}
	for _, f := range xorriso(tb, image, "lsdl", xorrisoLine) {
		path := xorrisoPath(tb, f[5])
		if path == "" {
			continue
		}
		e := Entry{Type: listType(f[1][0], ""), Perm: permissions(f[1]), UID: int(number(tb, f[2])), GID: int(number(tb, f[3]))}
		switch e.Type {
		case 'f':
			e.Size = number(tb, f[4])
		case 'l':
			e.Link = unquote(strings.TrimPrefix(f[6], " -> "))
		}
		out[path] = e
	}
	return out
}

const quoted = `('(?:[^']|'"'"')*')`

var (
	xorrisoLBA  = regexp.MustCompile(`^File data lba:\s+(\d+) ,\s+(\d+) ,\s+(\d+) ,\s+(\d+) , ` + quoted + `$`)
	xorrisoLine = regexp.MustCompile(`^([-a-zA-Z+]{10,11})\s+\d+ (\d+)\s+(\d+)\s+([\d,]+) .{12} ` + quoted + `( -> '.*')?$`)
)

// xorriso applies an action of -find to the whole tree and gives the matches of
// the lines it prints.
func xorriso(tb testing.TB, image, action string, line *regexp.Regexp) [][]string {
	tb.Helper()
	out := Run(tb, "xorriso", "-no_rc", "-report_about", "SORRY", "-indev", "stdio:"+image, "-find", "/", "-exec", action)
	var all [][]string
	scan := bufio.NewScanner(bytes.NewReader(out))
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		if strings.HasPrefix(scan.Text(), "Report layout:") {
			continue
		}
		f := line.FindStringSubmatch(scan.Text())
		if f == nil {
			tb.Fatalf("xorriso: cannot read line %q", scan.Text())
		}
		all = append(all, f)
	}
	if err := scan.Err(); err != nil {
		tb.Fatal(err)
	}
	return all
}

func xorrisoPath(tb testing.TB, s string) string {
	tb.Helper()
	path, ok := strings.CutPrefix(unquote(s), "/")
	if !ok {
		tb.Fatalf("xorriso: %s is no absolute path", s)
	}
	return path
}

// unquote undoes shell quoting as xorriso does it: 'it'"'"'s'.
func unquote(s string) string {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "'"), "'")
	return strings.ReplaceAll(s, `'"'"'`, "'")
}

// permissions reads a mode in the manner of ls.
func permissions(mode string) uint32 {
	var perm uint32
	for i, c := range []byte(mode[1:10]) {
		bit := uint32(1) << (8 - i)
		special := uint32(1) << (11 - i/3)
		switch c {
		case '-':
		case 's', 't':
			perm |= bit | special
		case 'S', 'T':
			perm |= special
		default:
			perm |= bit
		}
	}
	return perm
}

func number(tb testing.TB, s string) int64 {
	tb.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		tb.Fatal(fmt.Errorf("not a number: %w", err))
	}
	return n
}
