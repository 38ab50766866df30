package distro

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/isolayer/isolayer/bootcfg"
)

// suse are media with YaST: SUSE Linux Enterprise up to 15, openSUSE.
var suse = &Family{
	Name:       "suse",
	Recognise:  recogniseSUSE,
	Answers:    map[Kind]Rule{AutoYaST: suseAutoYaST},
	Signatures: suseSignatures,
	Repository: RPM,
}

// susePatterns read media.1/products and media.1/media.
var (
	suseProduct = regexp.MustCompile(`(?m)^/ (\S+) (\S+)`)
	suseMedia   = regexp.MustCompile(`SUSE - ([A-Za-z_-]+)-([0-9][0-9A-Za-z.-]*?)-(x86_64|aarch64|ppc64le|s390x)`)
	suseArch    = regexp.MustCompile(`(x86_64|aarch64|ppc64le|s390x|i586)`)
)

func recogniseSUSE(m Medium) *Release {
	if !m.has("media.1") || m.has("LiveOS") {
		return nil
	}
	media := m.text("media.1/media")
	r := &Release{Name: "SUSE", Kind: "installer", Arch: first(suseArch, media)}
	if f := suseProduct.FindStringSubmatch(m.text("media.1/products")); f != nil {
		r.Name = strings.ReplaceAll(f[1], "-", " ")
		r.Version, _, _ = strings.Cut(f[2], "-")
	} else if f := suseMedia.FindStringSubmatch(media); f != nil {
		r.Name, r.Version, r.Arch = strings.ReplaceAll(f[1], "-", " "), f[2], f[3]
	} else if !strings.Contains(media, "SUSE") {
		return nil
	}
	if r.Arch == "" {
		names, _ := m.List("boot")
		r.Arch = first(suseArch, strings.Join(names, " "))
	}
	return r
}

// suseAutoYaST puts the file at the root and names it by the label of the medium.
func suseAutoYaST(m Medium, _ *Release, f File) (Plan, error) {
	if !bytes.Contains(f.Content, []byte("<profile")) && !bytes.Contains(f.Content, []byte("<%")) {
		return Plan{}, fmt.Errorf("%s %w: it has no element <profile>", f.Path, ErrAnswer)
	}
	p := Plan{
		Files: []File{{"/autoinst.xml", f.Content}},
		Args:  []string{"autoyast=label://" + bootcfg.Udev(m.Label) + "/autoinst.xml"},
	}
	if !bytes.Contains(f.Content, []byte(`<confirm config:type="boolean">true`)) && !bytes.Contains(f.Content, []byte(`<confirm t="boolean">true`)) {
		p.Unattended = "AutoYaST does not ask unless the profile says <confirm>"
	}
	return p, nil
}

// suseSignatures tells what a broken signature means to linuxrc and zypper.
func suseSignatures(signed string) string {
	switch {
	case strings.HasSuffix(signed, "/CHECKSUMS") || strings.HasSuffix(signed, "/content"):
		return "linuxrc warns and asks whether to go on, unless insecure=1 is given"
	case strings.HasSuffix(signed, "repomd.xml"):
		return "the installer asks whether to trust the repository"
	}
	return ""
}
