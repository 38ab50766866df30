package diff

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/tree"
)

// bootOf reports whether boot equipment is a file.
func bootOf(n *tree.Node) func(*boot.Object) bool {
	return func(o *boot.Object) bool { return o != nil && o.Path == n.Path() }
}

// names are changes without how, sorted.
func names(cs []Change) (out []string) {
	for _, c := range cs {
		line, _, _ := strings.Cut(c.String(), " (")
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}

// TestVolume: every field that says what the volume is counts, to its last byte, and no
// field that says where things lie does.
func TestVolume(t *testing.T) {
	b := isofs(t, map[string]string{"a": "a"}, "-r", "-J", "-V", "LABEL")
	base := imageOf(t, b)
	for _, c := range []struct {
		name     string
		off, len int // in the primary descriptor (ECMA-119 8.4)
	}{
		{"system identifier", 8, 32},
		{"volume identifier", 40, 32},
		{"volume set", 190, 128},
		{"publisher", 318, 128},
		{"preparer", 446, 128},
		{"application", 574, 128},
		{"copyright file", 702, 37},
		{"abstract file", 739, 37},
		{"bibliographic file", 776, 37},
		{"creation date", 813, 17},
		{"modification date (UUID)", 830, 17},
		{"expiration date", 847, 17},
		{"effective date", 864, 17},
		{"application use", 883, 512},
		{"", 132, 8},
		{"", 140, 16},
		{"", 2041, 4},
	} {
		for _, at := range []int{c.off, c.off + c.len - 1} {
			x := bytes.Clone(b)
			x[16*iso9660.BlockSize+at] = 'Q'
			if c.name == "" { // addresses and what is reserved: of the same image, as said
				if got := volumes(base, Side{Size: base.Size, Image: descriptors(t, x)}); len(got) != 0 {
					t.Errorf("byte %d: %s", at, text(got))
				}
				continue
			}
			r := compare(t, base, imageOf(t, x))
			if len(r.Volume) != 1 || len(r.Volume[0].Details) != 1 || r.Volume[0].Name != "primary descriptor" || r.Volume[0].Details[0].What != c.name {
				t.Errorf("byte %d: %s, want %s", at, text(r.Volume), c.name)
			}
		}
	}
	y := bytes.Clone(b)
	binary.LittleEndian.PutUint32(y[17*iso9660.BlockSize+80:], 7)
	binary.BigEndian.PutUint32(y[17*iso9660.BlockSize+84:], 7)
	if got := text(compare(t, base, imageOf(t, append(y, make([]byte, 2048)...))).Volume); got != fmt.Sprintf("~ image (bytes %d → %d)\n~ Joliet descriptor (space size in blocks %q → %q)", len(b), len(b)+2048, fmt.Sprint(len(b)/2048), "7") {
		t.Error(got)
	}
	plain := imageOf(t, isofs(t, map[string]string{"a": "a"}, "-r", "-V", "LABEL"))
	if got := text(compare(t, base, plain).Volume); !strings.Contains(got, "- Joliet descriptor") {
		t.Error(got)
	}
	if got := text(compare(t, plain, base).Volume); !strings.Contains(got, "+ Joliet descriptor") {
		t.Error(got)
	}
}

// descriptors opens an image whose trees may be damaged.
func descriptors(t *testing.T, b []byte) *iso9660.Image {
	t.Helper()
	img, err := iso9660.Open(&memory{b}, int64(len(b)), iso9660.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// TestDetail: values are quoted, of long ones only the name is shown; a change is one line.
func TestDetail(t *testing.T) {
	if d := detail("field", strings.Repeat("x", 128), "a\nb"); d.To != `"a\nb"` || len(d.From) != 130 {
		t.Errorf("%+v", d)
	}
	for _, pair := range [][2]string{{strings.Repeat("x", 129), ""}, {"", strings.Repeat("x", 129)}} {
		if d := detail("field", pair[0], pair[1]); d != (Detail{What: "field"}) {
			t.Errorf("%+v", d)
		}
	}
	for want, c := range map[string]Change{
		"+ /d/":                 {Kind: Added, Name: "/d", Dir: true},
		"- f":                   {Kind: Removed, Name: "f", Details: []Detail{{What: "x"}}},
		"~ / (mode 1 → 2)":      {Kind: Changed, Name: "/", Dir: true, Details: []Detail{{"mode", "1", "2"}}},
		"> /a → /b (x, y  → 1)": {Kind: Moved, Name: "/b", From: "/a", Details: []Detail{{What: "x"}, {"y", "", "1"}}},
	} {
		if got := c.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := fmt.Sprint(attributes(&tree.Node{Attr: tree.Attr{Major: 1, Minor: 3}}, &tree.Node{Attr: tree.Attr{Major: 1, Minor: 5}})); got != "[device 1,3 → 1,5]" {
		t.Error(got)
	}
	for mode, want := range map[uint32]string{iso9660.ModeDir: "directory", iso9660.ModeRegular: "file", iso9660.ModeSymlink: "link", iso9660.ModeChar: "character device", iso9660.ModeBlock: "block device", iso9660.ModeFIFO: "fifo", iso9660.ModeSocket: "socket", 0: "type 0"} {
		if got := typeName(mode); got != want {
			t.Errorf("%o: %q, want %q", mode, got, want)
		}
	}
}

// TestText: text files of at most 1 MiB on both sides have a unified diff under their names;
// nothing else has.
func TestText(t *testing.T) {
	mib := strings.Repeat("0123456\n", 1<<17)
	files := map[string]string{"a": "one\ntwo\n", "nul": "a\x00b", "utf8": "\xff\xfe", "mib": mib, "more": mib + "\n", "m": "moved\n", "gone": "gone\n"}
	base := imageOf(t, isofs(t, files, "-r"))
	r := compare(t, base, edit(t, base, layout.Options{}, put("/a", "one\n2\n"), put("/nul", "a b"), put("/utf8", "a"), put("/mib", mib[:1<<20-1]+"x"),
		put("/more", "short\n"), tree.Rename{Old: "/m", New: "/n"}, tree.Remove{Path: "/gone"}, put("/new", "new\n")))
	for _, c := range r.Tree {
		b, err := r.Text(c)
		if err != nil {
			t.Fatal(err)
		}
		head, _, _ := strings.Cut(string(b), "@@")
		want := map[string]string{"/a": "diff a/a b/a\n--- a/a\n+++ b/a\n", "/mib": "diff a/mib b/mib\n--- a/mib\n+++ b/mib\n"}[c.Name]
		if head != want {
			t.Errorf("%s: %.60q, want %q", c, head, want)
		}
		if c.Name == "/a" && !strings.HasSuffix(string(b), " one\n-two\n+2\n") {
			t.Errorf("%s", b)
		}
	}
	moved := r.Tree[slices.IndexFunc(r.Tree, func(c Change) bool { return c.Kind == Moved })]
	moved.After = look(t, r.b, "/a")
	if b, err := r.Text(moved); err != nil || !strings.HasPrefix(string(b), "diff a/m b/n\n") {
		t.Errorf("%q, %v", b, err)
	}
	if b, err := r.Text(Change{Name: "/x", Before: look(t, r.a, "/"), After: look(t, r.b, "/a")}); b != nil || err != nil {
		t.Errorf("a directory: %q, %v", b, err)
	}
	r.b.Size = 100
	if b, err := r.Text(r.Tree[slices.IndexFunc(r.Tree, func(c Change) bool { return c.Name == "/a" })]); b != nil || err != nil {
		t.Errorf("content outside of the image: %q, %v", b, err)
	}
}

// bootable is an image with an EFI system partition behind the file system, and a loader
// that the code of sector 0 names.
func bootable(t *testing.T, partition string, more ...string) []byte {
	t.Helper()
	part := filepath.Join(t.TempDir(), "esp")
	if err := os.WriteFile(part, []byte(partition), 0o644); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"boot/loader": "\xfb\xc0\x78\x70" + strings.Repeat("loader", 1000), "a": "a"}
	for _, name := range more {
		files[name] = strings.Repeat(name, 50000)
	}
	return isofs(t, files, "-r",
		"-b", "boot/loader", "-c", "boot/cat", "-no-emul-boot", "-boot-load-size", "4", "-append_partition", "2", "0xef", part)
}

// TestBoot: what is inside of a FAT image is named; other boot equipment by its line
// or its object; an address in boot code is no code.
func TestBoot(t *testing.T) {
	was := map[string]string{"EFI/": "", "EFI/same": "same", "EFI/text": "one\n", "EFI/data": "\x00a", "EFI/gone": "gone", "EFI/long": "x", "old/": "", "dir/": "", "file": "f", "turn": "text\n"}
	now := map[string]string{"EFI/": "", "EFI/same": "same", "EFI/text": "two\n", "EFI/data": "\x00b", "EFI/new": "new", "EFI/long": "xx", "fresh/": "", "dir": "now a file", "file/": "", "turn": "\x00\x01"}
	a, b := bootable(t, esp(t, was)), bootable(t, esp(t, now), "more") // which has its partition elsewhere
	r := compare(t, imageOf(t, a), imageOf(t, b))
	var got []string
	for _, c := range r.Boot {
		line, how, _ := strings.Cut(c.String(), ":/")
		if how != "" {
			got = append(got, strings.Replace(c.String(), line[2:]+":", "", 1))
		}
	}
	if want := "~ /EFI/data (content)\n- /EFI/gone\n~ /EFI/long (content, size 1 → 2)\n+ /EFI/new\n~ /EFI/text (content)\n~ /dir (type directory → file)\n~ /file/ (type file → directory)\n+ /fresh/\n- /old/\n~ /turn (content, size 5 → 2)"; strings.ReplaceAll(strings.Join(got, "\n"), "FRESH", "fresh") != want {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	if r.Changes() != len(r.Tree)+len(r.Volume)+len(r.Boot) || r.Changes() < len(got) {
		t.Errorf("%d changes", r.Changes())
	}
	for _, c := range r.Boot {
		d, err := r.Text(c)
		if err != nil || (d != nil) != (strings.HasSuffix(c.Name, "/EFI/text") || strings.HasSuffix(c.Name, "/EFI/long")) {
			t.Errorf("%s: %q, %v", c, d, err)
		}
	}
	if same := compare(t, imageOf(t, a), imageOf(t, a)); same.Changes() != 0 {
		t.Errorf("an image differs from itself: %s", text(same.Boot))
	}
}

// TestFATWithin: a FAT image that passes the end of the image is none.
func TestFATWithin(t *testing.T) {
	s := imageOf(t, bootable(t, esp(t, nil)))
	for _, o := range s.Boot.Objects() {
		if !o.Appended {
			continue
		}
		whole, cut := s, s
		whole.Size, cut.Size = o.End(), o.End()-1
		if whole.fat(o) == nil || cut.fat(o) != nil {
			t.Errorf("%s of %d bytes at %d", o.Name, o.Len, o.Off)
		}
	}
}

// TestListedBootImage: a boot image that is a file is reported once, as that.
func TestListedBootImage(t *testing.T) {
	base := imageOf(t, bootable(t, "partition"))
	r := compare(t, base, edit(t, base, layout.Options{}, put("/boot/loader", "\xfb\xc0\x78\x70"+strings.Repeat("LOADER", 1000))))
	if got := text(r.Tree); !strings.Contains(got, "~ /boot/loader (content)") || strings.Contains(text(r.Boot), "(content)") {
		t.Errorf("tree: %s\nboot: %s", got, text(r.Boot))
	}
}

// TestBootCode: code in sector 0 counts, but for the addresses of 8 bytes in it that follow
// what they point at.
func TestBootCode(t *testing.T) {
	a := bootable(t, strings.Repeat("part", 5000))
	copy(a[100:], "isolinux") // code that keeps the loader's address at byte 432
	a[510], a[511] = 0x55, 0xaa
	loader := look(t, imageOf(t, a), "/boot/loader").Content()[0].LBA
	binary.LittleEndian.PutUint64(a[432:], uint64(loader)*4)
	other := bytes.Clone(a)
	for _, c := range []struct {
		at   int
		same bool
	}{{100 + 20, false}, {431, false}, {432, true}, {436, true}, {439, true}, {440, true}} {
		b := bytes.Clone(other)
		b[c.at] ^= 0x40
		x, y := imageOf(t, a), imageOf(t, a)
		y.Source = &memory{b}
		code, err := (&comparison{a: x, b: y}).sameCode()
		if err != nil || code != c.same {
			t.Errorf("byte %d: same %v, %v; want %v", c.at, code, err, c.same)
		}
	}
	b := bytes.Clone(a)
	b[120] = 'x'
	if got := text(compare(t, imageOf(t, a), imageOf(t, b)).Boot); got != "~ boot code (content)" {
		t.Error(got)
	}
	b = bytes.Clone(a)
	part := imageOf(t, a).Boot.Objects()
	b[part[len(part)-1].Off+5] = 'x'
	if got := text(compare(t, imageOf(t, a), imageOf(t, b)).Boot); got != "~ "+part[len(part)-1].Name+" (content)" {
		t.Error(got)
	}
}

// TestCompareEquipment replaces what no directory lists, and directories by files.
func TestCompareEquipment(t *testing.T) {
	base := imageOf(t, bootable(t, esp(t, nil)))
	var object string
	for _, o := range base.Boot.Objects() {
		if o.Path == "" {
			object = o.Name
		}
	}
	out := edit(t, base, layout.Options{Objects: map[string]extent.Source{object: &memory{[]byte(strings.Repeat("new!", 1<<18))}}})
	r := compare(t, base, out)
	if got := fmt.Sprint(names(r.Tree)); got != "[]" && got != "[~ /boot/cat]" {
		t.Errorf("tree: %v", got)
	}
	if got := text(r.Boot); !strings.Contains(got, "~ "+object+" (content)") {
		t.Errorf("a new %s is not told: %v", object, got)
	}
	if testing.Short() {
		t.Skip("makes real images")
	}
	b, err := os.ReadFile(isotest.Image(t, "rhel9-isolinux"))
	if err != nil {
		t.Fatal(err)
	}
	base = imageOf(t, b)
	got := names(compare(t, base, edit(t, base, layout.Options{}, tree.Remove{Path: "/images/pxeboot"}, put("/images/pxeboot", "text\n"))).Tree)
	if !slices.Contains(got, "~ /images/pxeboot") || !slices.ContainsFunc(got, func(l string) bool { return strings.HasPrefix(l, "- /images/pxeboot/") }) {
		t.Errorf("a directory that became a file: %v", got)
	}
}
