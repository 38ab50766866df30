package distro

import (
	"fmt"
	"slices"
	"strings"
)

// ubuntu are Ubuntu's live installers, and its flavours'.
var ubuntu = &Family{
	Name: "ubuntu",
	Recognise: func(m Medium) *Release {
		if !m.has("casper") {
			return nil
		}
		r, _ := readDiskInfo(m)
		if r == nil {
			r = &Release{Name: "Ubuntu"}
		}
		switch {
		case strings.Contains(r.Name, "Server") || m.has("casper/ubuntu-server-minimal.squashfs"):
			r.Kind = "live server"
		default:
			r.Kind = "desktop"
		}
		return r
	},
	Answers:    map[Kind]Rule{Autoinstall: ubuntuAutoinstall, Preseed: ubuntuPreseed},
	Argument:   debianArgument,
	Signatures: debSignatures,
	Repository: Deb,
}

// subiquity reports Canonical's installer on the medium, the only one that reads
// autoinstall. Many live systems are made with casper alone and install with Calamares or
// a program of their own.
func subiquity(m Medium, r *Release) bool {
	if m.has("casper/install-sources.yaml") || r.Kind == "live server" {
		return true
	}
	names, _ := m.List("casper")
	return slices.ContainsFunc(names, func(n string) bool {
		return n == "installer.squashfs" || strings.HasSuffix(n, ".installer.squashfs") || strings.HasSuffix(n, ".live.squashfs")
	})
}

// ubuntuAutoinstall makes a seed of the data source that cloud-init looks at first, and
// says "autoinstall", without which the installer asks before it begins.
func ubuntuAutoinstall(m Medium, r *Release, f File) (Plan, error) {
	switch {
	case strings.HasPrefix(r.Version, "18.") || strings.HasPrefix(r.Version, "16.") || strings.HasPrefix(r.Version, "14."):
		return Plan{}, only(r, Autoinstall, "installers before 20.04 do not know it")
	case !subiquity(m, r) && m.has("preseed"):
		return Plan{}, only(r, Autoinstall, "its installer takes preseed")
	case !subiquity(m, r):
		return Plan{}, only(r, Autoinstall, "Ubuntu's installer (subiquity) is not on it: there is no casper/install-sources.yaml")
	}
	text, notes, err := userData(f.Content)
	if err != nil {
		return Plan{}, fmt.Errorf("%s %w: %w", f.Path, ErrAnswer, err)
	}
	return Plan{
		Files: []File{{"/nocloud/user-data", text}, {"/nocloud/meta-data", []byte("instance-id: isolayer\n")}},
		// A trailing slash belongs to the place: files are named after it.
		Args:       []string{"autoinstall", "ds=nocloud;s=/cdrom/nocloud/"},
		Unattended: "the installer does not ask when it finds \"autoinstall\", and takes the largest disk if the file does not say otherwise",
		Notes:      notes,
	}, nil
}

// ubuntuPreseed is for the desktop installer up to 22.04.
func ubuntuPreseed(m Medium, r *Release, f File) (Plan, error) {
	if !m.has("preseed") {
		return Plan{}, only(r, Preseed, "it takes autoinstall")
	}
	return Plan{
		Files:      []File{{"/preseed.cfg", f.Content}},
		Args:       []string{"automatic-ubiquity", "noprompt", "file=/cdrom/preseed.cfg"},
		Unattended: preseedWipes(f.Content),
	}, nil
}
