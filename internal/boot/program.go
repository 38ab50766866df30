package boot

import (
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/pe"
)

// Program is an EFI program that firmware starts.
type Program struct {
	Path       string   `json:"path"` // @efi:/EFI/BOOT/BOOTX64.EFI
	Machine    string   `json:"machine"`
	Components []string `json:"components,omitempty"` // names and versions by its .sbat section
	// Signers are the certificates that signed it, by their own words; nothing is
	// verified.
	Signers []string `json:"signers,omitempty"`
	// Intact reports that the program is the one that was signed.
	Intact bool `json:"intact"`
}

// Programs lists the programs that UEFI firmware starts from removable media:
// EFI/BOOT/BOOT*.EFI in every FAT image that it boots from (UEFI 3.5.1.1). What
// cannot be read is left out. src is the image.
func (e *Equipment) Programs(src io.ReaderAt, budget *fault.Budget) []Program {
	var out []Program
	ways := e.Ways()
	for _, o := range e.Objects() {
		starts := func(w Way) bool { return w.Object == o && w.Firmware == UEFI.String() }
		if !o.BootsBeside([]Platform{BIOS}) && !slices.ContainsFunc(ways, starts) {
			continue
		}
		img, err := fat.OpenWithin(io.NewSectionReader(src, o.Off, o.Len), o.Len, budget)
		if err != nil {
			continue
		}
		list, err := fs.ReadDir(img, "EFI/BOOT")
		if err != nil {
			continue
		}
		for _, d := range list {
			name := strings.ToUpper(d.Name())
			if ok, _ := path.Match("BOOT*.EFI", name); !ok {
				continue
			}
			if p, ok := program(img, "EFI/BOOT/"+d.Name()); ok {
				p.Path = o.Name + ":/" + p.Path
				out = append(out, p)
			}
		}
	}
	return out
}

// program reads one program; ok is false for another kind of file.
func program(img *fat.Image, name string) (out Program, ok bool) {
	f, err := img.Open(name)
	if err != nil {
		return out, false
	}
	defer f.Close()
	info, err := f.Stat()
	r, isAt := f.(io.ReaderAt)
	if err != nil || !isAt {
		return out, false
	}
	p, err := pe.Open(r, info.Size())
	if err != nil {
		return out, false
	}
	out = Program{Path: name, Machine: p.Machine.String()}
	at := map[string]int{} // distributors repeat a package with their own version
	for _, c := range p.SBAT {
		text := strings.TrimSpace(c.Package + " " + c.Version)
		if i, ok := at[c.Package]; ok {
			out.Components[i] = text
		} else if c.Name != "sbat" { // the format itself
			at[c.Package] = len(out.Components)
			out.Components = append(out.Components, text)
		}
	}
	for i, s := range p.Signatures {
		for _, w := range s.Signers {
			out.Signers = append(out.Signers, w.Name)
		}
		intact, err := p.Intact(s)
		out.Intact = err == nil && intact && (i == 0 || out.Intact)
	}
	return out, true
}
