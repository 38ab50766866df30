package loadertest

import (
	"testing"

	"github.com/isolayer/isolayer/internal/isotest"
)

// Need skips the test, or fails it where CI is set, if something is missing that starting the
// loader takes.
func Need(tb testing.TB, l Loader) {
	tb.Helper()
	for _, name := range []string{"qemu-system-x86_64", "xorriso", "mcopy"} {
		isotest.Tool(tb, name)
	}
	if l.uefi() {
		isotest.DataFile(tb, ovmfCode)
	}
	switch l {
	case ISOLINUX:
		isotest.DataFile(tb, isolinuxBin)
		isotest.DataFile(tb, syslinuxDir+"/ldlinux.c32")
	case GRUB:
		isotest.Tool(tb, "grub-mkimage")
		isotest.DataFile(tb, grubDir+"i386-pc/boot_hybrid.img")
	case GRUBEFI:
		isotest.Tool(tb, "grub-mkimage")
		isotest.DataFile(tb, grubDir+"x86_64-efi/moddep.lst")
	case GRUBLegacy:
		isotest.DataFile(tb, unpacked(legacyStage2))
	case SystemBoot:
		isotest.DataFile(tb, systemBootEFI)
	case REFInd:
		isotest.DataFile(tb, unpacked(refindEFI))
	}
}
