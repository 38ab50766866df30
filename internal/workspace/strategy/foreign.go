package strategy

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/iso9660"
)

// mastering is another program's way to make an image like a base from a directory.
type mastering struct {
	commands [][]string // to be run in order; the first one makes the image
	// patched are files of the directory that the program writes boot info tables into:
	// it must be given copies.
	patched []string
}

// ErrMastering reports a base whose like the program cannot make.
var ErrMastering = errors.New("cannot be made by this program")

// like is an image whose like is to be made, with the texts of a descriptor.
type like struct {
	path  string
	image *iso9660.Image
	boot  *boot.Equipment
	texts *iso9660.Descriptor
}

// by returns the commands by which people make such an image of the directory dir, with
// program genisoimage or xorriso. What they cannot make is an error.
func (l like) by(program, dir, out string) (*mastering, error) {
	names, err := l.names()
	if err != nil {
		return nil, err
	}
	switch program {
	case "genisoimage":
		return l.genisoimage(dir, out, names)
	case "xorriso":
		return l.xorriso(dir, out, names)
	}
	return nil, fmt.Errorf("%s: %w", program, errors.ErrUnsupported)
}

// names are the options for the trees and the texts of the descriptors, which both
// programs share.
func (l like) names() ([]string, error) {
	var args []string
	rr, err := l.image.RockRidge(iso9660.Primary)
	if err != nil {
		return nil, err
	}
	if rr {
		args = append(args, "-R")
	}
	if l.image.Descriptor(iso9660.Joliet) != nil {
		args = append(args, "-J", "-joliet-long")
	}
	for _, x := range []struct{ flag, text string }{
		{"-V", l.texts.VolumeID()},
		{"-sysid", l.texts.SystemID()},
		{"-volset", l.texts.VolumeSetID()},
		{"-publisher", l.texts.Publisher()},
		{"-p", l.texts.Preparer()},
		{"-A", l.texts.Application()},
		{"-copyright", l.texts.Copyright()},
		{"-abstract", l.texts.Abstract()},
		{"-biblio", l.texts.Bibliographic()},
	} {
		if x.text != "" || strings.HasPrefix(x.flag, "-p") || x.flag == "-A" { // which have defaults
			args = append(args, x.flag, x.text)
		}
	}
	return args, nil
}

func (l like) xorriso(dir, out string, names []string) (*mastering, error) {
	args := append([]string{"xorriso", "-as", "mkisofs", "-quiet", "-iso-level", "3", "--hardlinks"}, names...)
	base, err := filepath.Abs(l.path) // it runs elsewhere
	if err != nil {
		return nil, err
	}
	for _, o := range l.boot.Options(base) {
		words, err := words(o)
		if err != nil {
			return nil, err
		}
		args = append(args, words...)
	}
	return &mastering{commands: [][]string{append(args, "-o", out, dir)}}, nil
}

func (l like) genisoimage(dir, out string, names []string) (*mastering, error) {
	m := &mastering{}
	args := append([]string{"genisoimage", "-quiet", "-U", "-iso-level", "3"}, names...)
	hybrid := false
	if s := l.boot.System; s.Used {
		if hybrid = s.MBR != nil && s.MBR.Code == boot.CodeIsohybrid; !hybrid {
			return nil, fmt.Errorf("%s: genisoimage: the boot code for disks %w", l.path, ErrMastering)
		}
	}
	uefi := false
	if c := l.boot.Catalog; c != nil {
		if c.Name != "" {
			args = append(args, "-c", strings.TrimPrefix(c.Name, "/"))
		}
		for i, e := range c.Entries {
			if e.Image.Name == "" {
				return nil, fmt.Errorf("%s: genisoimage: boot image %d is not a file: it %w", l.path, i+1, ErrMastering)
			}
			if i > 0 {
				args = append(args, "-eltorito-alt-boot")
			}
			flag := "-b"
			if e.Platform == boot.UEFI {
				flag, uefi = "-e", true
			}
			args = append(args, flag, strings.TrimPrefix(e.Image.Name, "/"))
			switch e.Media {
			case boot.NoEmulation:
				args = append(args, "-no-emul-boot")
			case boot.HardDisk:
				args = append(args, "-hard-disk-boot")
			}
			if flag == "-b" {
				args = append(args, "-boot-load-size", fmt.Sprint(e.Sectors))
			}
			if e.Image.BootInfo != nil {
				args = append(args, "-boot-info-table")
				m.patched = append(m.patched, path.Clean(e.Image.Name))
			}
		}
	}
	m.commands = append(m.commands, append(args, "-o", out, dir))
	if hybrid {
		cmd := []string{"isohybrid"}
		if uefi {
			cmd = append(cmd, "--uefi")
		}
		m.commands = append(m.commands, append(cmd, out))
	}
	return m, nil
}

// words splits an option as boot.Options writes it: at blanks, single quotes around what
// holds some.
func words(s string) ([]string, error) {
	var out []string
	var word strings.Builder
	inside, quoted := false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\'':
			quoted, inside = !quoted, true
		case c == '\\' && !quoted && i+1 < len(s):
			i++
			word.WriteByte(s[i])
			inside = true
		case c == ' ' && !quoted:
			if inside {
				out = append(out, word.String())
			}
			word.Reset()
			inside = false
		default:
			word.WriteByte(c)
			inside = true
		}
	}
	if quoted {
		return nil, fmt.Errorf("internal error: unbalanced quotes in %q", s)
	}
	if inside {
		out = append(out, word.String())
	}
	return out, nil
}
