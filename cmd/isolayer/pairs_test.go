package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/isotest"
)

// TestPairs builds with two edits chosen by chance, out of all that the command has, and
// some of its options. Whatever comes of it: no internal error, a refusal says why, and of
// a result verify and bsdtar say no worse than of the base, and the tree is the one that
// the same edits give without those options.
//
// ISOLAYER_SOAK makes it many; ISOLAYER_PAIR=BASE/SEED is one of them.
func TestPairs(t *testing.T) {
	only, seed, _ := strings.Cut(os.Getenv("ISOLAYER_PAIR"), "/")
	n := 5
	switch {
	case os.Getenv("ISOLAYER_SOAK") != "":
		n = 400
	case testing.Short():
		n = 2
	}
	files := pairFiles(t)
	for _, b := range pairBases {
		if only != "" && only != b.name {
			continue
		}
		t.Run(b.name, func(t *testing.T) {
			p := pairBuilds{base: b, files: files, image: b.make(t)}
			p.before(t)
			first, last := 0, n
			if seed != "" {
				first, _ = strconv.Atoi(seed)
				last = first + 1
			}
			for i := first; i < last; i++ {
				p.one(t, uint64(i))
			}
			t.Logf("%d built, %d refused", p.built, p.refused)
			if n >= 100 && p.built < n/4 {
				t.Errorf("only %d of %d were built", p.built, n)
			}
		})
	}
}

// pairBuilds are the builds of one base.
type pairBuilds struct {
	base           pairBase
	files, image   string
	findings       map[string]bool
	complaints     string
	faults         int
	built, refused int
}

// before notes what verify and bsdtar say of the base.
func (p *pairBuilds) before(t *testing.T) {
	p.findings = findingsOf(t, p.image)
	p.complaints = isotest.BsdtarErrors(t, p.image)
	b, err := os.ReadFile(p.image)
	if err != nil {
		t.Fatal(err)
	}
	p.faults = len(isotest.DirectoryFaults(t, b))
}

// one builds by one seed.
func (p *pairBuilds) one(t *testing.T, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 16))
	var edits []string
	for range 2 {
		edits = append(edits, p.edit(r)...)
	}
	options, inPlace := p.options(r)
	out := filepath.Join(t.TempDir(), "o.iso")
	args := append([]string{"build", p.image}, edits...)
	if inPlace {
		copyFile(t, p.image, out)
		args[1] = out
		options = append(options, "--in-place")
	} else {
		options = append(options, "-o", out)
	}
	args = append(args, options...)
	fail := func(format string, a ...any) {
		t.Helper()
		t.Errorf("ISOLAYER_PAIR=%s/%d: isolayer %s\n%s", p.base.name, seed, strings.Join(args, " "), fmt.Sprintf(format, a...))
	}
	code, said := runCommand(t, args...)
	if bytes.Contains(said, []byte("internal error")) || bytes.Contains(said, []byte("goroutine ")) {
		fail("%s", said)
		return
	}
	if code != exitOK {
		p.refused++
		if !bytes.HasPrefix(said, []byte("isolayer: ")) || len(said) < 40 {
			fail("exit %d without a reason: %s", code, said)
		}
		return
	}
	p.built++
	// What a boot menu names may have been removed or moved, by the user's own will.
	gone := slices.Contains(edits, "--rm") || slices.Contains(edits, "--mv")
	for f := range findingsOf(t, out) {
		if !p.findings[f] && !(gone && missingFile.MatchString(f)) {
			fail("verify: %s", f)
		}
	}
	if p.complaints == "" {
		if s := isotest.BsdtarErrors(t, out); s != "" {
			fail("bsdtar: %s", s)
		}
	}
	if b, err := os.ReadFile(out); err != nil {
		t.Fatal(err)
	} else if faults := isotest.DirectoryFaults(t, b); len(faults) > p.faults {
		fail("%s", strings.Join(faults, "\n"))
	}
	p.same(t, edits, options, out, fail)
}

// same compares the tree with that of a build without options, but for those that change
// files.
func (p *pairBuilds) same(t *testing.T, edits, options []string, out string, fail func(string, ...any)) {
	plain := filepath.Join(t.TempDir(), "plain.iso")
	args := append([]string{"build", p.image}, edits...)
	for i, o := range options {
		switch o {
		case "--repair", "--wipe=false":
			args = append(args, o)
		case "--no-boot", "--uuid", "--preserve":
			args = append(args, o, options[i+1])
		}
	}
	if slices.Contains(args, "new") {
		return // another UUID each time
	}
	if code, said := runCommand(t, append(args, "-o", plain)...); code != exitOK {
		fail("refused without %q: %s", options, said)
		return
	}
	// What loaders know of their own place may differ.
	content := func(image string) isotest.Manifest {
		m := isotest.Bsdtar(t, image)
		for name, e := range m {
			if strings.HasSuffix(name, ".bin") || strings.HasSuffix(name, "boot.cat") || strings.HasSuffix(name, "eltorito.img") {
				e.SHA256 = ""
				m[name] = e
			}
		}
		return m
	}
	if p.complaints != "" {
		return
	}
	if d := content(plain).Map(isotest.Content).Diff(content(out).Map(isotest.Content)); d != "" {
		fail("another tree than without %q:\n%s", options, d)
	}
}

