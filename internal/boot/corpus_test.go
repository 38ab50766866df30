package boot

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest"
)

// layouts says for each image of the corpus its class, and a word of each reason
// why it cannot be resized.
var layouts = []struct {
	image, layout string
	why           []string
}{
	{"grub-rescue-cdrom", "GRUB 2 MBR", nil},
	{"ipxe", "isohybrid MBR", nil},
	{"rhel-like-small", "isohybrid MBR + GPT", nil},
	{"rhel-like-medium", "isohybrid MBR + GPT", nil},
	{"rhel9-isolinux", "isohybrid MBR + GPT", nil},
	{"alpine", "isohybrid MBR + GPT", nil},
	{"suse", "isohybrid MBR", nil},
	{"nojoliet", "isohybrid MBR", nil},
	{"dupinode", "isohybrid MBR", nil},
	{"padded-tail", "isohybrid MBR", nil},
	{"floppy", "plain El Torito", nil},
	{"hdemul", "plain El Torito", nil},
	{"multisession", "plain El Torito", nil},
	{"multisession-xorriso", "plain El Torito", nil},
	{"multisession-gen", "plain El Torito", nil},
	{"deep", "plain El Torito", nil},
	{"zisofs", "plain El Torito", nil},
	{"level4", "plain El Torito", nil},
	{"nopad", "plain El Torito", nil},
	{"bigdir", "plain El Torito", nil},
	{"utf8", "plain El Torito", nil},
	{"norr", "plain El Torito", nil},
	{"joliet-only", "plain El Torito", nil},

	{"debian", "isohybrid MBR + GPT + APM", nil},
	{"ubuntu2204", "GRUB 2 MBR + GPT, appended partition", nil},
	{"ubuntu2204-pkgs", "GRUB 2 MBR + GPT, appended partition", nil},
	{"fedora", "GRUB 2 MBR + GPT, appended partition", nil},
	{"arch", "isohybrid MBR + GPT, appended partition", nil},
	{"grubrescue", "GRUB 2 MBR + GPT + APM + HFS+", nil},
	{"efionly-arm64style", "MBR, appended partition", nil},
	{"hfs", "El Torito + HFS", nil},
	{"sparc-label", "SUN disk label", nil},
	{"hppa", "HP-PA boot block", nil},
	{"memtest86+ia32", "MBR, appended partition", nil},
	{"memtest86+x64", "MBR, appended partition", nil},
}

func TestCorpusLayouts(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the image corpus")
	}
	for _, c := range layouts {
		t.Run(c.image, func(t *testing.T) {
			f, size := openImage(t, isotest.Image(t, c.image))
			e, err := Parse(f, size, readTree(t, f, size).volume)
			if err != nil {
				t.Fatal(err)
			}
			if e.Layout != c.layout {
				t.Errorf("layout %q, want %q", e.Layout, c.layout)
			}
			why := e.Unsupported()
			if len(why) != len(c.why) {
				t.Fatalf("reasons %q, want %q", why, c.why)
			}
			for i, s := range why {
				if !strings.Contains(s, c.why[i]) {
					t.Errorf("reason %q, want %q in it", s, c.why[i])
				}
			}
			for _, f := range e.Findings {
				t.Errorf("finding: %v", f)
			}
		})
	}
}

// TestCorpusResize grows each supported image, asks the reference tools whether its
// tables are as good as they were, and takes the growth back.
func TestCorpusResize(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the image corpus")
	}
	for _, c := range layouts {
		if c.why != nil {
			continue
		}
		t.Run(c.image, func(t *testing.T) {
			path := isotest.Image(t, c.image)
			resizeAndJudge(t, path, 500)
			if os.Getenv("ISOLAYER_SOAK") != "" {
				resizeAndJudge(t, path, 70000)
			}
		})
	}
}

