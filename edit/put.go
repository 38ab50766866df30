package edit

import (
	"io/fs"
	"time"

	"github.com/isolayer/isolayer/extent"
)

// Put puts one file, directory or symbolic link into the image without a local file: a file
// of the content that is given, a link if Link is not empty, a directory if Mode says so. It
// takes the place of a file or link; a directory that is there stays as it is. Parents that
// are missing are made.
//
// Path may be one inside of a FAT image, such as @efi:/EFI/BOOT/grub.cfg, where there are no
// links, and all files have the time of the build; or name boot equipment, such as @efi, whose
// content is replaced.
// See RATIONALE.md, "Put is one step for files, directories and links".
type Put struct {
	Path string
	// Content is what a file holds; it must not be changed before the image is closed.
	Content []byte
	// Source is what a file holds, in place of Content: for large ones, of which only what
	// is asked for is read.
	Source extent.Source
	// Link is the target of a symbolic link, as it is written: relative to its directory, or
	// absolute.
	Link string
	// Mode has the permission bits, with [fs.ModeSetuid], [fs.ModeSetgid] and
	// [fs.ModeSticky]; none means 0644, 0755 for a directory, which [fs.ModeDir] makes of it.
	Mode     fs.FileMode
	UID, GID uint32
	// ModTime is zero for the time that created directories get. Like that of local files it
	// is not after the Epoch of the build. Images record whole seconds.
	ModTime time.Time
}

func (p Put) String() string {
	switch {
	case p.Link != "":
		return "put link " + p.Path
	case p.Mode.IsDir():
		return "put directory " + p.Path
	}
	return "put " + p.Path
}

func (Put) step() {}
