// Package menu says what boot loaders will do with the configurations of an image:
// which entries they offer, and which of them starts, with which command line, when
// nobody presses a key. It edits nothing and runs nothing; what depends on the machine or
// cannot be followed is said, never guessed.
package menu

import (
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/isolayer/isolayer/internal/bootcfg"
	"github.com/isolayer/isolayer/internal/grubscript"
)

// Files is a file system that loaders read; see bootcfg.Volume.
type Files = bootcfg.Volume

// Volume is a file system of an image.
type Volume struct {
	Prefix string // in front of the paths of its files, for users: "/" or "@efi:/"
	Files  Files
}

// Medium is what loaders see of an image.
type Medium struct {
	Volumes []Volume // the tree first, then what firmware boots from
	Label   string   // the volume id, as loaders and kernels look for it
	UUID    string   // the modification date, likewise
	Hints   bootcfg.Hints
}

// Platform is where a loader runs.
type Platform string

// The platforms.
const (
	BIOS    Platform = "BIOS"
	UEFI    Platform = "UEFI"
	S390    Platform = "s390"
	PowerPC Platform = "PowerPC"
)

// Loader is a program that reads configurations.
type Loader string

// The loaders.
const (
	Syslinux    Loader = "isolinux" // and syslinux, extlinux
	GRUB        Loader = "GRUB 2"
	Legacy      Loader = "GRUB legacy"
	SystemdBoot Loader = "systemd-boot"
	Limine      Loader = "Limine"
	REFInd      Loader = "rEFInd"
	ESXi        Loader = "mboot of ESXi"
	Zipl        Loader = "s390"
	BSD         Loader = "BSD loader"
)

// Kind is what an entry does.
type Kind string

// The kinds of entries.
const (
	Linux     Kind = "linux"
	Multiboot Kind = "multiboot" // a hypervisor or kernel with modules
	Chain     Kind = "chain"     // another loader, a boot sector, an EFI program, an image
	Local     Kind = "local"     // the disk of the machine
	Module    Kind = "module"    // a program of the loader's own
	Config    Kind = "config"    // another configuration
	Submenu   Kind = "submenu"
	Nothing   Kind = "nothing" // no command that starts anything
)

// Entry is something that a menu offers.
type Entry struct {
	File  string // of the volume, with its prefix
	Line  int    // from 1; 0 where all of the file is the entry
	ID    string // label of syslinux, id of GRUB, file of systemd-boot
	Title string
	Menus []string // titles of the menus around it
	Kind  Kind
	// Kernel is the path as written, Initrds likewise; Args is the command line of the
	// kernel without its path. Variables of GRUB have their values.
	Kernel     string
	Initrds    []string
	Args       string
	Hypervisor string // its path and arguments, where the kernel is a module of one
	Hidden     bool   // the menu does not show it
}

// Name is what users may call the entry.
func (e *Entry) Name() string {
	if e.Title != "" {
		return e.Title
	}
	return e.ID
}

// Boots reports an entry that starts a kernel with arguments.
func (e *Entry) Boots() bool { return e.Kind == Linux || e.Kind == Multiboot }

// Forever is the time of a menu that waits for a key.
const Forever = -1

// Start is what a loader does when nobody presses a key.
type Start struct {
	Entry *Entry // nil where none is started, or none that the menu has
	// After is how long the loader waits, in tenths of a second; Forever if it waits for a
	// key. Entry then is what the mark stands on.
	After int
	// Kernel and Args are the command line, also where no entry has it.
	Kind         Kind
	Kernel, Args string
	Initrds      []string // as written, those that are not there, too
	// Fails says why the loader tries that and nothing starts, empty if it does.
	Fails string
	// Unsure says why the answer may be another one, empty if it is not.
	Unsure string
}

// Waits reports a loader that starts nothing by itself.
func (s Start) Waits() bool { return s.After == Forever }

// Boots reports a start of a kernel by itself.
func (s Start) Boots() bool { return !s.Waits() && (s.Kind == Linux || s.Kind == Multiboot) }

// Seconds writes the time as users read it.
func (s Start) Seconds() string {
	if s.After%10 == 0 {
		return strconv.Itoa(s.After/10) + " s"
	}
	return strconv.Itoa(s.After/10) + "." + strconv.Itoa(s.After%10) + " s"
}

