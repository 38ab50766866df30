package distro

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/isolayer/isolayer/internal/bootcfg"
)

// fedora are Fedora's installers and live systems.
var fedora = &Family{
	Name:       "fedora",
	Recognise:  recogniseFedora,
	Answers:    map[Kind]Rule{Kickstart: anacondaKickstart},
	Argument:   anacondaArgument,
	Signatures: rpmSignatures,
	Repository: RPM,
}

// rhel are Red Hat Enterprise Linux and all else that installs with Anaconda, whatever
// its name: dozens of vendors build their media with the same programs.
var rhel = &Family{
	Name:       "rhel",
	Recognise:  recogniseAnaconda,
	Answers:    map[Kind]Rule{Kickstart: anacondaKickstart},
	Argument:   anacondaArgument,
	Signatures: rpmSignatures,
	Repository: RPM,
}

// enterprise are names under which Red Hat's releases are rebuilt with its numbers.
var enterprise = []string{"Red Hat", "RHEL", "CentOS", "Rocky", "Alma", "Oracle", "Scientific", "EuroLinux"}

// anacondaVersion is a version in a line of .discinfo.
var anacondaVersion = regexp.MustCompile(`([0-9]+(?:\.[0-9]+)*)`)

func recogniseFedora(m Medium) *Release {
	r := recogniseAnaconda(m)
	if r == nil || !named(r.Name, "Fedora") && !named(m.Label, "Fedora") {
		return nil
	}
	if !named(r.Name, "Fedora") { // of a spin, which names itself
		r.Name, r.Version = labelled(m)
	}
	return r
}

// recogniseAnaconda recognises a medium with Anaconda by what that needs: its second
// stage, or what names it.
func recogniseAnaconda(m Medium) *Release {
	info := m.text(".treeinfo")
	if setting(info, "platform", "name") != "" {
		return nil // of XenServer
	}
	r := &Release{Name: setting(info, "release", "name"), Version: setting(info, "release", "version"), Arch: setting(info, "tree", "arch"), Kind: "installer"}
	if r.Name == "" {
		r.Name, r.Version = setting(info, "general", "family"), setting(info, "general", "version")
	}
	r.Arch = cmp.Or(r.Arch, setting(info, "general", "arch"))
	if r.Name == "" {
		readDiscInfo(m, r)
	}
	known := func(s string) bool {
		return named(s, append([]string{"Fedora", "openEuler", "Anolis"}, enterprise...)...)
	}
	if !anacondaStage(m, info) && !(known(r.Name) || known(m.Label)) {
		return nil
	}
	if !m.has("LiveOS/squashfs.img") && !m.has("images") && info == "" {
		return nil
	}
	if r.Name == "" || !known(r.Name) && known(m.Label) && !anacondaStage(m, info) {
		r.Name, r.Version = labelled(m)
	}
	if !m.has("images/install.img") && m.has("LiveOS/squashfs.img") && info == "" && !strings.Contains(m.menus(), "inst.stage2=") {
		r.Kind = "live"
	}
	return r
}

// anacondaStage reports Anaconda's second stage: named by .treeinfo, or at one of the
// places where it has been since 2004.
func anacondaStage(m Medium, info string) bool {
	return setting(info, "stage2", "mainimage") != "" || setting(info, "stage2", "instimage") != "" ||
		m.has("images/install.img") || m.has("images/stage2.img") || m.has("images/minstg2.img") ||
		m.has("LiveOS/squashfs.img") && (strings.Contains(m.menus(), "inst.stage2=") || info != "")
}

// readDiscInfo takes name, version and machine from .discinfo: the time, the name with
// the version, and the machine, a line each.
func readDiscInfo(m Medium, r *Release) {
	disc := m.text(".discinfo")
	r.Name, r.Version, r.Arch = line(disc, 1), "", cmp.Or(r.Arch, line(disc, 2))
	if v := first(anacondaVersion, r.Name); v != "" {
		r.Version, r.Name = v, strings.TrimSpace(strings.Replace(r.Name, v, "", 1))
	}
}

