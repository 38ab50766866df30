package build_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/stage"
)

// newESP makes a FAT image of so many MiB with the files of the ESP of base.
func newESP(t *testing.T, base string, mib int) string {
	t.Helper()
	esp := filepath.Join(t.TempDir(), "esp.img")
	if err := os.WriteFile(esp, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(esp, int64(mib)<<20); err != nil {
		t.Fatal(err)
	}
	isotest.Run(t, "mkfs.vfat", "-n", "NEWESP", esp)
	return esp
}

// bootFiles are the replacements of TestBootFiles: of loaders that are larger than
// those they replace, and of EFI system partitions beyond 32 MiB, the most that the
// catalog can tell.
var bootFiles = map[string][]string{
	"debian":             {"@bios", "@efi"},
	"ubuntu2204":         {"@bios", "@efi"},
	"ubuntu2204-pkgs":    {"@bios", "@part2"},
	"fedora":             {"@bios", "@efi"},
	"arch":               {"@bios", "@efi"},
	"grubrescue":         {"@bios", "@efi"},
	"rhel-like-small":    {"@bios", "@efi"},
	"rhel9-isolinux":     {"/isolinux/isolinux.bin", "/images/efiboot.img"},
	"alpine":             {"@bios"},
	"suse":               {"@bios", "@boot2"},
	"efionly-arm64style": {"@efi"},
	"memtest86+x64":      {"@efi"},
	"dupinode":           {"@bios"},
	"nopad":              {"@bios"},
	"grub-rescue-cdrom":  {"@bios"},
	"ipxe":               {"@bios", "@efi"},
}

// TestBootFiles replaces boot images of each layout: every address, size and sum
// that names them follows.
func TestBootFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	for name, objects := range bootFiles {
		t.Run(name, func(t *testing.T) {
			base := isotest.Image(t, name)
			var steps []edit.Step
			want := map[string][]byte{}
			for _, o := range objects {
				src := local(t, "boot.img", larger(t, base, o))
				if strings.Contains(o, "e") && !strings.Contains(o, "isolinux") || o == "@part2" || o == "@boot2" {
					src = newESP(t, base, 40)
				}
				want[o] = read(t, src)
				steps = append(steps, edit.Add{Source: src, Dest: o})
			}
			out, report := mustBuild(t, base, stage.Options{}, steps...)
			if len(report.Boot) == 0 {
				t.Error("the report names no boot equipment")
			}
			checkObjects(t, out, want)
			sameReport(t, base, out)
		})
	}
}

// larger is a boot image of the base with bytes at its end.
func larger(t *testing.T, base, name string) []byte {
	t.Helper()
	return append(object(t, base, name), noise(70_001, 4)...)
}

