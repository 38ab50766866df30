package sums_test

import (
	"crypto"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/sums"
)

const (
	m5  = "d41d8cd98f00b204e9800998ecf8427e"
	s25 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

func TestNamed(t *testing.T) {
	for name, want := range map[string]bool{
		"/md5sum.txt": true, "/SHA256SUMS": true, "/CHECKSUMS": true, "/.treeinfo": true, "/content": true, "/arch/x86_64/airootfs.sha512": true,
		"/docs/content": false, "/md5sum.txt.sig": false, "/checksum": true, "/ks.cfg": false, "/treeinfo": true,
	} {
		if got := sums.Named(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestEdit(t *testing.T) {
	now := strings.Repeat("a", 64)
	for name, c := range map[string]struct {
		at, text, want string
		edit           sums.Edit
		paths          string
	}{
		"debian":   {"/md5sum.txt", m5 + "  ./dists/x\n", strings.Repeat("a", 32) + "  ./dists/x\n", sums.Edit{Sums: map[int]string{0: strings.Repeat("a", 32)}}, "dists/x"},
		"binary":   {"/sha256sum.txt", "# c\n" + s25 + " *./a\n" + s25 + " *./b", "# c\n" + now + " *./a\n" + now + " *./c d\n", sums.Edit{Sums: map[int]string{0: now}, Drop: map[int]bool{1: true}, Add: []sums.Line{{Path: "c d", Sum: now}}}, "a b"},
		"below":    {"/arch/x.sha256", s25 + "  a\n", now + "  a\n", sums.Edit{Sums: map[int]string{0: now}}, "arch/a"},
		"treeinfo": {"/.treeinfo", "[checksums]\nimages/a = sha256:" + s25 + "\n[x]\nb = sha256:" + s25 + "\n", "[checksums]\nimages/a = sha256:" + now + "\n[x]\nb = sha256:" + s25 + "\n", sums.Edit{Sums: map[int]string{0: now}}, "images/a"},
		"suse":     {"/content", "HASH SHA256 " + s25 + "  boot/a\nMETA SHA256 " + s25 + "  p.gz\nVERSION 1\n", "HASH SHA256 " + s25 + "  boot/a\nMETA SHA256 " + now + "  p.gz\nVERSION 1\n", sums.Edit{Sums: map[int]string{1: now}}, "boot/a suse/setup/descr/p.gz"},
		"bsd":      {"/SHA256SUMS", "SHA256 (a) = " + s25 + "\n", "SHA256 (a) = " + now + "\n", sums.Edit{Sums: map[int]string{0: now}}, "a"},
	} {
		l, err := sums.Parse(c.at, []byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		var paths []string
		for _, x := range l.Lines {
			paths = append(paths, x.Path)
		}
		if got := strings.Join(paths, " "); got != c.paths {
			t.Errorf("%s: paths %q", name, got)
		}
		if got := string(l.Edit(c.edit)); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, c.want)
		}
		if got := string(l.Edit(sums.Edit{})); got != c.text {
			t.Errorf("%s: without an edit:\n%s", name, got)
		}
	}
}

// TestTools: we read what md5sum and its kin write, and they what we write.
func TestTools(t *testing.T) {
	for tool, hash := range map[string]crypto.Hash{"md5sum": crypto.MD5, "sha256sum": crypto.SHA256, "sha512sum": crypto.SHA512} {
		dir := t.TempDir()
		for _, n := range []string{"a", "b c", "d"} {
			if err := os.WriteFile(filepath.Join(dir, n), []byte(n), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		isotest.Tool(t, tool)
		text, err := exec.CommandContext(t.Context(), "sh", "-c", "cd "+dir+" && "+tool+" ./a './b c'").Output()
		if err != nil {
			t.Fatal(err)
		}
		l, err := sums.Parse("/list", text)
		if err != nil || l.Hash() != hash || len(l.Lines) != 2 {
			t.Fatalf("%s: %v %+v", tool, err, l)
		}
		one, err := exec.CommandContext(t.Context(), "sh", "-c", "cd "+dir+" && "+tool+" d").Output()
		if err != nil {
			t.Fatal(err)
		}
		sum, _, _ := strings.Cut(string(one), " ")
		if err := os.WriteFile(filepath.Join(dir, "list"), l.Edit(sums.Edit{Add: []sums.Line{{Path: "d", Sum: sum}}}), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), "sh", "-c", "cd "+dir+" && "+tool+" -c list").CombinedOutput(); err != nil || strings.Count(string(out), ": OK") != 3 {
			t.Errorf("%s: %v\n%s", tool, err, out)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("/md5sum.txt", m5+"  ./a\n"+m5+" *b\r\n")
	f.Add("/.treeinfo", "[checksums]\na = sha256:"+s25+"\n")
	f.Add("/content", "HASH SHA256 "+s25+"  a\n")
	f.Fuzz(func(t *testing.T, name, text string) {
		l, err := sums.Parse(name, []byte(text))
		if err != nil {
			return
		}
		if got := string(l.Edit(sums.Edit{})); got != text {
			t.Fatalf("%q became %q", text, got)
		}
		e := sums.Edit{Sums: map[int]string{}}
		for i, x := range l.Lines {
			e.Sums[i] = strings.Repeat("0", len(x.Sum))
		}
		again, err := sums.Parse(name, l.Edit(e))
		if err != nil || len(again.Lines) != len(l.Lines) {
			t.Fatalf("%d lines, were %d (%v)", len(again.Lines), len(l.Lines), err)
		}
		for i, x := range again.Lines {
			if x.Path != l.Lines[i].Path || strings.Trim(x.Sum, "0") != "" {
				t.Fatalf("line %d: %+v, was %+v", i, x, l.Lines[i])
			}
		}
	})
}
