package verify

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest"
)

// load opens an image of the corpus as bytes that a test may change.
func load(t testing.TB, name string) []byte {
	t.Helper()
	if testing.Short() {
		t.Skip("makes real images")
	}
	b, err := os.ReadFile(isotest.Image(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func check(t testing.TB, b []byte) *Report {
	t.Helper()
	r, err := Image(t.Context(), bytes.NewReader(b), int64(len(b)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// problems are the problems of a report, a line each, with the check's name.
func problems(r *Report) (out []string) {
	for _, g := range r.Groups {
		for _, f := range g.Findings {
			if f.Severity == Problem {
				out = append(out, g.Check+": "+f.String())
			}
		}
	}
	return out
}

// unsound are images of the corpus that have problems, with what must be found, a line each.
var unsound = map[string]string{
	"windows": "boot images: problem: offset 5851144: boot image 1: isolinux without a boot info table that names its block, 2857: it cannot find the rest of itself\n" +
		"boot files: problem: offset 5851136: isolinux has no configuration: there is no isolinux.cfg or syslinux.cfg where it looks",
}

// TestSound finds nothing in images that nobody damaged, and agrees with sgdisk
// about those with a GPT that the MBR announces.
func TestSound(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	for _, name := range isotest.Images() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := isotest.Image(t, name)
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			st, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			var last int64
			r, err := Image(t.Context(), f, st.Size(), Options{Progress: func(done, total int64) {
				if done <= last || done > total {
					t.Errorf("progress %d of %d after %d", done, total, last)
				}
				last = done
			}})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(problems(r), "\n"); got != unsound[name] {
				t.Errorf("want %q, found:\n%s", unsound[name], got)
			}
		})
	}
}

// TestSgdisk damages a GPT in several places and finds a problem where sgdisk does.
func TestSgdisk(t *testing.T) {
	for _, name := range []string{"debian", "ubuntu2204", "fedora", "arch", "grubrescue"} {
		base := load(t, name)
		e := parse(t, base)
		g := e.System.GPT
		if g == nil || !g.Announced {
			continue
		}
		for what, at := range map[string]int64{
			"nothing": -1, "header": 512 + 60, "entry": g.Array*512 + 40, "backup header": g.Alternate*512 + 60,
			"backup entry": g.Backup.Array*512 + 40,
		} {
			b := bytes.Clone(base)
			if at >= 0 {
				b[at] ^= 0x10
			}
			path := t.TempDir() + "/image"
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			out, _ := exec.Command(isotest.Tool(t, "sgdisk"), "-v", path).CombinedOutput()
			theirs := strings.Contains(string(out), "No problems found") && !strings.Contains(string(out), "ERROR")
			ours := group(check(t, b), "partitions").Problems == 0
			if theirs != ours {
				t.Errorf("%s, %s damaged: sound for sgdisk %v, for us %v\n%s", name, what, theirs, ours, out)
			}
			if ours && at >= 0 {
				t.Errorf("%s: damaged %s is not found", name, what)
			}
		}
	}
}

func group(r *Report, check string) Group {
	for _, g := range r.Groups {
		if g.Check == check {
			return g
		}
	}
	return Group{}
}

func parse(t testing.TB, b []byte) *boot.Equipment {
	t.Helper()
	img := open(t, b)
	e, err := boot.Parse(bytes.NewReader(b), int64(len(b)), boot.Volume{Catalog: img.BootCatalog(), Blocks: int64(img.Primary().SpaceSize())})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func open(t testing.TB, b []byte) *iso9660.Image {
	t.Helper()
	img, err := iso9660.Open(bytes.NewReader(b), int64(len(b)), iso9660.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// scene is an image that a damage is done to.
type scene struct {
	t   *testing.T
	b   []byte
	img *iso9660.Image
	e   *boot.Equipment
}

// entry finds a file or directory by its path.
func (s *scene) entry(h iso9660.Hierarchy, path string) *iso9660.Entry {
	root, err := s.img.Tree(h)
	if err != nil {
		s.t.Fatal(err)
	}
	for e := range root.Walk() {
		if e.Path() == path {
			return e
		}
	}
	s.t.Fatalf("no %s in the %s hierarchy", path, h)
	return nil
}

// record is the directory record of a file, as it lies in the image.
func (s *scene) record(h iso9660.Hierarchy, path string) []byte {
	return s.b[s.entry(h, path).Off():]
}

// both sets a number that is recorded in both byte orders.
func both32(b []byte, v uint32) {
	binary.LittleEndian.PutUint32(b, v)
	binary.BigEndian.PutUint32(b[4:], v)
}

// table is a path table of the primary hierarchy.
func (s *scene) table(m bool) []byte {
	l, _, mt, _ := s.img.Primary().PathTables()
	if m {
		l = mt
	}
	return s.b[l.Offset():]
}

// rename changes a part of a file's name in both hierarchies.
func (s *scene) rename(path, old, new string) {
	for _, h := range []iso9660.Hierarchy{primary, joliet} {
		r := s.record(h, path)
		r = r[:r[0]]
		wide := func(s string) []byte { return []byte("\x00" + strings.Join(strings.Split(s, ""), "\x00")) }
		copy(r, bytes.ReplaceAll(r, []byte(old), []byte(new)))
		copy(r, bytes.ReplaceAll(r, []byte(strings.ToUpper(old)), []byte(strings.ToUpper(new))))
		copy(r, bytes.ReplaceAll(r, wide(old), wide(new)))
	}
}

const primary, joliet = iso9660.Primary, iso9660.Joliet

// damages are done one at a time; each must be found by the check it names.
var damages = []struct {
	name, image string
	do          func(*scene)
	check, text string
	severity    Severity // Problem if empty
}{
	{name: "version of a descriptor", image: "fedora", do: func(s *scene) { s.b[16*2048+6] = 2 }, check: "descriptors", text: "volume descriptor, version: 2"},
	{name: "orders of the size", image: "fedora", do: func(s *scene) { s.b[16*2048+87]++ }, check: "descriptors", text: "volume space size"},
	{name: "date", image: "fedora", do: func(s *scene) { copy(s.b[16*2048+813:], "20239901") }, check: "descriptors", text: "creation date"},
	{name: "file structure version", image: "fedora", do: func(s *scene) { s.b[16*2048+881] = 7 }, check: "descriptors", text: "file structure version: 7"},
	{name: "terminator", image: "fedora", do: func(s *scene) { clear(s.b[19*2048 : 20*2048]) }, check: "descriptors", text: "no terminator"},
	{name: "cut", image: "nopad", do: func(s *scene) { s.b = s.b[:len(s.b)-8192] }, check: "descriptors", text: "it is cut short"},
	{name: "labels", image: "fedora", do: func(s *scene) { s.b[18*2048+41] = 'x' }, check: "descriptors", text: "which one is the label", severity: Notice},
	{name: "other session", image: "multisession-gen", do: func(s *scene) {
		both32(s.b[(s.img.Sessions()[1].Start+16).Offset()+158:], 1<<30)
	}, check: "descriptors", text: "session "},

	{name: "dot", image: "rhel9-isolinux", do: func(s *scene) { both32(s.b[s.entry(primary, "/isolinux").Self().Off+2:], 99) }, check: "directories", text: `directory /isolinux, ".": block 99`},
	{name: "dot dot", image: "rhel9-isolinux", do: func(s *scene) { both32(s.b[s.entry(primary, "/isolinux").Up().Off+2:], 99) }, check: "directories", text: `directory /isolinux, "..": block 99`},
	{name: "broken Joliet directory", image: "rhel9-isolinux", do: func(s *scene) { both32(s.record(joliet, "/isolinux")[2:], 1<<30) }, check: "directories", text: "Joliet hierarchy"},
	{name: "same identifier", image: "rhel9-isolinux", do: func(s *scene) {
		copy(s.record(primary, "/isolinux/isolinux.bin")[33:], "ISOLINUX.CFG")
	}, check: "directories", text: "twice"},
	{name: "order", image: "rhel9-isolinux", do: func(s *scene) {
		copy(s.record(primary, "/isolinux/isolinux.bin")[33:], "ZSOLINUX")
	}, check: "directories", text: "not in the order", severity: Notice},

	{name: "table against table", image: "rhel9-isolinux", do: func(s *scene) { s.table(true)[10+5]++ }, check: "path tables", text: "the first table has"},
	{name: "table against tree", image: "rhel9-isolinux", do: func(s *scene) {
		s.table(false)[10+8] = 'X'
		s.table(true)[10+8] = 'X'
	}, check: "path tables", text: "the tree has none"},
	{name: "directory in no table", image: "rhel9-isolinux", do: func(s *scene) {
		s.table(false)[10+8] = 'X'
		s.table(true)[10+8] = 'X'
	}, check: "path tables", text: "1 directories are not in it"},
	{name: "parent in table", image: "rhel9-isolinux", do: func(s *scene) { s.table(false)[10+6] = 200 }, check: "path tables", text: "parent: number 200"},
	{name: "length in table", image: "rhel9-isolinux", do: func(s *scene) { s.table(false)[10] = 250 }, check: "path tables", text: "record "},
	{name: "no table", image: "rhel9-isolinux", do: func(s *scene) { clear(s.b[16*2048+148 : 16*2048+152]) }, check: "path tables", text: "none of type M"},
	{name: "size of table", image: "rhel9-isolinux", do: func(s *scene) { both32(s.b[16*2048+132:], 1<<29) }, check: "path tables", text: "size: "},

	{name: "content of the trees", image: "rhel9-isolinux", do: func(s *scene) {
		r := s.record(joliet, "/isolinux/isolinux.cfg")
		both32(r[2:], binary.LittleEndian.Uint32(r[2:])+1)
	}, check: "trees", text: "the hierarchies show different content"},
	{name: "name in one tree", image: "rhel9-isolinux", do: func(s *scene) {
		r := s.record(joliet, "/isolinux/isolinux.cfg")
		both32(r[2:], binary.LittleEndian.Uint32(r[2:])+1)
		copy(r[33:], "\x00q")
	}, check: "trees", text: "not in the", severity: Notice},

	{name: "second label", image: "arch", do: func(s *scene) { s.b[32*2048+40] ^= 0x20 }, check: "second trees", text: "volume identifier"},
	{name: "second root", image: "arch", do: func(s *scene) { both32(s.b[32*2048+158:], 1<<30) }, check: "second trees", text: "second superblock in block 32"},
	{name: "second terminator", image: "arch", do: func(s *scene) {
		for off := 32 * 2048; ; off += 2048 {
			if s.b[off] == 255 {
				clear(s.b[off : off+2048])
				return
			}
		}
	}, check: "second trees", text: "terminator"},

	{name: "file in a directory", image: "rhel9-isolinux", do: func(s *scene) {
		to := s.entry(primary, "/isolinux").Record().LBA()
		both32(s.record(primary, "/isolinux/isolinux.cfg")[2:], uint32(to))
		both32(s.record(joliet, "/isolinux/isolinux.cfg")[2:], uint32(to))
	}, check: "extents", text: "overlap by"},
	{name: "file behind the end", image: "rhel9-isolinux", do: func(s *scene) {
		both32(s.record(primary, "/isolinux/isolinux.cfg")[2:], 1<<30)
		both32(s.record(joliet, "/isolinux/isolinux.cfg")[2:], 1<<30)
	}, check: "extents", text: "passes the end of the image"},
	{name: "file behind the volume", image: "padded-tail", do: func(s *scene) {
		end := s.img.Primary().SpaceSize()
		both32(s.record(primary, "/isolinux/isolinux.cfg")[2:], end)
		both32(s.record(joliet, "/isolinux/isolinux.cfg")[2:], end)
		s.b = append(s.b, make([]byte, 1<<20)...)
	}, check: "extents", text: "passes the end of the volume"},
	{name: "files that overlap", image: "rhel9-isolinux", do: func(s *scene) {
		r := s.record(primary, "/isolinux/isolinux.bin")
		both32(s.record(primary, "/isolinux/isolinux.cfg")[2:], binary.LittleEndian.Uint32(r[2:])+1)
		both32(s.record(joliet, "/isolinux/isolinux.cfg")[2:], binary.LittleEndian.Uint32(r[2:])+1)
	}, check: "extents", text: "but are not the same", severity: Notice},

	{name: "MBR behind the end", image: "debian", do: func(s *scene) { binary.LittleEndian.PutUint32(s.b[446+12:], 1<<30) }, check: "partitions", text: "MBR partition 1: ends at sector"},
	{name: "MBR status", image: "debian", do: func(s *scene) { s.b[446] = 0x55 }, check: "partitions", text: "status: 55"},
	{name: "MBR overlap", image: "ubuntu2204", do: func(s *scene) {
		copy(s.b[446+16:], []byte{0, 0, 0, 0, 0x83, 0, 0, 0, 0, 9, 0, 0, 8, 0, 0, 0})
		copy(s.b[446+32:], []byte{0, 0, 0, 0, 0x83, 0, 0, 0, 4, 9, 0, 0, 8, 0, 0, 0})
	}, check: "partitions", text: "overlap"},
	{name: "GPT header", image: "fedora", do: func(s *scene) { s.b[512+60]++ }, check: "partitions", text: "GPT"},
	{name: "GPT entries", image: "fedora", do: func(s *scene) { s.b[1024+40]++ }, check: "partitions", text: "GPT"},
	{name: "GPT backup", image: "fedora", do: func(s *scene) { s.b[s.e.System.GPT.Alternate*512+60]++ }, check: "partitions", text: "GPT"},
	{name: "larger device", image: "fedora", do: func(s *scene) { s.b = append(s.b, make([]byte, 4096)...) }, check: "partitions", text: "larger than the image", severity: Notice},
	{name: "GPT ends in the volume", image: "fedora", do: func(s *scene) {
		s.b = append(s.b, make([]byte, 4096)...)
		both32(s.b[16*2048+80:], uint32(len(s.b)/2048))
	}, check: "partitions", text: "backup address"},
	{name: "larger device, no backup", image: "fedora", do: func(s *scene) {
		clear(s.b[s.e.System.GPT.Alternate*512:])
		s.b = append(s.b, make([]byte, 4096)...)
	}, check: "partitions", text: "GPT"},

	{name: "catalog checksum", image: "rhel9-isolinux", do: func(s *scene) { s.b[s.e.Catalog.LBA.Offset()+4]++ }, check: "boot images", text: "checksum"},
	{name: "catalog key", image: "rhel9-isolinux", do: func(s *scene) { s.b[s.e.Catalog.LBA.Offset()+30] = 0 }, check: "boot images", text: ""},
	{name: "load size", image: "rhel9-isolinux", do: func(s *scene) { clear(s.b[s.e.Catalog.Entries[0].Off+6 : s.e.Catalog.Entries[0].Off+8]) }, check: "boot images", text: "firmware loads nothing"},
	{name: "boot info table", image: "rhel9-isolinux", do: func(s *scene) { clear(s.b[s.e.Catalog.Entries[0].LBA.Offset()+8:][:56]) }, check: "boot images", text: "without a boot info table"},
	{name: "boot image behind the end", image: "rhel9-isolinux", do: func(s *scene) { binary.LittleEndian.PutUint32(s.b[s.e.Catalog.Entries[1].Off+8:], 1<<30) }, check: "boot images", text: ""},

	{name: "kernel that is not there", image: "rhel9-isolinux", do: func(s *scene) {
		s.rename("/isolinux/vmlinuz", "vmlinu", "vnlinu")
	}, check: "boot files", text: "kernel /isolinux/vmlinuz is not in the image"},
	{name: "no configuration", image: "rhel9-isolinux", do: func(s *scene) {
		s.rename("/isolinux/isolinux.cfg", "cfg", "cfx")
	}, check: "boot files", text: "isolinux has no configuration"},
	{name: "label of a menu", image: "rhel-like-small", do: func(s *scene) {
		s.b[16*2048+40] = 'Z'
		for off := 17 * 2048; s.b[off] != 255; off += 2048 {
			if s.b[off] == 2 {
				s.b[off+41] = 'Z'
			}
		}
	}, check: "boot files", text: "looks for the label"},

	{name: "label in the EFI system partition", image: "rhel-like-small", do: func(s *scene) {
		o, _ := s.e.Find("@efi")
		i := bytes.Index(s.b[o.Off:o.End()], []byte("-l 'CentOS"))
		s.b[o.Off+int64(i)+4] = 'X'
	}, check: "boot files", text: `looks for the label "XentOS 7 x86_64"`},
	{name: "copy in the EFI system partition", image: "rhel-like-small", do: func(s *scene) {
		o, _ := s.e.Find("@efi")
		i := bytes.Index(s.b[o.Off:o.End()], []byte("set timeout=2"))
		s.b[o.Off+int64(i)+12] = '9'
	}, check: "boot files", text: "differs from /EFI/BOOT/grub.cfg", severity: Notice},
	{name: "initrd that is not there", image: "rhel9-isolinux", do: func(s *scene) {
		s.rename("/images/pxeboot/initrd.img", "initrd", "inxtrd")
	}, check: "boot files", text: "initrd /images/pxeboot/initrd.img is not in the image"},

	{name: "byte of a file", image: "rhel9-isolinux", do: func(s *scene) { s.b[s.entry(primary, "/isolinux/isolinux.cfg").Record().LBA().Offset()]++ }, check: "media check", text: "fragment "},
	{name: "fragment sums", image: "rhel9-isolinux", do: func(s *scene) {
		i := bytes.Index(s.b[:20*2048], []byte("FRAGMENT SUMS = "))
		s.b[i+20] ^= 1
	}, check: "media check", text: "fragment "},
	{name: "media tags", image: "rhel9-isolinux", do: func(s *scene) {
		i := bytes.Index(s.b[:20*2048], []byte("SKIPSECTORS = "))
		s.b[i+14] = 'x'
	}, check: "media check", text: "malformed"},
}

// TestDamage does every damage to an image in which nothing else is found.
func TestDamage(t *testing.T) {
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			s := &scene{t: t, b: load(t, d.image)}
			s.img, s.e = open(t, s.b), parse(t, s.b)
			before := check(t, s.b)
			d.do(s)
			after := check(t, s.b)
			want := d.severity
			if want == "" {
				want = Problem
			}
			known := map[string]bool{}
			for _, f := range group(before, d.check).Findings {
				known[f.String()] = true
			}
			for _, f := range group(after, d.check).Findings {
				if f.Severity == want && strings.Contains(f.Text, d.text) && !known[f.String()] {
					return
				}
			}
			t.Errorf("not found; the report has:\n%s\n%v", strings.Join(problems(after), "\n"), group(after, d.check).Findings)
		})
	}
}
