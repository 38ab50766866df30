package build_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/initrd"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/refresh"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/sink"
)

// localFile writes a file to add.
func localFile(tb testing.TB, name, content string) string {
	tb.Helper()
	p := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
		tb.Fatal(err)
	}
	return p
}

// TestSums: whatever is edited, lists of checksums go on to be true: files replaced,
// removed, renamed, added; initrds; boot images that get other addresses.
func TestSums(t *testing.T) {
	for _, c := range []struct {
		fixture string
		steps   []edit.Step
		checked int
	}{
		{"debian", []edit.Step{edit.Add{Source: localFile(t, "new", "new")}, edit.Remove{Pattern: "/pool"}, edit.Kargs{Args: []string{"a=b"}}}, 10},
		{"debian", []edit.Step{edit.Move{Old: "/pool", New: "/packages"}, edit.Kargs{Args: []string{"a=b"}}}, 10},
		{"debian", []edit.Step{edit.Kargs{Args: []string{"a=b"}}, edit.Kargs{Args: []string{"-a"}}}, 10},
		{"ubuntu", []edit.Step{edit.InitrdAdd{Adds: []edit.Add{{Source: localFile(t, "new", "new")}}}}, 7},
		{"rhel9", []edit.Step{edit.InitrdAdd{Adds: []edit.Add{{Source: localFile(t, "new", "new"), Dest: "/etc/new"}}}, edit.Add{Source: localFile(t, "repomd.xml", "<x/>"), Dest: "/repodata/"}}, 3},
		{"suse", []edit.Step{edit.Remove{Pattern: "/media.1/products"}, edit.Kargs{Args: []string{"a=b"}}}, 6},
		{"arch", []edit.Step{edit.Add{Source: localFile(t, "airootfs.sfs", "other"), Dest: "/arch/x86_64/"}}, 1},
		{"debian-live", []edit.Step{edit.InitrdAdd{Adds: []edit.Add{{Source: localFile(t, "new", "new")}}}, edit.Add{Source: localFile(t, "new", "new")}}, 8},
	} {
		base, _, _ := isotest.Family(t, "../distro/testdata/"+c.fixture+".txtar")
		made := filepath.Join(t.TempDir(), "made.iso")
		rebuildAs(t, base, made, stage.Options{Insecure: c.fixture == "suse"}, c.steps...)
		if n := checkSums(t, made); n != c.checked {
			t.Errorf("%s %s: %d files checked, want %d", c.fixture, c.steps, n, c.checked)
		}
	}
}

