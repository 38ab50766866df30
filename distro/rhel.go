package distro

import (
	"regexp"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/bootcfg"
)

// rhel are Red Hat Enterprise Linux and what is made of it: media with Anaconda.
var rhel = &Family{
	Name:       "rhel",
	Recognise:  anaconda("Red Hat", "RHEL", "CentOS", "Rocky", "Alma", "Oracle", "Scientific", "EuroLinux", "openEuler", "Anolis"),
	Answers:    map[Kind]Rule{Kickstart: anacondaKickstart},
	Signatures: rpmSignatures,
	Repository: RPM,
}

// anacondaVersion is a version in a line of .discinfo.
var anacondaVersion = regexp.MustCompile(`([0-9]+(?:\.[0-9]+)*)`)

// anaconda recognises media whose .treeinfo, .discinfo or label names one of these.
func anaconda(names ...string) func(Medium) *Release {
	known := func(s string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(n)) })
	}
	return func(m Medium) *Release {
		if !m.has("images/install.img") && !m.has("LiveOS/squashfs.img") && !m.has("images/pxeboot") && !m.has(".treeinfo") {
			return nil
		}
		info, disc := m.text(".treeinfo"), m.text(".discinfo")
		r := &Release{Name: setting(info, "release", "name"), Version: setting(info, "release", "version"), Arch: setting(info, "tree", "arch"), Kind: "installer"}
		if r.Name == "" {
			r.Name, r.Version = setting(info, "general", "family"), setting(info, "general", "version")
		}
		if r.Arch == "" {
			r.Arch = setting(info, "general", "arch")
		}
		if r.Name == "" {
			r.Name, r.Version, r.Arch = line(disc, 1), "", line(disc, 2)
			if v := first(anacondaVersion, r.Name); v != "" {
				r.Version, r.Name = v, strings.TrimSpace(strings.Replace(r.Name, v, "", 1))
			}
		}
		if !known(r.Name) && !known(m.Label) || setting(info, "platform", "name") != "" {
			return nil // of XenServer
		}
		if !known(r.Name) {
			r.Name = strings.Split(m.Label, "-")[0]
			r.Version = first(anacondaVersion, m.Label)
		}
		if !m.has("images/install.img") && m.has("LiveOS/squashfs.img") && info == "" {
			r.Kind = "live"
		}
		return r
	}
}

// anacondaKickstart puts the file at the root, where Anaconda finds it by the label of
// the medium, on CD and stick alike.
func anacondaKickstart(m Medium, r *Release, f File) (Plan, error) {
	if err := only(r, Kickstart, "live systems install themselves and read none", "installer"); err != nil {
		return Plan{}, err
	}
	p := Plan{
		Files: []File{{"/ks.cfg", f.Content}},
		Args:  []string{"inst.ks=hd:LABEL=" + bootcfg.Udev(m.Label) + ":/ks.cfg"},
	}
	words := commands(f.Content)
	switch {
	case slices.Contains(words, "clearpart") || slices.Contains(words, "zerombr") || slices.Contains(words, "ignoredisk"):
		p.Unattended = "the kickstart file clears partitions"
	case slices.Contains(words, "autopart") || slices.Contains(words, "part") || slices.Contains(words, "partition"):
		p.Unattended = "the kickstart file makes partitions"
	case slices.Contains(words, "%include") || slices.Contains(words, "%pre"):
		p.Unattended = "the kickstart file includes others, or makes its own commands, which may clear disks"
	}
	return p, nil
}

// rpmSignatures tells what a broken signature means to Anaconda and dnf.
func rpmSignatures(signed string) string {
	if strings.HasSuffix(signed, "repomd.xml") {
		return "dnf refuses the repository where repo_gpgcheck is on; installations from the medium do not check it"
	}
	return ""
}