// resizeAndJudge grows a copy of the image and shrinks it again, which must give the
// bytes of the base. Data behind the volume of the base is an exception: the grown
// volume takes it in, and it has no padding behind it.
func resizeAndJudge(t *testing.T, path string, grow int64) {
	f, size := openImage(t, path)
	base := readTree(t, f, size)
	e, err := Parse(f, size, base.volume)
	if err != nil {
		t.Fatal(err)
	}
	limit := size
	if tail, ok := e.Trailer(); ok {
		limit = tail.Off
	}
	for _, o := range e.appended() {
		limit = min(limit, o.Off)
	}
	end := max(base.end, usedEnd(t, f, limit))
	big := filepath.Join(t.TempDir(), "big.iso")
	if out, err := exec.Command("cp", "--sparse=always", "--reflink=auto", "--no-preserve=mode", path, big).CombinedOutput(); err != nil {
		t.Fatalf("copy: %v: %s", err, out)
	}
	fit := apply(t, big, e, end, end+grow)
	behind := end > base.volume.Blocks
	if !behind {
		sameVerdict(t, path, big, "sgdisk", "-v", "IMAGE")
	}
	if limit := int64(1 << 30); end*iso9660.BlockSize > limit || (end+grow)*iso9660.BlockSize <= limit {
		// Of more than 1024 cylinders, of 1 MiB, an MBR cannot tell.
		sameVerdict(t, path, big, "xorriso", "-no_rc", "-report_about", "SORRY", "-indev", "IMAGE", "-report_system_area", "plain")
	}

	g, _ := openImage(t, big)
	v := base.volume
	v.Blocks = fit.VolumeBlocks
	grown, err := Parse(g, fit.Size, v)
	if err != nil {
		t.Fatal(err)
	}
	if grown.Layout != e.Layout || len(grown.Findings) != len(e.Findings) {
		t.Errorf("grown image: layout %q, findings %v", grown.Layout, grown.Findings)
	}
	shrunk := apply(t, big, grown, end+grow, end)
	if !behind && (shrunk.Size != size || shrunk.VolumeBlocks != base.volume.Blocks || !sameBytes(t, path, big)) {
		t.Errorf("grown by %d and back: %d bytes (%d), %d blocks (%d)", grow, shrunk.Size, size, shrunk.VolumeBlocks, base.volume.Blocks)
	}
}

// apply resizes the image at path as Relocate plans it.
func apply(t *testing.T, path string, e *Equipment, from, to int64) *Relocation {
	t.Helper()
	fit, err := resize(e, from, to)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	write := func(b []byte, off int64) {
		if _, err := f.WriteAt(b, off); err != nil {
			t.Fatal(err)
		}
	}
	contents := map[*Object][]byte{}
	for _, o := range e.appended() {
		contents[o] = make([]byte, o.Len)
		if _, err := f.ReadAt(contents[o], o.Off); err != nil {
			t.Fatal(err)
		}
		write(make([]byte, o.Len), o.Off)
	}
	if tail, ok := e.Trailer(); ok && fit.TrailerMoves {
		write(make([]byte, tail.Len), tail.Off)
	}
	if err := f.Truncate(fit.Size); err != nil {
		t.Fatal(err)
	}
	for _, a := range fit.Appended {
		write(contents[a.Object], a.Off)
	}
	for _, p := range fit.Patches {
		write(p.Data, p.Off)
	}
	for at := int64(16); ; at++ {
		b := make([]byte, iso9660.BlockSize)
		if _, err := f.ReadAt(b, at*iso9660.BlockSize); err != nil || b[0] == 255 {
			return fit
		}
		if b[0] == 1 || b[0] == 2 {
			var both [8]byte
			size, ok := fit.Follow(int64(binary.LittleEndian.Uint32(b[80:])))
			if !ok || b[0] == 1 {
				size = fit.VolumeBlocks
			}
			binary.LittleEndian.PutUint32(both[:], uint32(size))
			binary.BigEndian.PutUint32(both[4:], uint32(size))
			write(both[:], at*iso9660.BlockSize+80)
		}
	}
}

var (
	digits = regexp.MustCompile(`[0-9]+`)
	// fixed are the lines of a report which resizing must not change at all.
	fixed = regexp.MustCompile(`GUID|name|flags|type|options|summary|heads|secs|entry array|path`)
)

