package scan_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/isotest/readback"
	"github.com/isolayer/isolayer/internal/master/scan"
)

// hugeFile is a file of zeros, with marks around the places where its sections meet.
type hugeFile struct {
	name  string
	size  int64
	marks map[int64]string
}

// seam is how long the sections of a file are: as much as a record can tell, in whole
// blocks.
const seam = 1<<32 - iso9660.BlockSize

// hugeFiles lie one behind the other: the second one, and what is behind it, begin where
// 32 bits of bytes have ended, once and twice.
var hugeFiles = []hugeFile{
	{"huge-a.img", 1<<32 + 5_000_001, map[int64]string{0: "begin a", seam - 3: "around the seam a", 1<<32 - 2: "4 GiB a", 1<<32 + 4_999_993: "end of a"}},
	{"huge-b.img", 2*seam + 77, map[int64]string{0: "begin b", seam - 3: "around the seam b", 2*seam - 5: "the second seam", 2*seam + 69: "end of b"}},
	{"z-behind", 7, map[int64]string{0: "behind\n"}},
}

// hugeTree makes them; their zeros take no room.
func hugeTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, h := range hugeFiles {
		f, err := os.Create(filepath.Join(dir, h.name))
		must(t, err)
		err = f.Truncate(h.size)
		for at, text := range h.marks {
			_, werr := f.WriteAt([]byte(text), at)
			err = errors.Join(err, werr)
		}
		must(t, errors.Join(err, f.Close()))
	}
	return dir
}

// TestMasterHuge masters 12 GiB with files of more than 4 and of 8 GiB. All readers tell
// sizes and places right; we and Linux read what is around the places where sections
// meet, the others what is behind. Under ISOLAYER_SOAK bsdtar and 7z read everything, and
// xorriso the marks too.
func TestMasterHuge(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other programs")
	}
	dir := hugeTree(t)
	out := mastered(t, dir, scan.Options{RockRidge: true, Joliet: true, Padding: 150})
	lba, seven, tree := isotest.XorrisoLBA(t, out), isotest.SevenZip(t, out), isotest.XorrisoTree(t, out)
	info := string(isotest.Run(t, "isoinfo", "-l", "-R", "-i", out))
	listed := string(isotest.Run(t, "bsdtar", "-tvf", out))
	for _, h := range hugeFiles {
		sections := lba[h.name]
		if want := int((h.size + seam - 1) / seam); len(sections) != want {
			t.Errorf("xorriso has sections %v of %s, want %d", sections, h.name, want)
		}
		for i, s := range sections {
			if s.LBA != sections[0].LBA+int64(i)*(seam/iso9660.BlockSize) || s.Size != h.size {
				t.Errorf("xorriso has sections %v of %s", sections, h.name)
			}
			// isoinfo shows each section as a file, and cuts the flags of all but the last.
			line := fmt.Sprintf(`(?m) %d .{12}\[\s*%d [ F0-9\]]* %s *$`, min(seam, h.size-int64(i)*seam), s.LBA, h.name)
			if !regexp.MustCompile(line).MatchString(info) {
				t.Errorf("isoinfo lists no section %d of %s:\n%s", i, h.name, info)
			}
		}
		if seven[h.name] != h.size || tree[h.name].Size != h.size || !strings.Contains(listed, fmt.Sprintf(" %d ", h.size)) {
			t.Errorf("%s of %d bytes: 7z says %d, xorriso %d, bsdtar\n%s", h.name, h.size, seven[h.name], tree[h.name].Size, listed)
		}
		readMarks(t, out, h)
	}
	if got := string(isotest.Run(t, "bsdtar", "-xOf", out, "z-behind")); got != "behind\n" {
		t.Errorf("bsdtar reads %q", got)
	}
	if got := string(isotest.Run(t, "7z", "e", "-so", out, "z-behind")); got != "behind\n" {
		t.Errorf("7z reads %q", got)
	}
	if got := string(isotest.Run(t, "isoinfo", "-R", "-x", "/z-behind", "-i", out)); got != "behind\n" {
		t.Errorf("isoinfo reads %q", got)
	}
	xorrisoMarks(t, out, hugeFiles[2])
	kernelMarks(t, out)
	readback.Verified(t, out)
	if os.Getenv("ISOLAYER_SOAK") != "" {
		for _, h := range hugeFiles {
			xorrisoMarks(t, out, h)
			wholly(t, filepath.Join(dir, h.name), "bsdtar", "-xOf", out, h.name)
			wholly(t, filepath.Join(dir, h.name), "7z", "e", "-so", out, h.name)
		}
	}
}