// What names what is started.
func (s Start) What() string {
	switch {
	case s.Entry != nil && s.Entry.Name() != "":
		return s.Entry.Name()
	case s.Kernel != "":
		return strings.TrimSpace(path.Base(s.Kernel) + " " + firstWords(s.Args))
	case s.Kind == Local:
		return "the disk of the machine"
	}
	return "nothing"
}

func firstWords(s string) string {
	if len(s) > 40 {
		return s[:37] + "..."
	}
	return s
}

// String is the start in words: "Install after 60 s", "waits at Install".
func (s Start) String() string {
	text := ""
	switch {
	case s.Waits() && s.What() != "nothing":
		text = "waits at " + s.What()
	case s.Waits():
		text = "waits"
	case s.After == 0:
		text = s.What() + " at once"
	default:
		text = s.What() + " after " + s.Seconds()
	}
	if s.Fails != "" {
		text += " (nothing starts: " + s.Fails + ")"
	}
	if s.Unsure != "" {
		text += " (not sure: " + s.Unsure + ")"
	}
	return text
}

// Menu is what a loader offers from one configuration that it reads by itself.
type Menu struct {
	Loader    Loader
	Platforms []Platform
	Root      string   // the file that is read first
	Files     []string // all that are read, the root in front
	Missing   []string // that are named and not there
	Entries   []*Entry
	Start     Start
	Notes     []string // what could not be followed

	grub  *grubscript.Result // of GRUB
	loads map[*grubscript.Load]*Entry
	paths map[*Entry][]*grubscript.Entry
}

// On writes the platforms.
func (m *Menu) On() string {
	var out []string
	for _, p := range m.Platforms {
		out = append(out, string(p))
	}
	if len(out) == 0 {
		return string(m.Loader)
	}
	return strings.Join(out, ", ")
}

// reader reads the files of one volume and notes which.
type reader struct {
	vol   Volume
	left  int // files to read
	bytes int64
	files []string // that were read, each once
	miss  []string
}

// The limits of following configurations.
const (
	maxReads   = 512
	maxBytes   = 16 << 20
	maxNesting = 32
	// maxIncludes is how many files isolinux 6 has open at once.
	maxIncludes = 120
	maxEntries  = 4096
)

func newReader(v Volume) *reader { return &reader{vol: v, left: maxReads, bytes: maxBytes} }

// read returns a configuration and its path in the volume; ok is false where it is not
// there or beyond the limits.
func (r *reader) read(name string) (found, text string, ok bool) {
	name = path.Clean(strings.TrimLeft(name, "/"))
	if r.left--; r.left < 0 || r.bytes < 0 {
		return "", "", false
	}
	found, dir, err := r.vol.Files.Lookup(name)
	if err != nil || dir {
		if errors.Is(err, fs.ErrNotExist) && len(r.miss) < maxReads {
			r.miss = appendOnce(r.miss, r.vol.Prefix+name)
		}
		return "", "", false
	}
	b, err := r.vol.Files.Read(found, bootcfg.MaxSize)
	if err != nil || b == nil {
		return "", "", false
	}
	r.bytes -= int64(len(b))
	r.files = appendOnce(r.files, r.vol.Prefix+found)
	return found, string(b), true
}

// has reports whether a file is there.
func (r *reader) has(name string) bool {
	_, dir, err := r.vol.Files.Lookup(path.Clean(strings.TrimLeft(name, "/")))
	return err == nil && !dir
}

// noKernel says why a file that is there is not a kernel, empty if it may be one: kernels of
// PCs have the mark of a boot sector.
func (r *reader) noKernel(name string) string {
	found, dir, err := r.vol.Files.Lookup(path.Clean(strings.TrimLeft(name, "/")))
	if err != nil || dir {
		return ""
	}
	b, err := r.vol.Files.Read(found, bootcfg.MaxSize)
	if err != nil || len(b) == 0 || len(b) >= 512 && b[510] == 0x55 && b[511] == 0xaa {
		return ""
	}
	return "is not a kernel"
}

func appendOnce(list []string, s string) []string {
	for _, x := range list {
		if x == s {
			return list
		}
	}
	return append(list, s)
}

// cut splits the first word of a line from the rest, both without blanks around.
func cut(s string) (word, rest string) {
	s = strings.Trim(s, " \t\r\v\f")
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		return s[:i], strings.Trim(s[i:], " \t")
	}
	return s, ""
}