// TestTables: the lists of translated names that genisoimage makes follow.
func TestTables(t *testing.T) {
	dir, base := t.TempDir(), filepath.Join(t.TempDir(), "base.iso")
	for _, n := range []string{"a long name.txt", "other.txt", "d/inside.txt"} {
		p := filepath.Join(dir, n)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(n), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	isotest.Run(t, "genisoimage", "-quiet", "-R", "-T", "-o", base, dir)
	made := filepath.Join(t.TempDir(), "made.iso")
	rebuild(t, base, made, edit.Remove{Pattern: "/other.txt"}, edit.Add{Source: localFile(t, "quite a new name.txt", "x")}, edit.Move{Old: "/d/inside.txt", New: "/d/renamed inside.txt"})
	for table, want := range map[string]string{"/TRANS.TBL": "a long name.txt|d|quite a new name.txt", "/d/TRANS.TBL": "renamed inside.txt"} {
		var names []string
		for l := range strings.Lines(string(isotest.Run(t, "isoinfo", "-R", "-i", made, "-x", table))) {
			f := strings.Split(strings.TrimSpace(l), "\t")
			names = append(names, f[1])
			// The identifier is that of the file.
			kind, id, _ := strings.Cut(strings.TrimSpace(f[0]), " ")
			if dir := filepath.Dir(table); kind == "F" && len(isotest.Run(t, "isoinfo", "-i", made, "-x", strings.ToUpper(filepath.Join(dir, id)))) == 0 {
				t.Errorf("%s: %q has nothing", table, l)
			}
		}
		if got := strings.Join(names, "|"); got != want {
			t.Errorf("%s: %s", table, got)
		}
	}
}

// TestSealed: SUSE's installer ends where the signature of CHECKSUMS does not hold. The
// list stays as it was, unless the installer compares with it what changed: that is
// refused, or the user gives up signatures.
func TestSealed(t *testing.T) {
	base, _, _ := isotest.Family(t, "../distro/testdata/suse.txtar")
	made := filepath.Join(t.TempDir(), "made.iso")
	list := func(image string) string {
		return string(isotest.Run(t, "isoinfo", "-R", "-i", image, "-x", "/CHECKSUMS"))
	}
	r := rebuild(t, base, made, edit.Kargs{Args: []string{"a=b"}}, edit.Remove{Pattern: "/media.1/products"}).Report
	if len(r.Signatures) != 0 || list(made) != list(base) || !strings.Contains(strings.Join(r.Notes, "\n"), "/CHECKSUMS stays as it was") {
		t.Errorf("signatures %+v, notes %q", r.Signatures, r.Notes)
	}
	b, err := baseimage.Open(base, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for name, step := range map[string]edit.Step{
		"part of the installation system": edit.Add{Source: localFile(t, "root", "another"), Dest: "/boot/x86_64/"},
		"it is gone":                      edit.Remove{Pattern: "/boot/x86_64/root"},
		"the list itself":                 edit.Add{Source: localFile(t, "CHECKSUMS", "x"), Dest: "/"},
	} {
		if _, err := build.Build(t.Context(), b, []edit.Step{step}, stage.Options{}); !errors.Is(err, refresh.ErrSealed) {
			t.Errorf("%s: %v", name, err)
		}
		r := rebuildAs(t, base, made, stage.Options{Insecure: true}, step).Report
		if menu := string(isotest.Run(t, "isoinfo", "-R", "-i", made, "-x", "/boot/x86_64/loader/isolinux.cfg")); strings.Count(menu, "insecure=1") != 2 || len(r.Signatures) != 1 || len(r.Warnings) == 0 {
			t.Errorf("%s: %s, signatures %+v, warnings %q", name, menu, r.Signatures, r.Warnings)
		}
	}
	r = rebuild(t, base, made, edit.Remove{Pattern: "/CHECKSUMS.asc"}).Report
	if !strings.Contains(strings.Join(r.Warnings, "\n"), "the installer asks") {
		t.Errorf("warnings %q", r.Warnings)
	}
}

// TestSignatures: those that break are made anew by the user's key, which the installer is
// given where it looks for keys.
func TestSignatures(t *testing.T) {
	base, _, _ := isotest.Family(t, "../distro/testdata/suse.txtar")
	made := filepath.Join(t.TempDir(), "made.iso")
	step := edit.Kargs{Args: []string{"a=b"}}
	isotest.Tool(t, "gpg")
	home, err := os.MkdirTemp("", "key") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	t.Setenv("GNUPGHOME", home)
	isotest.Run(t, "gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "test@example.org", "ed25519", "sign", "never")
	defer exec.Command("gpgconf", "--kill", "all").Run() //nolint:errcheck // its agent ends with its directory too
	b, err := baseimage.Open(base, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	img, err := build.Build(t.Context(), b, []edit.Step{step}, stage.Options{Resign: "test@example.org"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := img.WriteFile(t.Context(), made, sink.Options{}); err != nil {
		t.Fatal(err)
	}
	if len(img.Report.Signatures) != 0 {
		t.Errorf("signatures: %+v", img.Report.Signatures)
	}
	dir := t.TempDir()
	isotest.Run(t, "bsdtar", "-xf", made, "-C", dir)
	isotest.Run(t, "chmod", "-R", "u+w", dir) // or it could not be removed
	ring := filepath.Join(dir, "installkey.gpg")
	own, err := baseimage.Open(made, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	i, _, err := initrd.Initrd(own, 1)
	if err != nil {
		t.Fatal(err)
	}
	e, err := i.Find("/installkey.gpg")
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(ring)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(i.Copy(f, e), f.Close()); err != nil {
		t.Fatal(err)
	}
	// As linuxrc does.
	isotest.Run(t, "gpg", "--batch", "--no-default-keyring", "--keyring", ring, "--verify", filepath.Join(dir, "CHECKSUMS.asc"), filepath.Join(dir, "CHECKSUMS"))
	if n := checkSums(t, made); n != 7 {
		t.Errorf("%d sums", n)
	}
}

// TestReserved: areas of CoreOS images stay where the image says, or the edit is refused.
func TestReserved(t *testing.T) {
	base, _, _ := isotest.Family(t, "../distro/testdata/coreos.txtar")
	b, err := baseimage.Open(base, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	cfg := string(isotest.Run(t, "isoinfo", "-R", "-i", base, "-x", "/boot/grub2/grub.cfg"))
	for name, c := range map[string]struct {
		step edit.Step
		want error
	}{
		"other configuration":    {edit.Add{Source: localFile(t, "grub.cfg", "menuentry x {\nlinux /images/pxeboot/vmlinuz\n}\n"), Dest: "/boot/grub2/"}, stage.ErrReserved},
		"area moved in its file": {edit.Add{Source: localFile(t, "grub.cfg", "# moved\n"+cfg), Dest: "/boot/grub2/"}, stage.ErrReserved},
		"area cut":               {edit.Add{Source: localFile(t, "ignition.img", "x"), Dest: "/images/"}, stage.ErrReserved},
		"area gone":              {edit.Remove{Pattern: "/images/ignition.img"}, stage.ErrReserved},
		"a file":                 {edit.Add{Source: localFile(t, "file", "x")}, nil},
		"argument in the area":   {edit.Kargs{Args: []string{"console=tty0"}}, nil},
		"initrd":                 {edit.InitrdAdd{Adds: []edit.Add{{Source: localFile(t, "file", "x")}}}, nil},
	} {
		if _, err := build.Build(t.Context(), b, []edit.Step{c.step}, stage.Options{}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
