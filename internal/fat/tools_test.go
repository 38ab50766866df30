package fat

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/isotest"
)

// reference is a volume as mkfs.vfat makes it.
type reference struct {
	name string
	kib  int
	args []string
}

var references = []reference{
	{"fat12 floppy", 1440, []string{"-F", "12"}},
	{"fat12 sectors of 2048", 4096, []string{"-F", "12", "-S", "2048", "-s", "1"}},
	{"fat12 clusters of 4096", 2880, []string{"-F", "12", "-s", "8", "-f", "1"}},
	{"fat16", 8192, []string{"-F", "16", "-s", "2"}},
	{"fat16 sectors of 1024", 10240, []string{"-F", "16", "-S", "1024", "-s", "1", "-f", "3", "-r", "64"}},
	{"fat16 sectors of 4096", 20480, []string{"-F", "16", "-S", "4096", "-s", "1", "-r", "128"}},
	{"fat32", 34816, []string{"-F", "32", "-s", "1"}},
	// Of fewer clusters than FAT32 should have, but Linux and fsck.fat go by the form.
	{"fat32 small", 3072, []string{"-F", "32", "-s", "2", "-f", "4"}},
	{"fat32 sectors of 4096", 4096, []string{"-F", "32", "-S", "4096", "-s", "1"}},
}

// some are the reference volumes, one of each type in a quick test.
func some() []reference {
	if testing.Short() {
		return []reference{references[0], references[3], references[7]}
	}
	return references
}

// make formats the volume.
func (r reference) make(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "fat.img")
	args := append([]string{"-C", "-n", "ISO EFI", "-i", "cafe1234"}, r.args...)
	isotest.Run(tb, "mkfs.vfat", append(args, path, strconv.Itoa(r.kib))...)
	return path
}

func openPath(tb testing.TB, path string) *Image {
	tb.Helper()
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		tb.Fatal(err)
	}
	img, err := Open(f, info.Size())
	if err != nil {
		tb.Fatal(err)
	}
	return img
}

func openBytes(tb testing.TB, b []byte) *Image {
	tb.Helper()
	img, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		tb.Fatal(err)
	}
	return img
}

// write puts the bytes of a map into a new file, without its zeros.
func write(tb testing.TB, m *extent.Map) string {
	tb.Helper()
	f, err := os.Create(filepath.Join(tb.TempDir(), "out.img"))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(m.Size()); err != nil {
		tb.Fatal(err)
	}
	for _, e := range m.Extents() {
		for at := e.Off; at < e.End() && e.Kind != extent.Zero; at += block {
			b := make([]byte, min(block, e.End()-at))
			if _, err := m.ReadAt(b, at); err != nil {
				tb.Fatal(err)
			}
			if bytes.Count(b, []byte{0}) == len(b) {
				continue
			}
			if _, err := f.WriteAt(b, at); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return f.Name()
}

// block is what is written at once, if it is not zero.
const block = 64 << 10

func readMap(tb testing.TB, m *extent.Map) []byte {
	tb.Helper()
	b := make([]byte, m.Size())
	if _, err := m.ReadAt(b, 0); err != nil && err != io.EOF {
		tb.Fatal(err)
	}
	return b
}

// tree is what a volume holds: a digest for each file, "" for each directory.
type tree map[string]string

func digest(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b))[:16] }

// ours is the tree as this package reads it.
func ours(tb testing.TB, img *Image) tree {
	tb.Helper()
	out := tree{}
	err := fs.WalkDir(img, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		if d.IsDir() {
			out[path] = ""
			return nil
		}
		b, err := fs.ReadFile(img, path)
		out[path] = digest(b)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	if w := img.Warnings(); len(w) > 0 {
		tb.Fatalf("warnings: %q", w)
	}
	return out
}

// inMtools is how mtools, which knows no surrogate pairs, show a tree.
func (t tree) inMtools() tree {
	out := tree{}
	for name, sum := range t {
		var b strings.Builder
		for _, r := range name {
			if r > 0xffff {
				b.WriteString("__")
			} else {
				b.WriteRune(r)
			}
		}
		out[b.String()] = sum
	}
	return out
}

// theirs is the tree as mtools read it, or 7-Zip if the volume is FAT32 with
// fewer clusters than mtools expect.
func theirs(tb testing.TB, path string) tree {
	tb.Helper()
	dir, err := os.MkdirTemp(tb.TempDir(), "")
	if err != nil {
		tb.Fatal(err)
	}
	defer os.RemoveAll(dir)
	out := tree{}
	if img := openPath(tb, path); img.typ == FAT32 && img.clusters <= maxClusters16 {
		isotest.Run(tb, "7z", "x", "-o"+dir, path)
	} else {
		if len(bytes.TrimSpace(isotest.Run(tb, "mdir", "-b", "-a", "-i", path, "::"))) == 0 {
			return out
		}
		isotest.Run(tb, "mcopy", "-s", "-n", "-Q", "-i", path, "::*", dir)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		if err != nil || name == "." {
			return err
		}
		name = filepath.ToSlash(name)
		if d.IsDir() {
			out[name] = ""
			return nil
		}
		b, err := os.ReadFile(path)
		out[name] = digest(b)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// sound fails unless the checker of dosfstools finds nothing.
func sound(tb testing.TB, path string) {
	tb.Helper()
	out := string(isotest.Run(tb, "fsck.fat", "-n", "-v", twoTables(tb, path)))
	for line := range strings.Lines(out) {
		for _, bad := range []string{"differences", "incorrect", "Free cluster summary", "wrong", "Reclaim", "FATs differ", "Orphan", "bad", "Dirty"} {
			if strings.Contains(line, bad) {
				tb.Fatalf("fsck.fat: %s\n%s", line, out)
			}
		}
	}
}

// twoTables is the volume without the third and fourth copy of the table, which
// the checker does not know. They must be like the first.
func twoTables(tb testing.TB, path string) string {
	tb.Helper()
	img := openPath(tb, path)
	for i := range img.tables {
		other, err := img.read(img.tableOff(i), img.tableBytes())
		if err != nil || !bytes.Equal(img.table.raw, other) {
			tb.Fatalf("copy %d of the table is not like the first: %v", i+1, err)
		}
	}
	if img.tables <= 2 {
		return path
	}
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	g := img.geometry
	g.tables, g.total = 2, g.total-(g.tables-2)*g.tableSectors
	bootSector(b).encode(g)
	if g.backup != 0 {
		copy(b[g.backup*g.sector:], b[:minSector])
	}
	path = filepath.Join(tb.TempDir(), "two.img")
	if err := os.WriteFile(path, slices.Concat(b[:img.tableOff(2)], b[img.rootOff():]), 0o644); err != nil {
		tb.Fatal(err)
	}
	return path
}
