package distro

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/isolayer/isolayer/internal/bootcfg"
)

// suse are media with YaST: SUSE Linux Enterprise up to 15, openSUSE.
var suse = &Family{
	Name:       "suse",
	Recognise:  recogniseSUSE,
	Answers:    map[Kind]Rule{AutoYaST: suseAutoYaST},
	Argument:   suseArgument,
	Checks:     suseChecks,
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

// suseAutoYaST puts the file at the root and names it by the label of the medium. The
// name of one with embedded Ruby ends in ".erb", or it is not rendered.
func suseAutoYaST(m Medium, _ *Release, f File) (Plan, error) {
	erb := bytes.Contains(f.Content, []byte("<%")) || strings.HasSuffix(strings.ToLower(f.Path), ".erb")
	if !erb {
		if err := profileRoot(f.Content); err != nil {
			return Plan{}, fmt.Errorf("%s %w: %w", f.Path, ErrAnswer, err)
		}
	}
	name := "/autoinst.xml"
	if erb {
		name += ".erb"
	}
	p := Plan{
		Files: []File{{name, f.Content}},
		Args:  []string{"autoyast=label://" + bootcfg.Udev(m.Label) + name},
	}
	switch {
	case profileConfirm.Match(f.Content):
		p.Unattended = "the profile says <confirm>false</confirm>: AutoYaST does not ask before it writes to disks"
	case erb && bytes.Contains(f.Content, []byte("<confirm")):
		p.Unattended = "the profile computes <confirm>, without which AutoYaST does not ask before it writes to disks"
	default:
		p.Notes = append(p.Notes, "AutoYaST shows what it will do and waits, unless the profile says <confirm config:type=\"boolean\">false</confirm>")
	}
	return p, nil
}

// profileConfirm is general/mode/confirm as "false". It is true where it is not set.
var profileConfirm = regexp.MustCompile(`<confirm(?:\s[^>]*)?>\s*false\s*</confirm>`)

// profileRoot reports, as an error, a document of XML whose root is no profile.
func profileRoot(text []byte) error {
	d := xml.NewDecoder(bytes.NewReader(text))
	d.CharsetReader, d.Strict = asUTF8, true
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return errors.New("it has no element <profile>")
		}
		if err != nil {
			return err
		}
		if e, ok := t.(xml.StartElement); ok {
			if e.Name.Local != "profile" {
				return fmt.Errorf("it is a document of <%s>, not of <profile>", e.Name.Local)
			}
			return nil
		}
	}
}

// suseArgument is an option as linuxrc compares it: without regard to case, '-', '_' and
// '.'. autoyast2 is autoyast, read by linuxrc itself.
func suseArgument(name string) string {
	name = strings.NewReplacer("-", "", "_", "", ".", "").Replace(strings.ToLower(name))
	if name == "autoyast2" {
		return "autoyast"
	}
	return name
}

// suseParts are files that linuxrc loads into memory and compares with the signed list:
// the installation system, in its parts.
var suseParts = regexp.MustCompile(`^boot/[a-z0-9_]+/[^/]+$`)

// suseChecks is what the installer itself compares with a list that it wants signed:
// CHECKSUMS, or content, which also has the package descriptions that libzypp reads.
// linuxrc ends with a wrong signature of these, and asks where there is none.
func suseChecks(list string) func(string) bool {
	switch list {
	case "CHECKSUMS":
		return suseParts.MatchString
	case "repodata/repomd.xml": // of a medium that is one repository; it lists no files of the image
		return func(string) bool { return false }
	case "content":
		return func(name string) bool {
			return suseParts.MatchString(name) || strings.HasPrefix(name, "suse/") || strings.HasPrefix(name, "gpg-pubkey") || strings.HasPrefix(name, "license")
		}
	}
	return nil
}

// suseSignatures says what a broken signature means to linuxrc and zypper.
func suseSignatures(signed string) string {
	switch {
	case strings.HasSuffix(signed, "/CHECKSUMS") || strings.HasSuffix(signed, "/content"):
		return "linuxrc ends the installation at it, unless insecure=1 is given"
	case strings.HasSuffix(signed, "repomd.xml"):
		return "linuxrc ends the installation at it on a medium with one repository, zypper asks whether to trust it"
	}
	return ""
}
