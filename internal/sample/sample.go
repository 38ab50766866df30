package sample

import (
	"errors"
	"fmt"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/master/scan"
)

// Text is what the image prints when it boots.
const Text = "ISOLAYER-SAMPLE-BOOTED"

// espSize is the size of the EFI system partition: the least that all firmware takes for a
// file system.
const espSize = 1 << 20

// readme is what the image says of itself.
const readme = `This image boots with BIOS and UEFI, from CD and disk. It prints a text and stops:

` + Text + `
`

// Plan plans a small image that boots with BIOS and UEFI, from CD and disk, and prints Text
// on the screen and the first serial port. when is the time of its files.
func Plan(when time.Time) (*scan.Result, error) {
	program, code := EFI(Text+"\r\n"), BIOS(Text+"\r\n")
	esp, err := espWith(program, when)
	if err != nil {
		return nil, fmt.Errorf("sample: %w", err)
	}
	file := func(path string, content extent.Source) scan.Graft {
		return scan.Graft{Dest: path, Content: content}
	}
	none := byte(0)
	res, err := scan.Plan([]scan.Graft{
		file("/EFI/BOOT/BOOTX64.EFI", extent.Memory("EFI program", program)),
		file("/README.TXT", extent.Memory("text", []byte(readme))),
		file("/boot/bios.img", extent.Memory("boot sector", append(code, make([]byte, iso9660.BlockSize-len(code))...))),
		file("/boot/efi.img", esp),
		file("/docs/numbers/seven.txt", extent.Memory("text", []byte("7\n"))),
	}, scan.Options{
		RockRidge: true, Joliet: true, Padding: 150, Epoch: &when,
		Texts: iso9660.VolumeTexts{System: "LINUX", Volume: "ISOLAYER_SAMPLE", Application: "ISOLAYER"},
		Boot: &scan.Boot{
			Catalog: "/boot/boot.cat",
			Entries: []scan.Entry{
				{EntrySpec: boot.EntrySpec{Platform: boot.BIOS, Sectors: 4}, Path: "/boot/bios.img"},
				{EntrySpec: boot.EntrySpec{Platform: boot.UEFI, Partition: true}, Path: "/boot/efi.img"},
			},
			Spec: boot.Spec{Code: boot.CodeOther, Boot: code, Protective: true, MBRType: &none},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("sample: %w", err)
	}
	return res, nil
}

// espWith makes an EFI system partition with a program where firmware looks for one
// (UEFI 3.5.1.1).
func espWith(program []byte, when time.Time) (extent.Source, error) {
	blank, err := fat.Create(fat.Format{Size: espSize, Label: "SAMPLE", ID: 0x15014e12, Time: when})
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
	if err := errors.Join(e.Mkdir("EFI"), e.Mkdir("EFI/BOOT"), e.Add("EFI/BOOT/BOOTX64.EFI", extent.Memory("EFI program", program))); err != nil {
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
	return extent.Memory("EFI system partition", b), nil
}
