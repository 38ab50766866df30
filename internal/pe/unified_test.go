package pe

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/isotest"
)

const stub = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"

// unifiedImage lets objcopy put sections behind systemd's stub, as the tools of
// distributions do.
func unifiedImage(t *testing.T, cmdline, linuxAt string) []byte {
	t.Helper()
	program(t, stub, "systemd-boot-efi")
	isotest.Tool(t, "objcopy")
	dir := t.TempDir()
	out := filepath.Join(dir, "uki.efi")
	args := []string{}
	add := func(name, content, at string) {
		p := filepath.Join(dir, strings.ReplaceAll(name+at, ".", "_"))
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--add-section", name+"="+p, "--change-section-vma", name+"="+at)
	}
	add(".cmdline", cmdline, "0x30000")
	add(".linux", strings.Repeat("kernel ", 1000), linuxAt)
	isotest.Run(t, "objcopy", append(args, stub, out)...)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// bytesSource is content in memory.
type bytesSource struct{ *bytes.Reader }

func (bytesSource) Name() string  { return "uki.efi" }
func (b bytesSource) Size() int64 { return b.Reader.Size() }

// section is what objcopy finds.
func sectionOf(t *testing.T, image []byte, name string) string {
	t.Helper()
	p, to := filepath.Join(t.TempDir(), "image.efi"), filepath.Join(t.TempDir(), "section")
	if err := os.WriteFile(p, image, 0o600); err != nil {
		t.Fatal(err)
	}
	isotest.Run(t, "objcopy", "-O", "binary", "--only-section", name, p, to)
	b, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestCmdline: objcopy finds the new arguments, and everything else as it was.
func TestCmdline(t *testing.T) {
	image := unifiedImage(t, "root=/dev/sda1 quiet\n", "0x2000000")
	b := open(t, image)
	old, err := b.Cmdlines()
	if err != nil || len(old) != 1 || old[0] != "root=/dev/sda1 quiet\n" || !b.Unified() || b.Signed() || b.Stub() < 250 {
		t.Fatalf("%q, %v, stub %d", old, err, b.Stub())
	}
	for _, text := range []string{"a=b", "", strings.Repeat("long ", 60), strings.Repeat("x", 4096)} {
		m, err := b.WithCmdlines(bytesSource{bytes.NewReader(image)}, 0, []string{text})
		if err != nil {
			t.Fatal(err)
		}
		made := make([]byte, m.Size())
		if _, err := m.ReadAt(made, 0); err != nil {
			t.Fatal(err)
		}
		again, err := open(t, made).Cmdlines()
		if err != nil || again[0] != text {
			t.Errorf("read again: %q (%v)", again, err)
		}
		if text != "" && strings.TrimRight(sectionOf(t, made, ".cmdline"), "\x00") != text {
			t.Errorf("objcopy finds %q, want %q", sectionOf(t, made, ".cmdline"), text)
		}
		for _, name := range []string{".linux", ".text", ".sdmagic"} {
			if sectionOf(t, made, name) != sectionOf(t, image, name) {
				t.Errorf("section %s changed", name)
			}
		}
	}
	big := strings.Repeat("x", maxText+1)
	if _, err := b.WithCmdlines(bytesSource{bytes.NewReader(image)}, 0, []string{big}); !errors.Is(err, ErrRoom) {
		t.Errorf("%d bytes: %v", len(big), err)
	}
}

// TestCmdlineRoom: arguments never reach into the section behind them.
func TestCmdlineRoom(t *testing.T) {
	image := unifiedImage(t, "first", "0x31000")
	b := open(t, image)
	src := extent.Source(bytesSource{bytes.NewReader(image)})
	if _, err := b.WithCmdlines(src, 0, []string{strings.Repeat("x", 0x1000)}); err != nil {
		t.Error(err)
	}
	if _, err := b.WithCmdlines(src, 0, []string{strings.Repeat("x", 0x1001)}); !errors.Is(err, ErrRoom) {
		t.Errorf("into the next section: %v", err)
	}
}

// TestAddon: objcopy takes it for a program with the arguments, and so do we.
func TestAddon(t *testing.T) {
	isotest.Tool(t, "objcopy")
	for _, text := range []string{"a=b c", strings.Repeat("long ", 2000)} {
		image := Addon(0x8664, text)
		b := open(t, image)
		if !b.EFI || b.Unified() || b.Machine.String() != "x64" {
			t.Errorf("%+v", b)
		}
		if got := strings.TrimRight(sectionOf(t, image, ".cmdline"), "\x00"); got != strings.TrimSpace(text) {
			t.Errorf("objcopy finds %q", got)
		}
	}
}
