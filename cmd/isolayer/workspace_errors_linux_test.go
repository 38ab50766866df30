package main

import (
	"os"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/isotest"
)

// TestWorkspaceErrors: what does not work says why, and what to do.
func TestWorkspaceErrors(t *testing.T) {
	bin, base := shared(t, "rhel-like-small")
	u := asRoot(t, bin)
	u.write("file", "x")
	if err := os.Mkdir(u.path("ram"), 0o755); err != nil {
		t.Fatal(err)
	}
	isotest.Run(t, "mount", "-t", "ramfs", "r", u.path("ram"))
	defer isotest.Run(t, "umount", u.path("ram"))
	if err := os.Mkdir(u.path("mnt"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code int
		args []string
		says string
		hint string
	}{
		{exitOurs, []string{"edit", base, "--", "no-such-shell"}, "no-such-shell", "SHELL"},
		{exitOurs, []string{"edit", base, "--workspace-dir", u.path("ram"), "--strategy", "overlay", "--", "true"}, "unsuitable file system", "--workspace-dir"},
		{1, []string{"build", base, "--strategy", "bind", "--add", "file:/new", "-o", "o.iso"}, "/new is not in the image", "overlay"},
		{1, []string{"build", base, "--strategy", "bind", "--rm", "/GPL", "-o", "o.iso"}, "laid over", "overlay"},
		{2, []string{"build", base, "--mastering", "xorriso", "-o", "o.iso"}, "works on a directory", "--strategy"},
		{1, []string{"umount", u.path("mnt")}, "nothing that isolayer mounted", "doctor"},
		{exitOurs, []string{"shield", "/proc", "--", "true"}, "/proc", "hint"},
		{exitOurs, []string{"shield", u.path("nowhere"), "--", "true"}, "no such file", "path"},
		{exitOurs, []string{"shield", u.path("mnt"), "--workspace-dir", u.path("ram"), "--", "true"}, "unsuitable file system", "--workspace-dir"},
		{1, []string{"mount", "--rw", u.path("ram/up"), base, u.path("mnt")}, "unsuitable file system", "UPPER"},
		{1, []string{"mount", base, u.path("ram")}, "mounted there already", "umount"},
		{1, []string{"mount", base, u.path("file")}, "not a directory", "name a directory"},
		{exitOurs, []string{"shield", u.path("file"), "--", "true"}, "not a directory", "name a directory"},
		{1, []string{"build", base, "--upper", u.path("file"), "-o", "o.iso"}, "not a directory", "name a directory"},
		{exitOurs, []string{"shield", u.dir, "--workspace-dir", u.dir, "--", "true"}, "inside what is shielded", "--workspace-dir"},
	} {
		o := u.run(c.args...)
		if o.code != c.code || !strings.Contains(o.errout, c.says) || !strings.Contains(o.errout, "hint: ") || !strings.Contains(o.errout, c.hint) {
			t.Errorf("%v: %s", c.args, o)
		}
	}
	if o := u.with(everybody, []string{"SHELL=/no/such/shell"}, "edit", base); o.code != exitOurs || !strings.Contains(o.errout, "isolayer: /no/such/shell: no such file or directory\nhint: name a program") {
		t.Error(o)
	}
	u.must("mount", base, "mnt")
	held, err := os.Open(u.path("mnt/EULA"))
	if err != nil {
		t.Fatal(err)
	}
	if o := u.run("umount", "mnt"); o.code != 1 || !strings.Contains(o.errout, "busy") || !strings.Contains(o.errout, "hint: ") {
		t.Error(o)
	}
	_ = held.Close()
	u.must("umount", "mnt")
	if o := u.must("doctor", "--workspace-dir", u.dir); !strings.Contains(o.out, "overlay ") || strings.Contains(o.out, u.path("mnt")) {
		t.Error(o)
	}
	if got := strings.Join(isotest.Paths(isotest.Bsdtar(t, base)), ""); !strings.Contains(got, "EULA") {
		t.Error("the base was changed")
	}
}
