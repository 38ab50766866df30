// Package edit has the steps that change an image, as data. A list of them goes into
// Build of package isolayer, which carries them out in order. It carries out none itself.
//
//	[]edit.Step{
//		edit.Put{Path: "/ks.cfg", Content: kickstart},
//		edit.Add{Source: "rpms", Dest: "/extra/"},
//		edit.Kargs{Args: []string{"inst.ks=cdrom:/ks.cfg"}},
//	}
//
// Paths in the image are absolute or count from its root; they have slashes, and where the
// image has names of Rock Ridge they mind case. A path that begins with @ names boot
// equipment: @efi is the EFI system partition, @bios the boot image for BIOS,
// @system-area the first 32 KiB, @part1 a partition, and @efi:/EFI/BOOT/grub.cfg a file inside
// of a FAT image. The equipment that an image has is listed by the command isolayer info.
//
// A step that cannot be carried out is an error of Build: what it names is not there, nothing
// matches, the image cannot record it. What it does in part only is a warning in the report.
package edit

import (
	"fmt"
)

// Step is one change of an image. For files there are [Put], [Add], [Remove], [Move], [Link],
// [Mkdir], [Chmod], [Chown] and [Layer]; for what boots [Kargs], [EntryKargs], [Label],
// [MenuTimeout], [DefaultEntry], [AddEntry] and [InitrdAdd]; for installers [AnswerFile].
// See RATIONALE.md, "Steps are data".
type Step interface {
	fmt.Stringer
	step()
}

// Other makes a Step of what embeds it: those that only this module has. Build refuses others.
type Other struct{}

//lint:ignore U1000 what embeds Other is in other packages
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

// Add puts a local file or directory tree into the image. Dest is the path it gets; empty,
// or ending in a slash, it is the directory that the source goes into with its name. Files
// replace files, directories merge, symbolic links inside a tree stay links. Files belong to
// root with mode 0644, or 0755 if somebody may execute them, unless BuildOptions preserve more.
//
// A Dest that names boot equipment, such as @efi, has its content replaced by a file. One like
// @efi:/EFI/BOOT/grub.cfg is a path inside of it: the FAT image grows if it must.
type Add struct{ Source, Dest string }

// Remove takes away what matches the pattern, directories with all below them. '*', '?' and
// [a-z] match within a name, '**' any number of directories, {a,b} either. A path that is
// there is meant as it is. Matching nothing is an error.
type Remove struct{ Pattern string }

// Move renames a file or directory. Nothing may be at New yet, but an existing directory
// receives what is moved.
type Move struct{ Old, New string }

// Link makes a symbolic link at Path, as [Put] does. Target is written as it is.
type Link struct{ Target, Path string }

// Mkdir makes a directory and its missing parents. One that is there stays as it is.
type Mkdir struct{ Path string }

// Chmod sets permission bits, setuid, setgid and sticky included: 0o755. The image must have
// Rock Ridge, else it is an error.
type Chmod struct {
	Mode uint32
	Path string
}

// Owner is the owner of a file, by numbers.
type Owner struct{ UID, GID uint32 }

// Chown sets the owner, by numbers. The image must have Rock Ridge, else it is an error.
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
