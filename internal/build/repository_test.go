package build_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/pkgrepo"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/sink"
)

// refreshed writes the image that the steps make of a tree, repositories refreshed, and
// returns the tree of the result.
func refreshed(t *testing.T, root string, steps ...edit.Step) string {
	t.Helper()
	base, made, out := filepath.Join(t.TempDir(), "base.iso"), filepath.Join(t.TempDir(), "made.iso"), t.TempDir()
	isotest.Run(t, "xorriso", "-as", "mkisofs", "-quiet", "-r", "-V", "REPO", "-o", base, root)
	b, err := baseimage.Open(base, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	img, err := build.Build(t.Context(), b, steps, stage.Options{RefreshRepo: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := img.WriteFile(t.Context(), made, sink.Options{}); err != nil {
		t.Fatal(err)
	}
	isotest.Run(t, "bsdtar", "-xf", made, "-C", out)
	isotest.Run(t, "chmod", "-R", "u+w", out) // or it could not be removed
	checkSums(t, made)
	return out
}

// rpm makes a package.
func rpm(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	spec := filepath.Join(dir, name+".spec")
	text := fmt.Sprintf("Name: %[1]s\nVersion: 1\nRelease: 1\nSummary: x\nLicense: MIT\nBuildArch: noarch\n%%description\nx\n"+
		"%%install\nmkdir -p %%{buildroot}/etc\necho %[1]s > %%{buildroot}/etc/%[1]s\n%%files\n/etc/%[1]s\n", name)
	if err := os.WriteFile(spec, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	isotest.Run(t, "rpmbuild", "-bb", "--quiet", "--define", "_topdir "+dir, spec)
	return filepath.Join(dir, "RPMS/noarch", name+"-1-1.noarch.rpm")
}

// TestRefreshRPM: dnf finds the package that was added and installs it, and finds no more
// the one that was removed, in a repository of which the other packages were not looked at.
// They lie in a directory named packages, as a list for createrepo_c was.
func TestRefreshRPM(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "packages"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"stays", "goes"} {
		isotest.Run(t, "cp", rpm(t, n), filepath.Join(root, "packages"))
	}
	isotest.Run(t, "createrepo_c", "--quiet", "--no-database", root)
	tree := "[checksums]\nrepodata/repomd.xml = sha256:" + isotest.SHA256File(t, filepath.Join(root, "repodata/repomd.xml")) + "\n"
	if err := os.WriteFile(filepath.Join(root, ".treeinfo"), []byte(tree), 0o644); err != nil {
		t.Fatal(err)
	}
	out := refreshed(t, root, edit.Add{Source: rpm(t, "new"), Dest: "/packages/"}, edit.Remove{Pattern: "/packages/goes*"})
	dnf := []string{
		"--quiet", "--assumeyes", "--setopt=cachedir=" + t.TempDir(), "--setopt=persistdir=" + t.TempDir(), "--releasever=1",
		"--setopt=reposdir=" + t.TempDir(), "--repofrompath=x,file://" + out, "--repo=x", "--nogpgcheck",
	}
	list := isotest.Run(t, "dnf", append(slices.Clone(dnf), "--setopt=logdir="+t.TempDir(), "repoquery", "--location", "*")...)
	var got []string
	for l := range strings.Lines(string(list)) {
		got = append(got, strings.TrimPrefix(strings.TrimSpace(l), "file://"+out+"/"))
	}
	slices.Sort(got)
	if want := "packages/new-1-1.noarch.rpm packages/stays-1-1.noarch.rpm"; strings.Join(got, " ") != want {
		t.Errorf("dnf lists %q", got)
	}
	if os.Getuid() != 0 {
		t.Log("dnf installs as root alone")
		return
	}
	system := t.TempDir()
	if err := os.MkdirAll(filepath.Join(system, "var/log"), 0o755); err != nil {
		t.Fatal(err)
	}
	isotest.Run(t, "dnf", append(slices.Clone(dnf), "--setopt=logdir=/var/log", "--installroot="+system, "install", "new")...)
	if text, err := os.ReadFile(filepath.Join(system, "etc/new")); string(text) != "new\n" {
		t.Errorf("dnf installed %q (%v)", text, err)
	}
}

// deb makes a package.
func deb(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(filepath.Join(dir, "DEBIAN"), 0o755); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: x\n", name)
	if err := os.WriteFile(filepath.Join(dir, "DEBIAN/control"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(filepath.Dir(dir), name+"_1_all.deb")
	isotest.Run(t, "dpkg-deb", "--build", "--root-owner-group", dir, out)
	return out
}

// TestRefreshDeb: apt with a file: source finds and fetches the package that was added.
func TestRefreshDeb(t *testing.T) {
	root := t.TempDir()
	index := filepath.Join(root, "dists/bookworm/main/binary-amd64")
	for _, d := range []string{index, filepath.Join(root, "pool/main")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []string{"stays", "goes"} {
		isotest.Run(t, "cp", deb(t, n), filepath.Join(root, "pool/main"))
	}
	isotest.Tool(t, "apt-ftparchive")
	isotest.Run(t, "sh", "-c", "cd "+root+" && apt-ftparchive packages pool > "+index+"/Packages && gzip -9kn "+index+"/Packages && xz -k "+index+"/Packages &&"+
		" apt-ftparchive -o APT::FTPArchive::Release::Suite=stable -o APT::FTPArchive::Release::Codename=bookworm release dists/bookworm > r && mv r dists/bookworm/Release && ln -s bookworm dists/stable")
	out := refreshed(t, root, edit.Add{Source: deb(t, "new"), Dest: "/pool/main/"}, edit.Remove{Pattern: "/pool/main/goes*"})
	apt := t.TempDir()
	for _, d := range []string{"lists/partial", "cache/archives/partial", "parts"} {
		if err := os.MkdirAll(filepath.Join(apt, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	sources, status := filepath.Join(apt, "sources.list"), filepath.Join(apt, "status")
	if err := errors.Join(os.WriteFile(sources, []byte("deb [trusted=yes] file:"+out+" bookworm main\n"), 0o644), os.WriteFile(status, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	options := []string{
		"-o", "Dir::Etc::sourcelist=" + sources, "-o", "Dir::Etc::sourceparts=" + filepath.Join(apt, "parts"), "-o", "Dir::State::lists=" + filepath.Join(apt, "lists"),
		"-o", "Dir::Cache=" + filepath.Join(apt, "cache"), "-o", "Dir::State::status=" + status, "-o", "APT::Architecture=amd64", "-o", "APT::Sandbox::User=root", "-q",
	}
	isotest.Run(t, "apt-get", append(slices.Clone(options), "update")...)
	isotest.Run(t, "apt-get", append(slices.Clone(options), "--download-only", "--yes", "install", "new", "stays")...)
	fetched := string(isotest.Run(t, "apt-get", append(slices.Clone(options), "--print-uris", "download", "new", "stays")...))
	for _, n := range []string{"new", "stays"} {
		if !strings.Contains(fetched, "pool/main/"+n+"_1_all.deb") {
			t.Errorf("apt knows no %s: %s", n, fetched)
		}
	}
	if known := string(isotest.Run(t, "apt-cache", append(slices.Clone(options), "pkgnames")...)); strings.Contains(known, "goes") {
		t.Errorf("apt knows a package that was removed: %s", known)
	}
	// All kinds of the index say the same, and Release has their sums.
	isotest.Run(t, "sh", "-c", "cd "+out+"/dists/bookworm/main/binary-amd64 && zcat Packages.gz | cmp - Packages && xzcat Packages.xz | cmp - Packages &&"+
		" grep -q $(sha256sum Packages.xz | cut -d' ' -f1) ../../Release && grep -q ^Codename:.bookworm ../../Release")
}

// TestRefreshNoComponent: a package that no index would list is refused, with the ones
// there are.
func TestRefreshNoComponent(t *testing.T) {
	isotest.Tool(t, "apt-ftparchive")
	root := t.TempDir()
	index := filepath.Join(root, "dists/bookworm/main/binary-arm64")
	if err := errors.Join(os.MkdirAll(index, 0o755), os.MkdirAll(filepath.Join(root, "pool/main"), 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{filepath.Join(index, "Packages"), filepath.Join(root, "dists/bookworm/Release")} {
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	base := filepath.Join(t.TempDir(), "base.iso")
	isotest.Run(t, "xorriso", "-as", "mkisofs", "-quiet", "-r", "-V", "REPO", "-o", base, root)
	b, err := baseimage.Open(base, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	pkg := deb(t, "new")
	for dest, ok := range map[string]bool{"/pool/main/": true, "/pool/extras/": false, "/pool/contrib/n/new/": false} {
		_, err := build.Build(t.Context(), b, []edit.Step{edit.Add{Source: pkg, Dest: dest}}, stage.Options{RefreshRepo: true})
		if ok != (err == nil) || !ok && (!errors.Is(err, pkgrepo.ErrComponent) || !strings.Contains(err.Error(), "main/binary-arm64")) {
			t.Errorf("%s: %v", dest, err)
		}
	}
}

// TestRefreshNeedsProgram: without the program there is an error that names the package.
func TestRefreshNeedsProgram(t *testing.T) {
	root := t.TempDir()
	for _, d := range []string{"Packages", "repodata"} {
		if err := os.Mkdir(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "repodata/repomd.xml"), []byte("<repomd/>"), 0o644); err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(t.TempDir(), "base.iso")
	isotest.Run(t, "xorriso", "-as", "mkisofs", "-quiet", "-r", "-V", "REPO", "-o", base, root)
	b, err := baseimage.Open(base, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	t.Setenv("PATH", t.TempDir())
	add := edit.Add{Source: localFile(t, "x.rpm", "x"), Dest: "/Packages/"}
	if _, err := build.Build(t.Context(), b, []edit.Step{add}, stage.Options{RefreshRepo: true}); !errors.Is(err, pkgrepo.ErrProgram) || !strings.Contains(err.Error(), "createrepo") {
		t.Error(err)
	}
	if _, err := build.Build(t.Context(), b, []edit.Step{add}, stage.Options{}); err != nil {
		t.Error(err)
	}
}
