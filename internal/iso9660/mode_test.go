package iso9660_test

import (
	"testing"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// TestModesBothWays: each type of file, with all bits and with none.
func TestModesBothWays(t *testing.T) {
	for _, kind := range []uint32{iso9660.ModeDir, iso9660.ModeRegular, iso9660.ModeSymlink, iso9660.ModeChar, iso9660.ModeBlock, iso9660.ModeFIFO, iso9660.ModeSocket} {
		for _, bits := range []uint32{0, 0o4711, 0o2070, 0o1007, 0o7777} {
			if got := iso9660.StMode(iso9660.FileMode(kind | bits)); got != kind|bits {
				t.Errorf("%o came back as %o", kind|bits, got)
			}
		}
	}
}
