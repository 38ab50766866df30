package isolayer

import (
	"errors"
	"fmt"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/sample"
	"github.com/isolayer/isolayer/internal/tree"
)

// SampleText is what the image of Sample prints when it boots.
const SampleText = "ISOLAYER-SAMPLE-BOOTED"

// sampleESP is the size of the sample's EFI system partition: the least that all firmware
// takes for a file system.
const sampleESP = 1 << 20

// Sample plans a small image that boots with BIOS and UEFI, from CD and disk: programs of
// our own that print SampleText on the screen and the first serial port. epoch is the
// time of its files; nil: 1 January 2024.
func Sample(epoch *time.Time) (img *Image, err error) {
	when := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	if epoch != nil {
		when = *epoch
	}
	s := newScan(MasterOptions{
		RockRidge: true, Joliet: true, Padding: 150, Epoch: &when,
		Texts: iso9660.VolumeTexts{System: "LINUX", Volume: "ISOLAYER_SAMPLE", Application: "ISOLAYER"},
	})
	defer func() {
		if err != nil {
			err = errors.Join(err, s.files.Close())
		}
	}()
	text := SampleText + "\r\n"
	esp, err := espWith(sample.EFI(text), when)
	if err != nil {
		return nil, fmt.Errorf("sample: %w", err)
	}
	bios := sample.BIOS(text)
	for p, content := range map[string]extent.Source{
		"/boot/bios.img":          inMemory("boot sector", append(bios, make([]byte, iso9660.BlockSize-len(bios))...)),
		"/boot/efi.img":           esp,
		"/EFI/BOOT/BOOTX64.EFI":   inMemory("EFI program", sample.EFI(text)),
		"/README.TXT":             inMemory("text", []byte(sampleReadme)),
		"/docs/numbers/seven.txt": inMemory("text", []byte("7\n")),
	} {
		if _, err := s.put(p, tree.Attr{Mode: iso9660.ModeRegular | 0o444, ModTime: when}, content); err != nil {
			return nil, fmt.Errorf("sample: %w", err)
		}
	}
	sortTree(s.tree.Root)
	clear(s.byName) // whose places are others now
	none := byte(0)
	s.o.Boot = &MasterBoot{
		Catalog: "/boot/boot.cat",
		Entries: []MasterEntry{
			{EntrySpec: boot.EntrySpec{Platform: boot.BIOS, Sectors: 4}, Path: "/boot/bios.img"},
			{EntrySpec: boot.EntrySpec{Platform: boot.UEFI, Partition: true}, Path: "/boot/efi.img"},
		},
		Spec: boot.Spec{Code: boot.CodeOther, Boot: bios, Protective: true, MBRType: &none},
	}
	return s.plan()
}

const sampleReadme = `This image boots with BIOS and UEFI, from CD and disk. It prints a text and stops:

` + SampleText + `
`

// inMemory is content that no file holds.
func inMemory(name string, b []byte) extent.Source {
	m, err := extent.New([]extent.Extent{extent.BytesOf(0, b)})
	if err != nil {
		panic("internal error: " + err.Error()) // bytes are always an extent
	}
	return extent.Compose(name, m)
}

// espWith makes an EFI system partition with a program where firmware looks for one
// (UEFI 3.5.1.1).
func espWith(program []byte, when time.Time) (extent.Source, error) {
	blank, err := fat.Create(fat.Format{Size: sampleESP, Label: "SAMPLE", ID: 0x15014e12, Time: when})
	if err != nil {
		return nil, err
	}
	base := extent.Compose("EFI system partition", blank)
	vol, err := fat.Open(base, base.Size())
	if err != nil {
		return nil, err
	}
	e, err := vol.Edit(fat.Options{Time: when, Base: base})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(e.Mkdir("EFI"), e.Mkdir("EFI/BOOT"), e.Add("EFI/BOOT/BOOTX64.EFI", inMemory("EFI program", program))); err != nil {
		return nil, err
	}
	m, err := e.Map()
	if err != nil {
		return nil, err
	}
	b := make([]byte, m.Size())
	if _, err := m.ReadAt(b, 0); err != nil {
		return nil, err
	}
	return inMemory("EFI system partition", b), nil
}