// readMarks reads the marks with our reader.
func readMarks(t *testing.T, image string, h hugeFile) {
	t.Helper()
	b, err := baseimage.Open(image, baseimage.OpenOptions{})
	must(t, err)
	defer b.Close()
	tr, err := b.Tree()
	must(t, err)
	n, err := tr.Lookup("/" + h.name)
	must(t, err)
	r, size, err := b.Open(n)
	must(t, err)
	if size != h.size {
		t.Errorf("we have %d bytes of %s", size, h.name)
	}
	for at, text := range h.marks {
		got := make([]byte, len(text))
		if _, err := r.ReadAt(got, at); err != nil && err != io.EOF || string(got) != text {
			t.Errorf("%s at %d: %q, %v", h.name, at, got, err)
		}
	}
}

// xorrisoMarks cuts the marks out with xorriso, which reads all in front of them.
func xorrisoMarks(t *testing.T, image string, h hugeFile) {
	t.Helper()
	args, dir := []string{"-no_rc", "-report_about", "SORRY", "-osirrox", "on", "-indev", image}, t.TempDir()
	for at, text := range h.marks {
		args = append(args, "-extract_cut", "/"+h.name, fmt.Sprint(at), fmt.Sprint(len(text)), filepath.Join(dir, fmt.Sprint(at)))
	}
	isotest.Run(t, "xorriso", args...)
	for at, text := range h.marks {
		got, err := os.ReadFile(filepath.Join(dir, fmt.Sprint(at)))
		must(t, err)
		if string(got) != text {
			t.Errorf("xorriso reads %q of %s at %d, want %q", got, h.name, at, text)
		}
	}
}

// kernelMarks lets Linux read the marks, by way of Rock Ridge and of Joliet.
func kernelMarks(t *testing.T, image string) {
	t.Helper()
	script, want := "", ""
	for _, o := range []string{"ro", "ro,norock"} {
		script += "mkdir -p /m; mount -t iso9660 -o " + o + " /dev/vdd /m || exit 8\n"
		for _, h := range hugeFiles {
			script += fmt.Sprintf("echo SIZE %s $(ls -ln /m/%s | awk '{print $5}')\n", h.name, h.name)
			want += fmt.Sprintf("SIZE %s %d\n", h.name, h.size)
			for _, at := range slices.Sorted(maps.Keys(h.marks)) {
				text := h.marks[at]
				script += fmt.Sprintf("echo %d $(dd if=/m/%s bs=1 skip=%d count=%d 2>/dev/null)\n", at, h.name, at, len(text))
				want += fmt.Sprintf("%d %s\n", at, strings.TrimSpace(text))
			}
		}
		script += "umount /m\n"
	}
	said := isotest.Guest(t, script, isotest.GuestOptions{MountOptions: isotest.MountOptions{Disks: []string{image}}})
	if !strings.Contains(said, want) {
		t.Errorf("the kernel reads\n%s\nwant\n%s", said, want)
	}
}

// wholly compares all of what a program prints with a file.
func wholly(t *testing.T, path, name string, args ...string) {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	cmd := exec.Command(isotest.Tool(t, name), args...)
	pipe, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	a, b := make([]byte, 1<<20), make([]byte, 1<<20)
	for at := 0; ; {
		n, err := io.ReadFull(pipe, a)
		m, ferr := io.ReadFull(f, b)
		if !bytes.Equal(a[:n], b[:m]) {
			t.Errorf("%s %q differs after byte %d", name, args, at)
		}
		if at += n; err != nil || ferr != nil {
			break
		}
	}
	if _, err := io.Copy(io.Discard, pipe); err != nil {
		t.Error(err)
	}
	must(t, cmd.Wait())
}
