package main

import (
	"fmt"
	"strings"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/distro"
	"github.com/isolayer/isolayer/internal/layout"
)

// answerUsage says what each kind of answer file is for.
var answerUsage = map[distro.Kind]string{
	distro.Kickstart:   "kickstart file for the installer: RHEL, Fedora and relatives, VMware ESXi",
	distro.Preseed:     "preseed file for the installer: Debian, Ubuntu up to 22.04 (desktop)",
	distro.Autoinstall: "autoinstall file (user data of cloud-init) for the installer: Ubuntu",
	distro.AutoYaST:    "AutoYaST profile for the installer: SUSE",
	distro.Agama:       "Agama profile for the installer: SUSE since 16",
	distro.Ignition:    "Ignition config for the live system: CoreOS",
	distro.Answer:      "answer file for the installer: Proxmox",
	distro.Unattend:    "answer file for Windows setup; not possible yet",
}

// addAnswerFlags defines those for installers: each puts a file where the installer of
// the image looks and lets every boot entry name it.
func addAnswerFlags(add func(name, kind, usage string, parse func(string) (edit.Step, error))) {
	for _, k := range distro.Kinds {
		add(string(k), "FILE", answerUsage[k], func(s string) (edit.Step, error) {
			return edit.AnswerFile{Kind: k, Source: s}, nil
		})
	}
	add("initrd-add", "SRC[:DST]", "put a file or directory tree into the initrd of every boot entry; the initrd's own bytes stay", func(s string) (edit.Step, error) {
		src, dst, ok := splitSpec(s)
		if !ok {
			if err := otherSpec(s); err != nil {
				return nil, err
			}
		}
		if strings.HasPrefix(dst, "@") {
			return nil, fmt.Errorf("%s: a path in the initrd begins with a slash", dst)
		}
		return edit.InitrdAdd{Adds: []edit.Add{{Source: src, Dest: dst}}}, nil
	})
}

// ownEntries lets answer files be read by an entry of their own, if that is asked for.
func (o *buildOptions) ownEntries() error {
	if o.asEntry == "" {
		return nil
	}
	hits := 0
	for i, step := range o.steps {
		if a, ok := step.(edit.AnswerFile); ok {
			a.Entry = o.asEntry
			o.steps[i] = a
			hits++
		}
	}
	switch {
	case hits == 0:
		return usagef("give one, such as --kickstart ks.cfg, or use --add-entry 'TITLE: ARGS'", "--as-entry is for an answer file, and there is none")
	case hits > 1:
		return usagef("give one, and --add-entry for the other", "--as-entry is one entry, and there are %d answer files", hits)
	}
	return nil
}

// installs warns of an image that overwrites disks without asking.
func (a *app) installs(r layout.Report) {
	if len(r.Unattended) == 0 {
		return
	}
	fmt.Fprint(a.err, "\n"+
		"  *** This image installs unattended. ***\n"+
		"  A machine that boots from it may lose what is on its disks, without being asked.\n")
	for _, why := range r.Unattended {
		fmt.Fprintf(a.err, "  Why: %s.\n", plain(why))
	}
	fmt.Fprintln(a.err)
}