// sameVerdict runs a tool on both images; its words must be the same, its numbers
// only where they tell sizes.
func sameVerdict(t *testing.T, a, b, tool string, args ...string) {
	t.Helper()
	tool = isotest.Tool(t, tool)
	report := func(path string) []string {
		// sgdisk exits with an error for tables that were never announced.
		words := slices.Clone(args)
		words[slices.Index(words, "IMAGE")] = path
		out, _ := exec.Command(tool, words...).Output()
		var lines []string
		for l := range strings.Lines(string(out)) {
			if !fixed.MatchString(l) {
				l = digits.ReplaceAllString(l, "N")
			}
			lines = append(lines, strings.Join(strings.Fields(l), " "))
		}
		return lines
	}
	la, lb := strings.Join(report(a), "\n"), strings.Join(report(b), "\n")
	if la != lb {
		t.Errorf("%s says of the base:\n%s\nand of the result:\n%s", filepath.Base(tool), la, lb)
	}
}

func openImage(t *testing.T, path string) (*os.File, int64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return f, st.Size()
}

func sameBytes(t *testing.T, a, b string) bool {
	t.Helper()
	fa, _ := openImage(t, a)
	fb, _ := openImage(t, b)
	ba, bb := make([]byte, 1<<20), make([]byte, 1<<20)
	for {
		na, erra := io.ReadFull(fa, ba)
		nb, errb := io.ReadFull(fb, bb)
		if !bytes.Equal(ba[:na], bb[:nb]) {
			return false
		}
		if erra != nil || errb != nil {
			return erra == errb
		}
	}
}

// TestOptions compares the options with those that xorriso reports: lines of ours
// that it has not, and of its that we have not, are listed here.
func TestOptions(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the image corpus")
	}
	// Geometry and alignment follow from the rest; volume identity is not boot
	// equipment; sizes are in the name of an appended partition.
	unasked := regexp.MustCompile(`^(-partition_(hd_cyl|sec_hd|cyl_align|offset 0)|-V|--modification-date)`)
	differ := map[string][]string{
		// xorriso 1.5.4 loses the EFI entry of this layout.
		"arch": {"-part_like_isohybrid", "-append_partition", "-appended_part_as_gpt", "-e", "-no-emul-boot", "-boot-load-size"},
		// … and takes code for another machine's or its own where it cannot know.
		"memtest86+x64": {"--grub2-mbr", "-G"}, "memtest86+ia32": {"--grub2-mbr", "-G"},
		"dupinode": {"-b"}, // a file with two names
		// The table names the descriptor of the first session.
		"multisession-xorriso": {"-boot-info-table"},
		"grubrescue":           {"-efi-boot-part", "-isohybrid-apm-hfsplus"},
		"suse":                 {"-iso_mbr_part_type"},
		"hfs":                  {"-G"},
		"sparc-label":          {"-sparc-label", "-B", "-G"}, "hppa": {"-hppa", "-G"},
	}
	// The tree reader of these tests knows the short names only.
	plain := func(s string) string {
		return strings.NewReplacer(";1", "", "-", "_", ".catalog", ".cat").Replace(strings.ToLower(s))
	}
	for _, c := range layouts {
		t.Run(c.image, func(t *testing.T) {
			path := isotest.Image(t, c.image)
			f, size := openImage(t, path)
			e, err := Parse(f, size, readTree(t, f, size).volume)
			if err != nil {
				t.Fatal(err)
			}
			report, err := exec.Command("xorriso", "-indev", path, "-report_el_torito", "as_mkisofs").Output()
			if len(report) == 0 { // it fails where it cannot say all
				t.Fatal(err)
			}
			theirs := map[string]int{}
			for line := range strings.Lines(string(report)) {
				if line = strings.TrimSpace(line); !unasked.MatchString(line) {
					theirs[plain(line)]++
				}
			}
			for _, o := range e.Options(path) {
				theirs[plain(o)]--
			}
			for line, n := range theirs {
				name, _, _ := strings.Cut(line, " ")
				listed := false
				for _, d := range differ[c.image] {
					listed = listed || strings.HasPrefix(name, plain(d))
				}
				if n != 0 && !listed {
					t.Errorf("%q: xorriso has it %d times more", line, n)
				}
			}
		})
	}
}
