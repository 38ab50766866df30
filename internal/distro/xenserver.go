package distro

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
)

// xenserver are the installers of Citrix Hypervisor, XenServer and XCP-ng: Xen, a kernel
// and an initrd that is the whole installer.
var xenserver = &Family{
	Name: "xenserver",
	Recognise: func(m Medium) *Release {
		info := m.text(".treeinfo")
		name := setting(info, "platform", "name")
		if name == "" || !m.has("install.img") {
			return nil
		}
		r := &Release{Name: name, Version: setting(info, "platform", "version"), Arch: "x86_64", Kind: "installer"}
		if brand := setting(info, "branding", "name"); brand != "" {
			r.Name, r.Version = brand, setting(info, "branding", "version")
		}
		return r
	},
	Answers:    map[Kind]Rule{Answer: xenAnswer},
	Repository: RPM,
}

// xenRoots are the elements that an answer file may consist of.
var xenRoots = []string{"installation", "restore"}

// xenAnswer puts the file into the initrd: the installer has not mounted its medium when
// it reads it.
func xenAnswer(_ Medium, _ *Release, f File) (Plan, error) {
	var root struct {
		XMLName xml.Name
		Confirm string `xml:"ui-confirmation-prompt"`
	}
	d := xml.NewDecoder(bytes.NewReader(f.Content))
	d.CharsetReader = asUTF8
	if err := d.Decode(&root); err != nil {
		return Plan{}, fmt.Errorf("%s %w: %w", f.Path, ErrAnswer, err)
	}
	if name := root.XMLName.Local; name != xenRoots[0] && name != xenRoots[1] {
		return Plan{}, fmt.Errorf("%s %w: it is a document of <%s>, not of <installation>", f.Path, ErrAnswer, name)
	}
	p := Plan{Initrd: []File{{"/answerfile.xml", f.Content}}, Args: []string{"answerfile=file:///answerfile.xml", "install"}}
	if strings.TrimSpace(root.Confirm) != "true" {
		p.Unattended = "the installer overwrites the disks that the answer file names, without asking"
	}
	return p, nil
}
