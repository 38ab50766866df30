package isolayer_test

import (
	"path/filepath"
	"testing"

	"github.com/isolayer/isolayer"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/qemu"
	"github.com/isolayer/isolayer/sink"
)

// TestSample boots the sample in every way; other programs find it sound.
func TestSample(t *testing.T) {
	img, err := isolayer.Sample(nil)
	must(t, err)
	defer img.Close()
	out := filepath.Join(t.TempDir(), "sample.iso")
	_, err = img.WriteFile(t.Context(), out, sink.Options{})
	must(t, err)
	verified(t, out)
	if testing.Short() {
		return
	}
	if s := isotest.BsdtarErrors(t, out); s != "" {
		t.Error(s)
	}
	must(t, isotest.SevenZipTest(t, out))
	esp := local(t, "esp.img", object(t, out, "@efi"))
	isotest.Run(t, "fsck.fat", "-n", esp)
	for _, c := range []struct {
		f qemu.Firmware
		m qemu.Media
	}{{qemu.BIOS, qemu.CD}, {qemu.BIOS, qemu.USB}, {qemu.UEFI, qemu.CD}, {qemu.UEFI, qemu.USB}} {
		isotest.Boot(t, out, c.f, c.m, isolayer.SampleText)
	}
}
