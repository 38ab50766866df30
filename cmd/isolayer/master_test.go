package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/isolayer/isolayer/internal/isotest"
)

// masterTree makes a directory whose names all programs shorten alike.
func masterTree(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	random := rand.New(rand.NewPCG(1, 2))
	file := func(name string, size int, mode os.FileMode) {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		p := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(p), 0o755))
		must(t, os.WriteFile(p, b, mode))
	}
	file("readme.txt", 700, 0o644)
	file("Makefile", 2048, 0o640)
	file("run", 5, 0o755)
	file("data.bin", 70_000, 0o600)
	file("sub/UPPER.TXT", 2049, 0o444)
	file("sub/a-b_c.cfg", 1, 0o644)
	file("sub/averylongfilename.extension", 4096, 0o644)
	file("sub/deep/er/file.dat", 10_000, 0o644)
	file("old~", 3, 0o644)
	file("sub/x.bak", 3, 0o644)
	file("boot/loader.bin", 6000, 0o644)
	file("boot/efi.img", 9000, 0o644)
	file("empty", 0, 0o644)
	must(t, os.Link(filepath.Join(dir, "data.bin"), filepath.Join(dir, "sub/same.bin")))
	must(t, os.Symlink("../readme.txt", filepath.Join(dir, "sub/link")))
	must(t, os.Mkdir(filepath.Join(dir, "void"), 0o700))
	must(t, filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.Type()&os.ModeSymlink != 0 {
			return err
		}
		return os.Chtimes(p, time.Time{}, time.Unix(1_600_000_000+int64(len(p)), 0))
	}))
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// both masters a copy of the tree with genisoimage and with us. genisoimage writes into
// boot images of its source.
func both(t *testing.T, tree string, args []string) (ours, theirs string) {
	t.Helper()
	dir := t.TempDir()
	copied := filepath.Join(dir, "tree")
	isotest.Run(t, "cp", "-a", tree, copied)
	ours, theirs = filepath.Join(dir, "ours.iso"), filepath.Join(dir, "theirs.iso")
	before := isotest.SHA256File(t, filepath.Join(copied, "boot/loader.bin"))
	with := func(out string) []string {
		all := append([]string{"-o", out}, args...)
		if !slices.Contains(args, "-graft-points") && !slices.Contains(args, "-path-list") {
			all = append(all, ".")
		}
		return all
	}
	t.Chdir(copied)
	var said bytes.Buffer
	if code := run(t.Context(), append([]string{"master"}, with(ours)...), strings.NewReader(""), &said, &said); code != 0 {
		t.Fatalf("master %q: exit %d\n%s", args, code, &said)
	}
	if isotest.SHA256File(t, "boot/loader.bin") != before {
		t.Fatal("the source was written to")
	}
	cmd := exec.Command(isotest.Tool(t, "genisoimage"), append([]string{"-quiet"}, with(theirs)...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("genisoimage %q: %v\n%s", args, err, out)
	}
	return ours, theirs
}

// made are names of files that the programs make themselves, each in its way.
var made = regexp.MustCompile(`(?i)(trans\.tbl|table|boot\.cat|boot\.catalog)$`)

// views compares what readers see of two images.
func views(t *testing.T, ours, theirs string, args []string) {
	t.Helper()
	joined := strings.Join(args, " ")
	content := func(m isotest.Manifest) isotest.Manifest {
		out := isotest.Manifest{}
		for p, e := range m {
			switch {
			case made.MatchString(p):
				e = isotest.Entry{Type: e.Type}
			case (strings.HasSuffix(strings.ToLower(p), "loader.bin") || strings.HasSuffix(p, "isolinux.bin")) && strings.Contains(joined, "info-table"):
				e.SHA256 = ""
			case p == "rr_moved" || p == ".rr_moved":
				continue
			case e.Type == 'l':
				e.Perm = 0
			case slices.Contains([]string{"a", "a/b", "in"}, p): // made for what is in them
				e.MTime, e.UID, e.GID = 0, 0, 0 // genisoimage gives them to whoever runs it
			}
			out[p] = e
		}
		return out
	}
	if d := content(isotest.Bsdtar(t, theirs)).Diff(content(isotest.Bsdtar(t, ours))); d != "" {
		t.Errorf("bsdtar sees in theirs and ours:\n%s", d)
	}
	if s := isotest.BsdtarErrors(t, ours); s != "" {
		t.Errorf("bsdtar: %s", s)
	}
	if err := isotest.SevenZipTest(t, ours); err != nil {
		t.Error(err)
	}
	rock := func(image string) isotest.Manifest { return content(isotest.XorrisoTree(t, image)) }
	if d := rock(theirs).Diff(rock(ours)); d != "" {
		t.Errorf("xorriso sees in theirs and ours:\n%s", d)
	}
	for _, how := range [][]string{{"-l"}, {"-l", "-R"}, {"-l", "-J"}} {
		a, b := listing(t, theirs, how), listing(t, ours, how)
		if a != b {
			t.Errorf("isoinfo %q of theirs and ours:\n%s", how, lineDiff(a, b))
		}
	}
	if a, b := isoTexts(t, theirs), isoTexts(t, ours); a != b {
		t.Errorf("isoinfo -d of theirs and ours:\n%s", lineDiff(a, b))
	}
	if a, b := torito(t, theirs), torito(t, ours); a != b {
		t.Errorf("El Torito of theirs and ours:\n%s", lineDiff(a, b))
	}
	verifies(t, ours)
}

// isoLine is a line of isoinfo, which runs large owners into one.
var isoLine = regexp.MustCompile(`^(.{10})\s+(\d+)\s+(\d+?)\s*(\d+)\s+(\d+) (.{11}) \[\s*\d+ ([0-9a-f]{2})\]  (.*?) ?$`)

// listing is what isoinfo lists, without addresses, links and sizes of directories.
func listing(t *testing.T, image string, how []string) string {
	t.Helper()
	cmd := exec.Command(isotest.Tool(t, "isoinfo"), append(slices.Clone(how), "-i", image)...)
	text, err := cmd.CombinedOutput()
	if err != nil && !bytes.Contains(text, []byte("Unable to find Joliet")) {
		t.Fatalf("isoinfo %q: %v\n%s", how, err, text)
	}
	var lines []string
	dir := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if d, ok := strings.CutPrefix(line, "Directory listing of "); ok {
			dir = d
			continue
		}
		f := isoLine.FindStringSubmatch(line)
		if f == nil || f[8] == "." || f[8] == ".." {
			continue
		}
		mode, size, name := f[1], f[5], f[8]
		switch {
		case made.MatchString(strings.TrimSuffix(strings.TrimSuffix(name, ";1"), ".")):
			size, mode, f[3] = "", "", ""
		case strings.HasPrefix(mode, "l"):
			mode = "l"
		case mode[0] == 'd' || f[7] == "02":
			if size = ""; slices.Contains([]string{"/a", "/a/b", "/in"}, dir+name) {
				f[3] = ""
			}
		}
		if strings.Contains(strings.ToLower(name), "rr_moved") || strings.Contains(strings.ToLower(dir), "rr_moved") {
			continue
		}
		if slices.Contains(how, "-J") && size == "0" && (name == "link" || name == "RPM-GPG-KEY") {
			continue // Joliet has no links; genisoimage lists empty files
		}
		if len(how) == 1 && len(name) > 24 {
			name = name[:8] + "…" // genisoimage cuts extensions, we cut what is in front
		}
		lines = append(lines, fmt.Sprintf("%s%s %s %s %s %s", dir, name, mode, size, f[3], f[7]))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// isoTexts are the texts of the descriptor.
func isoTexts(t *testing.T, image string) string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(string(isotest.Run(t, "isoinfo", "-d", "-i", image))) {
		switch {
		case strings.HasPrefix(line, "Volume size"), strings.Contains(line, "GENISOIMAGE"), strings.Contains(line, "ISOLAYER"),
			strings.HasPrefix(line, " "), strings.HasPrefix(line, "El Torito"), strings.HasPrefix(line, "Eltorito"), strings.HasPrefix(line, "Boot"):
		default:
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

var blockNumber = regexp.MustCompile(`(?m)^(El Torito catalog  : ).*$|[0-9]+$`)

// torito is what xorriso reports of the boot catalog, without addresses.
func torito(t *testing.T, image string) string {
	t.Helper()
	out, err := exec.Command(isotest.Tool(t, "xorriso"), "-no_rc", "-report_about", "SORRY", "-indev", "stdio:"+image, "-report_el_torito", "plain").Output()
	must(t, err)
	return blockNumber.ReplaceAllString(string(out), "$1")
}

func lineDiff(a, b string) string {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	var out []string
	for _, l := range as {
		if !slices.Contains(bs, l) {
			out = append(out, "- "+l)
		}
	}
	for _, l := range bs {
		if !slices.Contains(as, l) {
			out = append(out, "+ "+l)
		}
	}
	return strings.Join(out, "\n")
}

// masterOptions are options that genisoimage has too, with values.
var masterOptions = []string{
	"-U", "-l", "-L", "-d", "-N", "-allow-lowercase", "-allow-multidot", "-relaxed-filenames", "-no-iso-translate", "-max-iso9660-filenames",
	"-iso-level 1", "-iso-level 2", "-iso-level 3", "-iso-level 4", "-R", "-r", "-rock", "-J", "-joliet-long -J", "-J -ucs-level 1", "-T", "-T -J -hide-joliet-trans-tbl", "-table-name TABLE",
	"-V VOL", "-VATTACHED", "-volid LONG", "-volset=SET", "-volset SET -volset-size 1 -volset-seqno 1", "-A APP", "-publisher PUB", "-p PREP", "-preparer PREP", "-sysid SYS", "-abstract README.TXT", "-biblio BIB", "-copyright COPY",
	"-uid 7", "-gid 8", "-dir-mode 0711", "-file-mode 0640", "-R -uid 1 -gid 2 -file-mode 444 -dir-mode 555",
	"-R -f", "-r -graft-points in/side/=sub top.txt=readme.txt boot/=boot", "-R -root a/b", "-m *.txt", "-x sub", "-exclude deep", "-no-bak", "-R -hide UPPER.TXT", "-J -R -hide deep", "-J -hide-joliet sub", "-hidden readme.txt",
	"-D", "-no-pad", "-pad", "-cache-inodes", "-R -no-cache-inodes", "-v", "-gui", "-allow-limited-size", "-rJ",
	"-b boot/loader.bin -c boot/boot.cat -no-emul-boot", "-R -b boot/loader.bin -c boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table",
	"-r -b boot/loader.bin -no-emul-boot -boot-load-seg 0x7c0 -c boot.cat", "-r -no-emul-boot -e boot/efi.img -c boot.cat",
	"-J -r -b boot/loader.bin -c boot.cat -no-emul-boot -boot-load-size 4 -eltorito-alt-boot -e boot/efi.img -no-emul-boot", "-R -b boot/loader.bin -no-emul-boot -no-boot -c boot.cat", "-eltorito-boot boot/loader.bin -eltorito-catalog sub/boot.cat -no-emul-boot",
}

// TestMasterOptions: each option makes of a tree what genisoimage makes of it.
func TestMasterOptions(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other programs")
	}
	tree := masterTree(t)
	for _, o := range masterOptions {
		t.Run(o, func(t *testing.T) {
			ours, theirs := both(t, tree, strings.Fields(o))
			views(t, ours, theirs, strings.Fields(o))
		})
	}
}

// TestMasterRandom: so do combinations of them.
func TestMasterRandom(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other programs")
	}
	rounds := 60
	if os.Getenv("ISOLAYER_SOAK") != "" {
		rounds = 2000
	}
	tree := masterTree(t)
	for seed := range rounds {
		random := rand.New(rand.NewPCG(uint64(seed), 7))
		args := combination(random)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Logf("%q", args)
			ours, theirs := both(t, tree, args)
			views(t, ours, theirs, args)
		})
	}
}

