package distro

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
)

// photon are VMware's Photon OS installers.
var photon = &Family{
	Name: "photon",
	Recognise: func(m Medium) *Release {
		if !m.has("isolinux", "RPMS") || !strings.HasPrefix(strings.ToUpper(m.Label), "PHOTON") && !strings.Contains(m.menus(), "photon.media") {
			return nil
		}
		r := &Release{Name: "Photon OS", Kind: "installer"}
		names, err := m.List("RPMS")
		if err == nil && len(names) == 1 {
			r.Arch = names[0]
		}
		for _, arch := range []string{"x86_64", "aarch64"} {
			if m.has("RPMS/" + arch) {
				r.Arch = arch
			}
		}
		return r
	},
	Answers:    map[Kind]Rule{Kickstart: photonKickstart},
	Repository: RPM,
}

// photonKickstart puts the file where the installer finds it once it has mounted its
// medium. It is a document of JSON, since Photon 5 also of YAML.
func photonKickstart(_ Medium, _ *Release, f File) (Plan, error) {
	var config map[string]any
	if err := yaml.Unmarshal(f.Content, &config); err != nil || config == nil {
		return Plan{}, fmt.Errorf("%s %w: Photon OS reads JSON or YAML, not the commands of Anaconda", f.Path, ErrAnswer)
	}
	if config["disk"] == nil && config["disks"] == nil {
		return Plan{}, fmt.Errorf("%s %w: it has no key disk or disks", f.Path, ErrAnswer)
	}
	p := Plan{
		Files:      []File{{"/isolinux/ks.cfg", f.Content}},
		Args:       []string{"ks=cdrom:/isolinux/ks.cfg"},
		Unattended: "the installer overwrites the disk that the kickstart file names, without asking",
	}
	if !json.Valid(f.Content) {
		p.Notes = append(p.Notes, "the kickstart file is YAML; installers before Photon 5 read JSON only")
	}
	return p, nil
}
