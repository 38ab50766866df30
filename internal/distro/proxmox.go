package distro

import (
	"fmt"
	"regexp"
)

// proxmox are the installers of Proxmox VE, Backup Server, Mail Gateway and Datacenter
// Manager.
var proxmox = &Family{
	Name: "proxmox",
	Recognise: func(m Medium) *Release {
		for _, p := range []string{"pve", "pbs", "pmg", "pdm"} {
			if m.has("." + p + "-cd-id.txt") {
				info := m.text(".cd-info")
				r := &Release{Name: setting(info, "", "PRODUCTLONG"), Version: setting(info, "", "RELEASE"), Kind: "installer", Arch: "amd64"}
				if r.Name == "" {
					r.Name = "Proxmox " + p
				}
				return r
			}
		}
		return nil
	},
	Answers: map[Kind]Rule{Answer: proxmoxAnswer},
}

var proxmoxGlobal = regexp.MustCompile(`(?m)^\s*\[\s*global\s*\]|^\s*global\s*[.=]`)

// proxmoxAnswer puts the file at the root, and one beside it that makes the boot menu
// show an entry for it, which starts by itself.
func proxmoxAnswer(m Medium, r *Release, f File) (Plan, error) {
	if !proxmoxGlobal.Match(f.Content) {
		return Plan{}, fmt.Errorf("%s %w: it has no table [global]", f.Path, ErrAnswer)
	}
	if menu := m.text("boot/grub/grub.cfg"); menu != "" && !regexp.MustCompile(`auto-installer-mode\.toml`).MatchString(menu) {
		return Plan{}, only(r, Answer, "installers before 8.2 read none")
	}
	return Plan{
		Files:      []File{{"/answer.toml", f.Content}, {"/auto-installer-mode.toml", []byte("mode = \"iso\"\n\n[http]\n")}},
		Always:     true,
		Unattended: "the menu's automatic entry starts by itself and overwrites the disks that the file names",
	}, nil
}
