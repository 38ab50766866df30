package main

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/isolayer/isolayer/internal/cpio"
	"github.com/isolayer/isolayer/internal/fat"
)

// installer makes the image that scripts find as installer.iso: laid out as Debian's is,
// with an initrd of one directory, and a list of checksums.
func installer(t *testing.T) []byte {
	t.Helper()
	m, err := cpio.New([]cpio.File{
		{Name: "etc", Mode: cpio.ModeDir | 0o755},
		{Name: "etc/conf", Mode: cpio.ModeReg | 0o644, Source: fat.Bytes([]byte("setting\n"))},
	})
	if err != nil {
		t.Fatal(err)
	}
	initrd := make([]byte, m.Size())
	if _, err := m.ReadAt(initrd, 0); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{
		".disk/info":             []byte("Debian GNU/Linux 12.4.0 \"Bookworm\" - Official amd64 NETINST 20231210-17:56\n"),
		".disk/base_installable": {},
		"install.amd/vmlinuz":    []byte("kernel"), "install.amd/initrd.gz": initrd,
		"isolinux/isolinux.bin": make([]byte, 4096),
		"isolinux/isolinux.cfg": []byte("default install\nlabel install\n\tkernel /install.amd/vmlinuz\n\tappend vga=788 initrd=/install.amd/initrd.gz --- quiet\n"),
	}
	var list bytes.Buffer
	for _, name := range []string{".disk/info", "install.amd/initrd.gz", "install.amd/vmlinuz", "isolinux/isolinux.cfg"} {
		fmt.Fprintf(&list, "%x  ./%s\n", md5.Sum(files[name]), name)
	}
	files["md5sum.txt"] = list.Bytes()
	dir, iso := t.TempDir(), filepath.Join(t.TempDir(), "installer.iso")
	for name, content := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("genisoimage", "-quiet", "-R", "-J", "-V", "Debian 12", "-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat",
		"-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "-o", iso, dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(iso)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