// object reads boot equipment by its name, or a file by its path.
func object(t *testing.T, image, name string) []byte {
	t.Helper()
	b, err := baseimage.Open(image, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var r io.Reader
	if strings.HasPrefix(name, "@") {
		r, err = b.Object(name)
	} else {
		tr, terr := b.Tree()
		if terr != nil {
			t.Fatal(terr)
		}
		n, nerr := tr.Lookup(name)
		if nerr != nil {
			t.Fatal(nerr)
		}
		at, size, oerr := b.Open(n)
		r, err = io.NewSectionReader(at, 0, size), oerr
	}
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// checkObjects compares the boot equipment of a result with what it was replaced
// by, but for the tables that mastering writes into loaders.
func checkObjects(t *testing.T, out string, want map[string][]byte) {
	t.Helper()
	b, err := baseimage.Open(out, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, f := range b.Boot().Findings {
		t.Errorf("finding: %v", f)
	}
	for _, en := range b.Boot().Catalog.Entries {
		if en.Image.BootInfo != nil && !en.Image.BootInfo.OK {
			t.Errorf("boot info table of %s is wrong", en.Image.Name)
		}
	}
	for name, content := range want {
		got := object(t, out, name)
		got = got[:min(len(got), len(content))]
		for _, b := range [][]byte{got, content} {
			if len(b) > 3000 && b[510] != 0x55 {
				clear(b[8:64])
				clear(b[2548:2556])
			}
		}
		if !bytes.Equal(got, content) {
			t.Errorf("%s is not what it was replaced by", name)
		}
	}
}

var (
	number = regexp.MustCompile(`[0-9]+`)
	// other is what may differ as well: which of the names of one content is found, and
	// whether the entries of a GPT are in the order of their places; overlaps are for sgdisk.
	other = regexp.MustCompile(`/images/pxeboot/|/isolinux/|separated|overlapping`)
	// sizes are lines that tell of sizes only: of free space, and whether a partition
	// ends at a multiple of eight sectors.
	sizes = regexp.MustCompile(`free sectors|segments|path|Caution: Partition|result in problems with some disk`)
)

// sameReport compares what xorriso and sgdisk say of both images: only sizes and
// addresses may differ.
func sameReport(t *testing.T, base, out string) {
	t.Helper()
	for _, args := range [][]string{
		{"xorriso", "-no_rc", "-report_about", "SORRY", "-indev", "IMAGE", "-report_system_area", "plain"},
		{"xorriso", "-no_rc", "-report_about", "SORRY", "-indev", "IMAGE", "-report_el_torito", "plain"},
		{"sgdisk", "-v", "IMAGE"},
	} {
		var said [2][]string
		for i, image := range []string{base, out} {
			words := slices.Clone(args[1:])
			words[slices.Index(words, "IMAGE")] = image
			b, _ := exec.Command(isotest.Tool(t, args[0]), words...).Output() // they complain of odd bases too
			for line := range strings.Lines(string(b)) {
				if sizes.MatchString(line) || strings.TrimSpace(line) == "" {
					continue
				}
				said[i] = append(said[i], strings.Join(strings.Fields(number.ReplaceAllString(other.ReplaceAllString(line, ""), "N")), " "))
			}
		}
		if d := cmp.Diff(said[0], said[1]); d != "" {
			t.Errorf("%s of the base and of the result:\n%s", args, d)
		}
	}
}

// TestBootRefused: boot images are not lost by accident.
func TestBootRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	for _, c := range []struct {
		image string
		step  edit.Step
		o     stage.Options
		want  error
	}{
		{"rhel9-isolinux", edit.Remove{Pattern: "/isolinux/isolinux.bin"}, stage.Options{}, layout.ErrBootImage},
		{"rhel9-isolinux", edit.Remove{Pattern: "/isolinux"}, stage.Options{NoBoot: []boot.Platform{boot.UEFI}}, layout.ErrBootImage},
		{"rhel9-isolinux", edit.Remove{Pattern: "/images/efiboot.img"}, stage.Options{}, layout.ErrBootImage},
		{"rhel9-isolinux", edit.Remove{Pattern: "/images/efiboot.img"}, stage.Options{NoBoot: []boot.Platform{boot.UEFI}}, nil},
		{"rhel9-isolinux", edit.Remove{Pattern: "/isolinux/boot.cat"}, stage.Options{}, layout.ErrBootImage},
		{"rhel9-isolinux", edit.Add{Source: os.Args[0], Dest: "/isolinux/boot.cat"}, stage.Options{}, layout.ErrBootImage},
		{"rhel9-isolinux", edit.Add{Source: os.Args[0], Dest: "@catalog"}, stage.Options{}, layout.ErrBootImage},
		{"rhel9-isolinux", edit.Add{Source: os.Args[0], Dest: "@part7"}, stage.Options{}, baseimage.ErrNoObject},
		{"rhel9-isolinux", edit.Add{Source: os.Args[0], Dest: "@part1"}, stage.Options{}, baseimage.ErrNoObject},
		{"rhel9-isolinux", edit.Move{Old: "/isolinux/isolinux.bin", New: "/isolinux/other.bin"}, stage.Options{}, nil},
		{"efionly-arm64style", edit.Remove{Pattern: "/boot/grub/efi.img"}, stage.Options{}, layout.ErrBootImage},
		{"grubrescue", edit.Remove{Pattern: "/efi.img"}, stage.Options{}, layout.ErrBootImage},
		{"hppa", edit.Remove{Pattern: "/isolinux/vmlinuz"}, stage.Options{}, nil}, // linked elsewhere
		{"floppy", edit.Add{Source: os.Args[0], Dest: "@bios"}, stage.Options{}, boot.ErrUnfit},
		{"hdemul", edit.Add{Source: os.Args[0], Dest: "@bios"}, stage.Options{}, boot.ErrUnfit},
	} {
		b, err := baseimage.Open(isotest.Image(t, c.image), baseimage.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := build.Build(t.Context(), b, []edit.Step{c.step}, c.o); !errors.Is(err, c.want) {
			t.Errorf("%s: %s: %v, want %v", c.image, c.step, err, c.want)
		}
		b.Close()
	}
}

// TestNoBoot gives up ways to boot: what is left is sound, what went is gone.
func TestNoBoot(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	all := []boot.Platform{boot.BIOS, boot.UEFI, boot.PowerPC, boot.Mac}
	for _, name := range []string{"debian", "ubuntu2204", "fedora", "arch", "rhel9-isolinux", "memtest86+x64", "grubrescue"} {
		for what, drop := range map[string][]boot.Platform{"BIOS": {boot.BIOS}, "UEFI": {boot.UEFI}, "all": all} {
			t.Run(name+" "+what, func(t *testing.T) {
				base := isotest.Image(t, name)
				out, _ := mustBuild(t, base, stage.Options{NoBoot: drop})
				b, err := baseimage.Open(out, baseimage.OpenOptions{})
				if err != nil {
					t.Fatal(err)
				}
				defer b.Close()
				left := map[string]bool{}
				for _, w := range b.Boot().Ways() {
					left[w.Firmware] = true
				}
				for _, p := range []boot.Platform{boot.BIOS, boot.UEFI} {
					if left[p.String()] == slices.Contains(drop, p) {
						t.Errorf("%s: boots %v, dropped %v", out, b.Boot().Ways(), drop)
					}
				}
				if (b.Image().BootCatalog() != 0) != (what != "all") {
					t.Errorf("boot catalog at %d", b.Image().BootCatalog())
				}
				for _, f := range b.Boot().Findings {
					t.Errorf("finding: %v", f)
				}
				e := edits{}
				if d := e.content(isotest.Bsdtar(t, base)).Diff(e.content(isotest.Bsdtar(t, out))); d != "" {
					t.Errorf("the tree changed:\n%s", d)
				}
				if err := isotest.SevenZipTest(t, out); err != nil {
					t.Errorf("7z: %v", err)
				}
			})
		}
	}
}

// TestRepair damages boot tables: a rebuild carries the damage and says so, one
// with Repair corrects it.
func TestRepair(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	for _, c := range []struct {
		name, image string
		damage      func(image []byte, b *boot.Equipment)
		carried     bool // by a rebuild that changes sizes
	}{
		{"GPT entry modulo 8 GiB", "rhel9-isolinux", func(m []byte, b *boot.Equipment) { m[1024+40+1] ^= 0x55 }, true},
		{"GPT checksums", "rhel9-isolinux", func(m []byte, b *boot.Equipment) { m[512+16] ^= 1; m[512+88] ^= 1 }, false},
		{"backup GPT", "rhel9-isolinux", func(m []byte, b *boot.Equipment) { clear(m[len(m)-512:]) }, false},
		{"backup GPT, announced", "fedora", func(m []byte, b *boot.Equipment) { clear(m[len(m)-512:]) }, false},
		{"MBR partition", "nojoliet", func(m []byte, b *boot.Equipment) { m[446+13] ^= 0x10 }, true},
		{"protective MBR", "fedora", func(m []byte, b *boot.Equipment) { m[446+13] ^= 0x10 }, true},
		{"boot info table", "fedora", func(m []byte, b *boot.Equipment) { m[b.Catalog.Entries[0].LBA.Offset()+20]++ }, true},
		{"validation entry", "fedora", func(m []byte, b *boot.Equipment) { m[b.Catalog.LBA.Offset()+28]++ }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := isotest.Image(t, c.image)
			b, err := baseimage.Open(base, baseimage.OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if len(b.Boot().Findings) > 0 {
				t.Fatal(b.Boot().Findings)
			}
			m := read(t, base)
			c.damage(m, b.Boot())
			broken := local(t, "broken.iso", m)
			found := findings(t, broken)
			if found == "" {
				t.Fatal("the damage is not found")
			}
			add := edit.Add{Source: local(t, "big.bin", noise(3<<20, 6))}
			carried, _ := mustBuild(t, broken, stage.Options{}, add)
			if now := findings(t, carried); (now != "") != c.carried {
				t.Errorf("rebuilt without repair: %q, was %q", now, found)
			}
			for _, steps := range [][]edit.Step{nil, {add}} {
				out, _ := mustBuild(t, broken, stage.Options{Repair: true}, steps...)
				if now := findings(t, out); now != "" {
					t.Errorf("repaired with %d steps: %s", len(steps), now)
				}
				was, now := read(t, base), read(t, out)
				for _, m := range [][]byte{was, now} { // the media checksum
					clear(m[16*2048+883 : 16*2048+883+512])
				}
				if len(steps) == 0 && !bytes.Equal(was, now) {
					t.Error("the repaired image is not what it was before the damage")
				}
			}
		})
	}
}

// findings are what is wrong with the boot equipment of an image.
func findings(t *testing.T, image string) string {
	t.Helper()
	b, err := baseimage.Open(image, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var out []string
	for _, f := range b.Boot().Findings {
		out = append(out, f.String())
	}
	return strings.Join(out, "\n")
}

// sameRefs checks that every address outside the trees leads to what it led to in
// the base.
func sameRefs(t *testing.T, base, out string) {
	t.Helper()
	open := func(image string) (*baseimage.Base, []byte) {
		b, err := baseimage.Open(image, baseimage.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return b, read(t, image)
	}
	a, before := open(base)
	b, after := open(out)
	now := map[string]boot.Ref{}
	for _, r := range b.Boot().Refs() {
		now[r.Field] = r
	}
	for _, r := range a.Boot().Refs() {
		to, ok := now[r.Field]
		switch {
		case !ok:
			t.Errorf("%s is lost", r.Field)
		case r.Object.Shared() || r.Object.Name == "@catalog":
			// The files in it may have changed; its own addresses are checked here.
		case !bytes.Equal(before[r.To:r.To+r.Object.Len], after[to.To:to.To+r.Object.Len]):
			t.Errorf("%s leads to other bytes at %d, it led to %d", r.Field, to.To, r.To)
		}
	}
}

// TestNewUUID changes the UUID and all that names it, and nothing that does not.
func TestNewUUID(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	for _, name := range []string{"fedora", "debian", "arch"} {
		t.Run(name, func(t *testing.T) {
			raw := isotest.Image(t, name)
			b, err := baseimage.Open(raw, baseimage.OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			old := b.Image().Primary().Modified().UUID()
			b.Close()
			cfg := []byte("search --fs-uuid --set=root " + old + "\nset prefix=($root)/boot/grub\n")
			esp := local(t, "esp.img", object(t, raw, "@efi"))
			isotest.Run(t, "mcopy", "-o", "-i", esp, local(t, "grub.cfg", cfg), "::EFI/BOOT/grub.cfg")
			base, _ := mustBuild(t, raw, stage.Options{MediaCheck: stage.MediaStrip},
				edit.Add{Source: esp, Dest: "@efi"}, edit.Add{Source: local(t, "x.cfg", cfg), Dest: "/boot/grub/x.cfg"},
				edit.Add{Source: local(t, "u", []byte("u\n")), Dest: "/boot/" + old + ".uuid"}, edit.Add{Source: local(t, "n", cfg), Dest: "/notes.txt"})
			if got := string(object(t, base, "/boot/grub/x.cfg")); !strings.Contains(got, old) {
				t.Fatalf("the UUID is not kept by default: %s", got)
			}
			out, report := mustBuild(t, base, stage.Options{NewUUID: true})
			now := strings.TrimSpace(string(isotest.Run(t, "blkid", "-p", "-s", "UUID", "-o", "value", out)))
			if now == old || len(now) != len(old) {
				t.Fatalf("UUID %s, was %s", now, old)
			}
			for _, p := range []string{"/boot/grub/x.cfg", "/boot/" + now + ".uuid"} {
				if got := string(object(t, out, p)); strings.Contains(got, old) || p[len(p)-4:] == ".cfg" && !strings.Contains(got, now) {
					t.Errorf("%s: %q", p, got)
				}
			}
			if got := string(object(t, out, "/notes.txt")); !strings.Contains(got, old) {
				t.Errorf("a file that is no boot file changed: %q", got)
			}
			changed := local(t, "new.img", object(t, out, "@efi"))
			if got := string(isotest.Run(t, "mtype", "-i", changed, "::EFI/BOOT/grub.cfg")); !strings.Contains(got, now) {
				t.Errorf("in the EFI system partition: %q", got)
			}
			isotest.Run(t, "fsck.fat", "-n", changed)
			if len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "@efi:/EFI/BOOT/grub.cfg") {
				t.Errorf("notes %q", report.Notes)
			}
			again, _ := mustBuild(t, base, stage.Options{NewUUID: true})
			if isotest.SHA256File(t, out) != isotest.SHA256File(t, again) {
				t.Error("two runs differ")
			}
			sameReport(t, base, out)
		})
	}
}

// TestDisguised: firmware starts the EFI program of a FAT image that is said to be for BIOS.
func TestDisguised(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	b, err := baseimage.Open(isotest.Image(t, "suse"), baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var ways []string
	for _, w := range b.Boot().Ways() {
		ways = append(ways, w.Medium+" "+w.Firmware+": "+w.By)
	}
	if d := cmp.Diff([]string{"CD BIOS: isolinux", "CD UEFI: FAT image", "disk BIOS: isohybrid MBR"}, ways); d != "" {
		t.Error(d)
	}
	if list := b.Programs(); len(list) != 1 || list[0].Path != "@boot2:/EFI/BOOT/BOOTX64.EFI" {
		t.Errorf("programs %+v", list)
	}
}
