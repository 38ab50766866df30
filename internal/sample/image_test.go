package sample_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/isotest/readback"
	"github.com/isolayer/isolayer/internal/qemu"
	"github.com/isolayer/isolayer/internal/sample"
	"github.com/isolayer/isolayer/sink"
)

// TestSample boots the sample in every way; other programs find it sound.
func TestSample(t *testing.T) {
	img, err := build.Sample(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	out := filepath.Join(t.TempDir(), "sample.iso")
	if _, err := img.WriteFile(t.Context(), out, sink.Options{}); err != nil {
		t.Fatal(err)
	}
	readback.Verified(t, out)
	if testing.Short() {
		return
	}
	if s := isotest.BsdtarErrors(t, out); s != "" {
		t.Error(s)
	}
	if err := isotest.SevenZipTest(t, out); err != nil {
		t.Error(err)
	}
	isotest.Run(t, "fsck.fat", "-n", espOf(t, out))
	for _, c := range []struct {
		f qemu.Firmware
		m qemu.Media
	}{{qemu.BIOS, qemu.CD}, {qemu.BIOS, qemu.USB}, {qemu.UEFI, qemu.CD}, {qemu.UEFI, qemu.USB}} {
		isotest.Boot(t, out, c.f, c.m, sample.Text)
	}
}

// espOf is a file with the EFI system partition of an image.
func espOf(t *testing.T, image string) string {
	t.Helper()
	b, err := baseimage.Open(image, baseimage.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	r, err := b.Object("@efi")
	if err != nil {
		t.Fatal(err)
	}
	var content bytes.Buffer
	if _, err := io.Copy(&content, r); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "esp.img")
	if err := os.WriteFile(name, content.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}
