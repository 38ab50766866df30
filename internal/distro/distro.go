// Package distro says which distribution an image is of, by the image's own files, and
// where the installer of each family looks for an answer file.
//
// It reads what it is given and changes nothing. A family is a value with rules, in a
// file of its own, with a fixture in testdata.
package distro

import (
	"regexp"
	"strings"
)

// Volume is the tree of an image as boot loaders see it.
type Volume interface {
	// Lookup finds a file or directory in any case, following links; fs.ErrNotExist
	// without one.
	Lookup(name string) (found string, dir bool, err error)
	// List returns the names in a directory.
	List(dir string) ([]string, error)
	// Read returns the content of a file, nil if it has more than limit bytes or is none.
	Read(name string, limit int64) ([]byte, error)
}

// Medium is an image to be recognised.
type Medium struct {
	Volume
	Label string // volume id
	UDF   bool   // it has a UDF file system, which is not what Volume shows
}

// Family is a kind of installer, or of live system.
// See RATIONALE.md, "A family is a value".
type Family struct {
	Name string // as programs know it
	// Recognise returns what the image is, nil if it is not of this family.
	Recognise func(m Medium) *Release
	// Answers are the answer files that its installers read.
	Answers map[Kind]Rule
	// Argument returns one name for all that the installer takes for one kernel argument;
	// nil where each has one name.
	Argument func(name string) string
	// Checks returns, for a file whose signature the installer insists on, which of the
	// files that it lists the installer compares with it; nil for other files. All paths
	// are of the tree, without a slash in front.
	Checks func(list string) func(name string) bool
	// Signatures says what becomes of a signature that does not hold any more, by the
	// path of what it signs; empty if nobody looks at it.
	Signatures func(signed string) string
	// Repository is the kind of package repository on its media.
	Repository Repository
}

// Release is what an image was recognised as.
type Release struct {
	Family  *Family `json:"-"`
	ID      string  `json:"family"`
	Name    string  `json:"name"`
	Version string  `json:"version,omitempty"`
	Arch    string  `json:"arch,omitempty"`
	Kind    string  `json:"kind"` // installer, netboot, live, …
}

// String is the release on one line.
func (r *Release) String() string {
	s := r.Name
	for _, part := range []string{r.Version, r.Arch} {
		if part != "" {
			s += " " + part
		}
	}
	return s + " (" + r.ID + ", " + r.Kind + ")"
}

// Repository is a kind of package repository.
type Repository string

// The kinds.
const (
	NoRepository Repository = ""
	RPM          Repository = "rpm"
	Deb          Repository = "deb"
)

// Families are all that are known. The first that recognises an image has it; those that
// look at one certain file come first.
var Families = []*Family{coreos, proxmox, esxi, windows, xenserver, photon, arch, agama, suse, ubuntu, debianLive, debian, fedora, rhel}

// Generic is the family of what no other recognises.
var Generic = &Family{Name: "generic"}

// Argument returns one name for all that the installer of the image takes for one kernel
// argument, such as file for preseed/file.
func (r *Release) Argument(name string) string {
	if r.Family.Argument == nil {
		return name
	}
	return r.Family.Argument(name)
}

// Recognise says what an image is. It never fails: what is not known is generic.
func Recognise(m Medium) *Release {
	for _, f := range Families {
		if r := f.Recognise(m); r != nil {
			r.Family, r.ID = f, f.Name
			return r
		}
	}
	return &Release{Family: Generic, ID: Generic.Name, Name: "unknown", Kind: "unknown"}
}

// maxText is the size up to which files are read. Those looked at have some lines.
const maxText = 256 << 10

// has reports whether all of the paths are there.
func (m Medium) has(names ...string) bool {
	for _, n := range names {
		if _, _, err := m.Lookup(n); err != nil {
			return false
		}
	}
	return true
}

// text is the content of a file, empty if it cannot be had.
func (m Medium) text(name string) string {
	b, err := m.Read(name, maxText)
	if err != nil {
		return ""
	}
	return string(b)
}

// menuFiles are where boot menus are that say which installer they start.
var menuFiles = []string{
	"isolinux/isolinux.cfg", "isolinux/grub.conf", "EFI/BOOT/grub.cfg", "EFI/BOOT/BOOT.conf", "EFI/BOOT/BOOTX64.conf",
	"boot/grub/grub.cfg", "boot/grub2/grub.cfg", "boot/grub2/grub-iso.cfg", "boot/isolinux/isolinux.cfg", "images/generic.prm",
}

// menus is the text of the usual boot menus.
func (m Medium) menus() string {
	var all strings.Builder
	for _, name := range menuFiles {
		all.WriteString(m.text(name))
	}
	return all.String()
}

// line is line n of a text, from 0, without blanks around it.
func line(text string, n int) string {
	lines := strings.Split(text, "\n")
	if n >= len(lines) {
		return ""
	}
	return strings.TrimSpace(lines[n])
}

// first is what the first group of a pattern matches in a text.
func first(pattern *regexp.Regexp, text string) string {
	if m := pattern.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// setting is a value of a file with sections, as .treeinfo is one. Without a section
// those in front of the first are meant.
func setting(text, section, key string) string {
	in := ""
	for l := range strings.Lines(text) {
		l = strings.TrimSpace(l)
		if strings.HasPrefix(l, "[") && strings.HasSuffix(l, "]") {
			in = l[1 : len(l)-1]
			continue
		}
		if k, v, ok := strings.Cut(l, "="); ok && in == section && strings.TrimSpace(k) == key {
			return strings.Trim(strings.TrimSpace(v), `"'`)
		}
	}
	return ""
}
