package distro

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// coreos are the live images of Fedora CoreOS and RHEL CoreOS.
var coreos = &Family{
	Name: "coreos",
	Recognise: func(m Medium) *Release {
		if !m.has("images/ignition.img") && !m.has("coreos/igninfo.json") && !m.has("coreos/kargs.json") {
			return nil
		}
		r := &Release{Name: "CoreOS", Version: first(coreosVersion, m.Label), Kind: "live"}
		switch label := strings.ToLower(m.Label); {
		case strings.HasPrefix(label, "fedora"):
			r.Name = "Fedora CoreOS"
		case strings.HasPrefix(label, "rhcos"):
			r.Name = "RHEL CoreOS"
		case strings.HasPrefix(label, "scos"):
			r.Name = "CentOS Stream CoreOS"
		}
		return r
	},
	Answers: map[Kind]Rule{Ignition: func(_ Medium, _ *Release, f File) (Plan, error) {
		var config struct {
			Ignition *struct {
				Version string `json:"version"`
			} `json:"ignition"`
		}
		switch err := json.Unmarshal(f.Content, &config); {
		case err != nil:
			return Plan{}, fmt.Errorf("%s %w: %w; butane makes one of a Butane config", f.Path, ErrAnswer, err)
		case config.Ignition == nil || config.Ignition.Version == "":
			return Plan{}, fmt.Errorf("%s %w: it has no ignition.version", f.Path, ErrAnswer)
		}
		p := Plan{Area: []File{{"config.ign", f.Content}}, Always: true}
		if strings.Contains(string(f.Content), "coreos-installer") || strings.Contains(string(f.Content), "coreos.inst") {
			p.Unattended = "the config names coreos-installer, which overwrites a disk"
		}
		p.Notes = append(p.Notes, "the config is for the live system; to install, it has to run coreos-installer")
		return p, nil
	}},
}

var coreosVersion = regexp.MustCompile(`([0-9]+\.[0-9.]*[0-9](?:-[0-9]+)?)`)
