package distro

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"
)

// agama are media with SUSE's newer installer, which is a live system.
var agama = &Family{
	Name:       "agama",
	Recognise:  recogniseAgama,
	Answers:    map[Kind]Rule{Agama: agamaProfile, AutoYaST: agamaProfile},
	Signatures: suseSignatures,
	Repository: RPM,
}

// agamaLabel reads labels such as Install-SLES-16.0-x86_64 and agama-installer.
var agamaLabel = regexp.MustCompile(`(?i)^(?:install-)?([a-z_-]+?)-?([0-9][0-9.]*)?(?:[-_.].*)?$`)

func recogniseAgama(m Medium) *Release {
	if !m.has("LiveOS") || !m.has("boot/grub2/grub.cfg") {
		return nil
	}
	menu, label := m.text("boot/grub2/grub.cfg"), strings.ToLower(m.Label)
	suse := m.has("boot/x86_64/loader") || m.has("boot/aarch64") || agamaMade(label)
	// Other live systems say in the menu where their root is, these in the initrd.
	installs := strings.Contains(label, "agama") || strings.HasPrefix(label, "install") || strings.Contains(menu, "agama") || strings.Contains(menu, "inst.") ||
		!strings.Contains(menu, "root=live:")
	if !suse || !installs {
		return nil
	}
	r := &Release{Name: "SUSE", Kind: "installer"} // a label of the user's own says nothing
	if f := agamaLabel.FindStringSubmatch(m.Label); f != nil && agamaMade(label) {
		r.Name, r.Version = strings.ReplaceAll(f[1], "-", " "), f[2]
	}
	names, _ := m.List("boot")
	r.Arch = first(suseArch, m.Label+" "+strings.Join(names, " "))
	return r
}

// agamaMade reports a label, in small letters, as SUSE gives them.
func agamaMade(label string) bool {
	return strings.Contains(label, "agama") || strings.HasPrefix(label, "install") || strings.Contains(label, "suse") || strings.Contains(label, "sle")
}

// agamaProfile puts the file at the root of the medium, which the live system has
// mounted when the installer starts. It names the language by the name's end.
func agamaProfile(_ Medium, _ *Release, f File) (Plan, error) {
	ext := strings.ToLower(path.Ext(f.Path))
	switch {
	case bytes.Contains(f.Content, []byte("<profile")):
		ext = ".xml"
	case !slices.Contains([]string{".json", ".jsonnet", ".sh"}, ext):
		ext = ".json"
		if !bytes.HasPrefix(bytes.TrimSpace(f.Content), []byte("{")) {
			ext = ".jsonnet"
		}
	}
	name := "autoinst" + ext
	return Plan{
		Files:      []File{{"/" + name, f.Content}},
		Args:       []string{"inst.auto=file:///run/initramfs/live/" + name},
		Unattended: "Agama begins as soon as it has read the profile",
	}, nil
}