// combination draws options that do not contradict each other.
func combination(r *rand.Rand) []string {
	var out []string
	pick := func(p float64, choices ...string) {
		if r.Float64() < p {
			out = append(out, strings.Fields(choices[r.IntN(len(choices))])...)
		}
	}
	pick(0.8, "-R", "-r", "-rock", "-rational-rock")
	pick(0.7, "-J", "-J -joliet-long", "-J -ucs-level 2")
	pick(0.6, "-U", "-l", "-iso-level 2", "-iso-level 3", "-iso-level 4", "-l -allow-lowercase", "-l -relaxed-filenames -allow-lowercase", "-N", "-d", "-l -N -d", "-L", "-allow-multidot")
	pick(0.3, "-T", "-table-name TABLE")
	pick(0.8, "-V VOLUME", "-volid=OTHER", "-VX")
	pick(0.3, "-volset SET", "-volset=S")
	pick(0.3, "-A APP", "-appid=APP2")
	pick(0.3, "-publisher PUB", "-P PUB")
	pick(0.3, "-p PREP", "-sysid SYS")
	pick(0.3, "-m *.bak", "-x void", "-no-bak", "-m *.txt -m old*")
	pick(0.3, "-hide UPPER.TXT", "-hide-joliet readme.txt", "-hidden data.bin", "-hide sub -hide-joliet sub")
	pick(0.3, "-uid 5", "-gid 6", "-file-mode 0444", "-dir-mode 0555")
	pick(0.2, "-no-pad", "-pad")
	pick(0.2, "-f", "-D", "-cache-inodes")
	pick(0.5, "-b boot/loader.bin -c boot/boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table",
		"-b boot/loader.bin -c boot.cat -no-emul-boot -eltorito-alt-boot -e boot/efi.img -no-emul-boot",
		"-no-emul-boot -boot-load-size 8 -b boot/loader.bin -c boot.cat")
	return out
}