// edit is an edit chosen by chance, as arguments.
func (p *pairBuilds) edit(r *rand.Rand) []string {
	pick := func(list []string) string { return list[r.IntN(len(list))] }
	local := func(name string) string { return filepath.Join(p.files, name) }
	file, dir := pick(p.base.files), pick(p.base.dirs)
	anew := func() string {
		return strings.TrimSuffix(dir, "/") + "/" + pick([]string{"new", "a much longer name.conf", "N.TXT", "zz-ÄÖ"})
	}
	choices := [][]string{
		{"--add", local(pick([]string{"small", "big", "empty", "tree"})) + ":" + anew()},
		{"--add", local(pick([]string{"small", "big"})) + ":" + file},
		{"--add", local("tree") + ":" + dir},
		{"--add", local("many") + ":/many"},
		{"--rm", pick(append(p.base.files, p.base.dirs[1:]...))},
		{"--mv", file + ":" + anew()},
		{"--mv", pick(append(p.base.dirs, p.base.files...)) + ":/moved"},
		{"--mkdir", anew()},
		{"--ln", file + ":" + anew()},
		{"--chmod", "0750:" + file},
		{"--chown", "7:8:" + file},
		{"--layer", local("layer.tar")},
		{"--label", pick([]string{"OTHER", "A_LABEL-9"})},
	}
	if p.base.boots {
		choices = append(choices,
			[]string{"--karg", pick([]string{"a=b", "+c=d", "-quiet"})},
			[]string{"--menu-timeout", pick([]string{"0", "7", "-1"})},
			[]string{"--default", pick([]string{"0", "1"})},
			[]string{"--add-entry", pick([]string{"Other", "More:x=y -quiet"})},
			[]string{"--kickstart", local("ks.cfg")},
			[]string{"--initrd-add", local(pick([]string{"small", "big"})) + ":/etc/new"},
			[]string{"--initrd-add", local("tree") + ":/etc"},
			[]string{"--add", local(pick([]string{"small", "tree", "huge"})) + ":@efi:/EFI/"},
			[]string{"--rm", "@efi:/EFI/BOOT/grub.cfg"},
			[]string{"--add", local("esp") + ":@efi"},
			[]string{"--add", local("loader") + ":@bios"},
		)
	}
	return choices[r.IntN(len(choices))]
}

// options are some options of build; inPlace asks for a build in place.
func (p *pairBuilds) options(r *rand.Rand) (out []string, inPlace bool) {
	some := func(of int) bool { return r.IntN(of) == 0 }
	if inPlace = some(4); inPlace && some(2) {
		out = append(out, "--no-undo")
	}
	switch {
	case !inPlace && some(3):
		out = append(out, "--layout", "compact")
	case some(4):
		out = append(out, "--place", "end")
	}
	if some(4) {
		out = append(out, "--wipe=false")
	}
	if some(4) {
		out = append(out, "--media-check", []string{"implant", "strip"}[r.IntN(2)])
	}
	if some(5) {
		out = append(out, "--uuid", "new")
	}
	if some(6) {
		out = append(out, "--repair")
	}
	if some(6) && p.base.boots {
		out = append(out, "--no-boot", []string{"bios", "uefi", "all"}[r.IntN(3)])
	}
	if some(6) {
		out = append(out, "--volset", "SET", "--app-id", "an application")
	}
	if some(6) {
		out = append(out, "--preserve", "mode,owner,time")
	}
	return out, inPlace
}

// runCommand runs the command line in this process and returns its exit code and what it
// said.
func runCommand(t *testing.T, args ...string) (int, []byte) {
	t.Helper()
	var out, err bytes.Buffer
	code := run(context.Background(), args, nil, &out, &err)
	return code, err.Bytes()
}

// missingFile is a finding about a file that is not there.
var missingFile = regexp.MustCompile(`is not in the image|has no configuration|^boot files`)

// atOffset is where in an image a finding is.
var atOffset = regexp.MustCompile(`\b[0-9]+\b`)

// findingsOf are the problems that verify finds, without numbers.
func findingsOf(t *testing.T, image string) map[string]bool {
	t.Helper()
	var out, err bytes.Buffer
	code := run(context.Background(), []string{"verify", image}, nil, &out, &err)
	found := map[string]bool{}
	if code == exitOK {
		return found
	}
	if code != exitCheck {
		return map[string]bool{err.String(): true}
	}
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, "problem") {
			found[atOffset.ReplaceAllString(strings.TrimSpace(line), "N")] = true
		}
	}
	return found
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o644); err != nil {
		t.Fatal(err)
	}
}