// labelled is the name and version that the label begins with.
func labelled(m Medium) (name, version string) {
	name, _, _ = strings.Cut(m.Label, "-")
	return name, first(anacondaVersion, m.Label)
}

// named reports whether a text has one of the names, in any case.
func named(s string, names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(n)) })
}

// anacondaKickstart puts the file at the root, where Anaconda finds it by the label of
// the medium, on CD and stick alike.
func anacondaKickstart(m Medium, r *Release, f File) (Plan, error) {
	if err := only(r, Kickstart, "live systems install themselves and read none", "installer"); err != nil {
		return Plan{}, err
	}
	p := Plan{
		Files:      []File{{"/ks.cfg", f.Content}},
		Args:       []string{"inst.ks=hd:LABEL=" + bootcfg.Udev(m.Label) + ":/ks.cfg"},
		Unattended: kickstartWipes(f.Content),
	}
	if anacondaBefore7(m, r) {
		p.Args = []string{"ks=cdrom:/ks.cfg"}
		p.Notes = []string{"this installer takes its kickstart file from a CD; started from a stick it needs ks=hd:DEVICE:/ks.cfg instead"}
	}
	return p, nil
}

// kickstartWipes returns why an installation with this file does not ask about disks.
func kickstartWipes(text []byte) string {
	words := commands(text)
	has := func(any ...string) bool {
		return slices.ContainsFunc(any, func(w string) bool { return slices.Contains(words, w) })
	}
	switch {
	case has("clearpart", "zerombr", "ignoredisk"):
		return "the kickstart file clears partitions"
	case has("autopart", "part", "partition", "reqpart"):
		return "the kickstart file makes partitions"
	case has("%include", "%pre"):
		return "the kickstart file includes others, or makes its own commands, which may clear disks"
	}
	return ""
}

// anacondaBefore7 reports the installer of Enterprise Linux up to 6 and Fedora up to 16,
// which knows its options without "inst." only. Its menus or the second stage's place say
// so where the name is not known.
func anacondaBefore7(m Medium, r *Release) bool {
	if strings.Contains(m.menus(), "inst.") || m.has("LiveOS/squashfs.img") {
		return false
	}
	major, _ := strconv.Atoi(first(anacondaVersion, r.Version))
	if v, err := strconv.Atoi(strings.SplitN(r.Version, ".", 2)[0]); err == nil {
		major = v
	}
	switch {
	case major > 0 && named(r.Name, "Fedora"):
		return major < 17
	case major > 0 && named(r.Name, enterprise...):
		return major < 7
	}
	info := m.text(".treeinfo")
	return m.has("images/stage2.img") || m.has("images/minstg2.img") ||
		m.has("images/install.img") && setting(info, "header", "version") == "" && setting(info, "header", "type") == ""
}

// anacondaOptions are those that Anaconda's initrd knew without "inst." up to 7, and
// later ones still take some of.
var anacondaOptions = []string{
	"ks", "repo", "stage2", "text", "vnc", "vncpassword", "vncconnect", "sshd", "lang", "keymap", "dd", "updates", "proxy", "rescue", "cmdline",
	"graphical", "noverifyssl", "ksdevice", "ks.sendmac", "ks.sendsn", "headless", "gpt", "loglevel", "syslog", "noprobe", "nompath", "nodmraid",
	"multilib", "selinux", "resolution", "xdriver", "usefbx", "addrepo", "zram", "geoloc", "memcheck", "nosave", "singlelang", "debug", "nokill",
}

// anacondaArgument is the one name of an option that has two.
func anacondaArgument(name string) string {
	if name == "method" {
		return "inst.repo"
	}
	if slices.Contains(anacondaOptions, name) {
		return "inst." + name
	}
	return name
}

// rpmSignatures says what a broken signature means to Anaconda and dnf.
func rpmSignatures(signed string) string {
	if strings.HasSuffix(signed, "repomd.xml") {
		return "dnf refuses the repository where repo_gpgcheck is on; installations from the medium do not check it"
	}
	return ""
}
