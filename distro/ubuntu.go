package distro

import (
	"bytes"
	"fmt"
	"regexp"
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
	Signatures: debSignatures,
	Repository: Deb,
}

// autoinstallKey is the key that makes user data an answer file.
var autoinstallKey = regexp.MustCompile(`(?m)^autoinstall:`)

// ubuntuAutoinstall makes a seed of the data source that cloud-init looks at first, and
// says "autoinstall", without which the installer asks before it begins.
func ubuntuAutoinstall(m Medium, r *Release, f File) (Plan, error) {
	if strings.HasPrefix(r.Version, "18.") || strings.HasPrefix(r.Version, "16.") || strings.HasPrefix(r.Version, "14.") {
		return Plan{}, only(r, Autoinstall, "installers before 20.04 do not know it")
	}
	if m.has("preseed") && r.Kind == "desktop" && !m.has("casper/install-sources.yaml") {
		return Plan{}, only(r, Autoinstall, "its installer takes --preseed")
	}
	text := f.Content
	if !autoinstallKey.Match(text) {
		return Plan{}, fmt.Errorf("%s %w: it has no key autoinstall: at the beginning of a line", f.Path, ErrAnswer)
	}
	if !bytes.HasPrefix(text, []byte("#cloud-config")) {
		text = append([]byte("#cloud-config\n"), text...)
	}
	return Plan{
		Files: []File{{"/nocloud/user-data", text}, {"/nocloud/meta-data", []byte("instance-id: isolayer\n")}},
		// A trailing slash belongs to the place: files are named after it.
		Args:       []string{"autoinstall", "ds=nocloud;s=/cdrom/nocloud/"},
		Unattended: "the installer does not ask when it finds \"autoinstall\", and takes the largest disk if the file does not say otherwise",
	}, nil
}

// ubuntuPreseed is for the desktop installer up to 22.04.
func ubuntuPreseed(m Medium, r *Release, f File) (Plan, error) {
	if !m.has("preseed") {
		return Plan{}, only(r, Preseed, "it takes --autoinstall")
	}
	return Plan{
		Files:      []File{{"/preseed.cfg", f.Content}},
		Args:       []string{"automatic-ubiquity", "noprompt", "file=/cdrom/preseed.cfg"},
		Unattended: preseedWipes(f.Content),
	}, nil
}
