package distro

import (
	"regexp"
	"slices"
	"strings"
)

// esxi are the installers of VMware ESXi.
var esxi = &Family{
	Name: "esxi",
	Recognise: func(m Medium) *Release {
		text := m.text("boot.cfg")
		if !strings.Contains(text, "kernelopt=") || !strings.Contains(strings.ToLower(text), "b.b00") && !strings.Contains(strings.ToLower(text), "esx") {
			return nil
		}
		return &Release{Name: "VMware ESXi", Version: first(esxiBuild, text), Arch: "x86_64", Kind: "installer"}
	},
	Answers: map[Kind]Rule{Kickstart: func(_ Medium, _ *Release, f File) (Plan, error) {
		p := Plan{Files: []File{{"/KS.CFG", f.Content}}, Args: []string{"ks=cdrom:/KS.CFG"}}
		words := commands(f.Content)
		if slices.Contains(words, "clearpart") || strings.Contains(string(f.Content), "--overwritevmfs") || slices.Contains(words, "install") {
			p.Unattended = "the script installs to a disk without asking"
		}
		return p, nil
	}},
}

var esxiBuild = regexp.MustCompile(`(?m)^build=([0-9][0-9.]*[0-9])`)
