// Package edit has the steps that change an image, as data. A list of them goes into
// Build of package isolayer, which carries them out in order.
//
// Paths in the image are absolute or count from its root. A path that begins with @ names
// boot equipment: @efi is the EFI system partition, @bios the boot image for BIOS,
// @system-area the first 32 KiB, and @efi:/EFI/BOOT/grub.cfg a file inside of the partition.
package edit

import (
	"fmt"
)

// Step is one change of an image as users state it. The variants are Add,
// Remove, Move, Link, Mkdir, Chmod, Chown and Layer, and for what it boots Kargs, Label,
// MenuTimeout, DefaultEntry and AddEntry; paths in the image are absolute or count
// from its root.
type Step interface {
	fmt.Stringer
	step()
}

// Other makes a Step of what embeds it: steps that only this module has.
type Other struct{}

func (Other) step() {}

func (Add) step() {}

func (Remove) step() {}

func (Move) step() {}

func (Link) step() {}

func (Mkdir) step() {}

func (Chmod) step() {}

func (Chown) step() {}

func (Kargs) step() {}

func (EntryKargs) step() {}

func (Label) step() {}

func (MenuTimeout) step() {}

func (DefaultEntry) step() {}

func (AddEntry) step() {}

func (InitrdAdd) step() {}

func (AnswerFile) step() {}

func (Layer) step() {}

// Add puts a local file or directory tree into the image. Dest defaults to the
// root; ending in a slash it is the directory the source goes into. Files
// replace files, directories merge, symbolic links inside a tree stay links.
//
// A Dest that begins with @ names boot equipment (see boot.Object): the file then
// replaces what no directory lists. One like @efi:/EFI/BOOT/grub.cfg is a path inside of
// it: the FAT image there grows if it must.
type Add struct{ Source, Dest string }

// Remove takes away what matches the pattern, directories with all below them.
// '**' matches any number of directories. Matching nothing is an error.
type Remove struct{ Pattern string }

// Move renames a file or directory.
type Move struct{ Old, New string }

// Link makes a symbolic link at Path.
type Link struct{ Target, Path string }

// Mkdir makes a directory and its missing parents.
type Mkdir struct{ Path string }

// Chmod sets permission bits.
type Chmod struct {
	Mode uint32
	Path string
}

// Owner is the owner of a file, by numbers.
type Owner struct{ UID, GID uint32 }

// Chown sets the owner.
type Chown struct {
	UID, GID uint32
	Path     string
}

func (a Add) String() string {
	if a.Dest == "" {
		return "add " + a.Source
	}
	return "add " + a.Source + " to " + a.Dest
}

func (r Remove) String() string { return "rm " + r.Pattern }

func (m Move) String() string { return "mv " + m.Old + " to " + m.New }

func (l Link) String() string { return "ln " + l.Target + " at " + l.Path }

func (m Mkdir) String() string { return "mkdir " + m.Path }

func (c Chmod) String() string { return fmt.Sprintf("chmod %o %s", c.Mode, c.Path) }

func (c Chown) String() string { return fmt.Sprintf("chown %d:%d %s", c.UID, c.GID, c.Path) }
