package build_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/bootcfg"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/distro"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/qemu"
	"github.com/isolayer/isolayer/internal/stage"
)

// areaSize is that of the fixture's areas, as CoreOS had them.
const areaSize = 1024

// headed is an image as CoreOS was up to 2021: at the end of its system area it has the
// addresses of the areas that coreos-installer writes to. Another program names them.
func headed(t *testing.T) string {
	t.Helper()
	image, _, _ := isotest.Family(t, "../distro/testdata/coreos2021.txtar")
	lba := regexp.MustCompile(`File data lba: .*?(\d+) ,\s+\d+ ,\s+\d+ , '([^']+)'`)
	at := map[string]uint64{}
	for _, m := range lba.FindAllStringSubmatch(string(isotest.Run(t, "xorriso", "-indev", image, "-find", "/", "-type", "f", "-exec", "report_lba")), -1) {
		n, err := strconv.ParseUint(m[1], 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		at[m[2]] = n * 2048
	}
	area := func(name string) uint64 {
		i := bytes.Index(object(t, image, name), []byte("mitigations="))
		if at[name] == 0 || i < 0 {
			t.Fatalf("%s has no area", name)
		}
		return at[name] + uint64(i)
	}
	head := append([]byte("coreKarg"), make([]byte, 64)...)
	for i, v := range []uint64{areaSize, area("/coreos/defaults"), area("/isolinux/isolinux.cfg"), area("/EFI/fedora/grub.cfg")} {
		binary.LittleEndian.PutUint64(head[8+8*i:], v)
	}
	head = append(head, "coreiso+"...)
	head = binary.LittleEndian.AppendUint64(head, at["/images/ignition.img"])
	head = binary.LittleEndian.AppendUint64(head, 262144)
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(head, 32768-int64(len(head)))
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return image
}

// areas reads an image as coreos-installer did: the arguments that are in all areas, and
// those it would reset them to. With args it writes those.
func areas(t *testing.T, image string, args string) (now, defaults string) {
	t.Helper()
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	head := make([]byte, 96)
	if _, err := f.ReadAt(head, 32768-96); err != nil || string(head[:8]) != "coreKarg" || string(head[72:80]) != "coreiso+" {
		t.Fatalf("the header is gone: %q (%v)", head, err)
	}
	at := func(i int) int64 { return int64(binary.LittleEndian.Uint64(head[8+8*i:])) }
	read := func(off int64) string {
		area := make([]byte, at(0))
		if _, err := f.ReadAt(area, off); err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(strings.TrimRight(string(area), "#"))
	}
	for i := 2; at(i) != 0; i++ {
		if args != "" {
			if _, err := f.WriteAt([]byte(args+"\n"+strings.Repeat("#", areaSize-len(args)-1)), at(i)); err != nil {
				t.Fatal(err)
			}
		}
		if text := read(at(i)); i > 2 && text != now {
			t.Errorf("the areas have %q and %q", now, text)
		} else {
			now = text
		}
	}
	if config := object(t, image, "/images/ignition.img"); len(config) != 262144 {
		t.Errorf("the area of the config has %d bytes", len(config))
	} else if got := make([]byte, 64); true {
		if _, err := f.ReadAt(got, int64(binary.LittleEndian.Uint64(head[80:]))); err != nil || !bytes.Equal(got, config[:64]) {
			t.Errorf("the area of the config is not where the header says (%v)", err)
		}
	}
	return now, read(at(1))
}

// TestCoreOSHeader: addresses in the image stay true, or the edit is refused.
func TestCoreOSHeader(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	base := headed(t)
	args, _ := areas(t, base, "")
	long := "a-label-that-is-longer-than-that"
	relabelled := strings.ReplaceAll(args, "fedora-coreos-33.20210426.3.0", long)
	for name, c := range map[string]struct {
		steps          []edit.Step
		args, defaults string
	}{
		"a file":   {[]edit.Step{edit.Add{Source: localFile(t, "file", "x")}}, args, args},
		"initrd":   {[]edit.Step{edit.InitrdAdd{Adds: []edit.Add{{Source: localFile(t, "file", "x")}}}}, args, args},
		"argument": {[]edit.Step{edit.Kargs{Args: []string{"matrix=karg", "-mitigations"}}}, strings.Replace(args, "mitigations=auto,nosmt ", "", 1) + " matrix=karg", args},
		"label":    {[]edit.Step{edit.Label{ID: long}}, relabelled, relabelled},
		"two":      {[]edit.Step{edit.Kargs{Args: []string{"matrix=karg"}}, edit.Label{ID: long}}, relabelled + " matrix=karg", relabelled},
		"config":   {[]edit.Step{edit.AnswerFile{Kind: distro.Ignition, Source: localFile(t, "c.ign", answerFiles[distro.Ignition])}}, args, args},
	} {
		made := filepath.Join(t.TempDir(), "made.iso")
		rebuild(t, base, made, c.steps...)
		if now, defaults := areas(t, made, ""); now != c.args || defaults != c.defaults {
			t.Errorf("%s: the areas have %q and %q,\nwant %q and %q", name, now, defaults, c.args, c.defaults)
		}
		if name == "two" {
			areas(t, made, "coreos.liveiso="+long+" console=ttyS0,115200 matrix=installer")
			if os.Getenv("ISOLAYER_SOAK") != "" {
				for _, f := range []qemu.Firmware{qemu.BIOS, qemu.UEFI} {
					isotest.Boot(t, made, f, qemu.CD, "CORPUS-BOOT-OK", "matrix=installer", "CORPUS-MEDIA /dev/sr0 "+long)
				}
			}
		}
	}
	b, err := baseimage.Open(base, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	cfg := string(object(t, base, "/EFI/fedora/grub.cfg"))
	for name, c := range map[string]struct {
		step    edit.Step
		options stage.Options
		want    error
	}{
		"another configuration":  {edit.Add{Source: localFile(t, "grub.cfg", "menuentry x {\nlinux /images/pxeboot/vmlinuz\n}\n"), Dest: "/EFI/fedora/"}, stage.Options{}, stage.ErrReserved},
		"area moved in its file": {edit.Add{Source: localFile(t, "grub.cfg", "# moved\n"+cfg), Dest: "/EFI/fedora/"}, stage.Options{}, stage.ErrReserved},
		"one area changed":       {edit.Add{Source: localFile(t, "grub.cfg", strings.Replace(cfg, "nosmt", "other", 1)), Dest: "/EFI/fedora/"}, stage.Options{}, stage.ErrReserved},
		"area of the config cut": {edit.Add{Source: localFile(t, "ignition.img", "x"), Dest: "/images/"}, stage.Options{}, stage.ErrReserved},
		"area gone":              {edit.Remove{Pattern: "/images/ignition.img"}, stage.Options{}, stage.ErrReserved},
		"in front of the area":   {edit.MenuTimeout{Seconds: 123}, stage.Options{}, stage.ErrReserved},
		"everything moved":       {edit.Remove{Pattern: "/images/pxeboot/vmlinuz"}, stage.Options{Compact: true}, stage.ErrReserved},
		"no room":                {edit.Kargs{Args: []string{"a=" + strings.Repeat("b", areaSize)}}, stage.Options{}, bootcfg.ErrRoom},
	} {
		if _, err := build.Build(t.Context(), b, []edit.Step{c.step}, c.options); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
