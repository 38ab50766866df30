package distro_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/distro"
)

// TestAnaconda: media with Anaconda are known by its second stage, whatever they are
// called; the same files without it are something else.
func TestAnaconda(t *testing.T) {
	treeinfo := "[general]\nfamily = %s\nversion = 20\narch = x86_64\n\n[stage2]\nmainimage = images/install.img\n"
	for _, name := range []string{"UnionTech OS Server", "OpenCloudOS", "EulerOS", "RED OS", "MIRACLE LINUX", "Navy Linux", "TencentOS Server", "Circle Linux", "Qubes"} {
		for what, v := range map[string]volume{
			"treeinfo": {".treeinfo": strings.ReplaceAll(treeinfo, "%s", name), "isolinux/isolinux.cfg": "append inst.stage2=hd:LABEL=X\n"},
			"discinfo": {".discinfo": "1600000000.0\n" + name + " 20\nx86_64\n", "images/install.img": "", "isolinux/isolinux.cfg": "append inst.stage2=hd:LABEL=X\n"},
		} {
			m := distro.Medium{Volume: v, Label: "X"}
			r := distro.Recognise(m)
			if r.ID != "rhel" || r.Name != name || r.Version != "20" {
				t.Errorf("%s, %s: %s", name, what, r)
				continue
			}
			p, err := r.Answer(m, distro.Kickstart, distro.File{Path: "ks.cfg", Content: []byte("clearpart --all\n")})
			if err != nil || !slices.Equal(p.Args, []string{"inst.ks=hd:LABEL=X:/ks.cfg"}) {
				t.Errorf("%s, %s: %v (%v)", name, what, p.Args, err)
			}
		}
	}
	for what, v := range map[string]volume{
		"a live system":        {"LiveOS/squashfs.img": "", "boot/grub2/grub.cfg": "linux /vmlinuz root=live:CDLABEL=X rd.live.image\n"},
		"a list of checksums":  {".treeinfo": "[general]\nfamily = Something\nversion = 1\n\n[checksums]\nlinux = sha256:00\n"},
		"images of other kind": {"images/pxeboot/vmlinuz": ""},
	} {
		if r := distro.Recognise(distro.Medium{Volume: v, Label: "X"}); r.ID == "rhel" && r.Kind == "installer" {
			t.Errorf("%s is taken for an installer: %s", what, r)
		}
	}
}

// TestKickstartArgument: releases that know their options without "inst." only get them so.
func TestKickstartArgument(t *testing.T) {
	for _, c := range []struct {
		label, treeinfo, discinfo, menu, stage2 string
		old                                     bool
	}{
		{"CentOS_6.10_Final", "", "1.0\nCentOS 6.10\nx86_64\n", "append initrd=initrd.img\n", "images/install.img", true},
		{"RHEL_6.9 x86_64 Disc 1", "[general]\nfamily = Red Hat Enterprise Linux\nversion = 6.9\n[stage2]\nmainimage = images/install.img\n", "", "append initrd=initrd.img\n", "images/install.img", true},
		{"OL6.10 x86_64 Disc 1 20180625", "[general]\nfamily = Oracle Linux Server\nversion = 6.10\n", "", "append initrd=initrd.img\n", "images/install.img", true},
		{"Asianux_4", "[general]\nfamily = Asianux Server\nversion = 4\n[stage2]\nmainimage = images/install.img\n", "", "append initrd=initrd.img\n", "images/install.img", true},
		{"CentOS_5.11_Final", "", "1.0\nFinal\nx86_64\n", "append initrd=initrd.img text\n", "images/stage2.img", true},
		{"Fedora 16 x86_64 DVD", "[general]\nfamily = Fedora\nversion = 16\n", "", "append initrd=initrd.img\n", "images/install.img", true},
		{"Fedora-17", "[general]\nfamily = Fedora\nversion = 17\n", "", "append initrd=initrd.img repo=hd:LABEL=X\n", "LiveOS/squashfs.img", false},
		{"CentOS 7 x86_64", "[general]\nfamily = CentOS\nversion = 7\n[stage2]\nmainimage = LiveOS/squashfs.img\n", "", "append inst.stage2=hd:LABEL=CentOS\\x207\\x20x86_64\n", "LiveOS/squashfs.img", false},
		{"RHEL-9-5", "[header]\ntype = productmd.treeinfo\nversion = 1.2\n[release]\nname = Red Hat Enterprise Linux\nversion = 9.5\n[stage2]\nmainimage = images/install.img\n", "", "append quiet\n", "images/install.img", false},
	} {
		v := volume{"isolinux/isolinux.cfg": c.menu, c.stage2: ""}
		if c.treeinfo != "" {
			v[".treeinfo"] = c.treeinfo
		}
		if c.discinfo != "" {
			v[".discinfo"] = c.discinfo
		}
		m := distro.Medium{Volume: v, Label: c.label}
		r := distro.Recognise(m)
		p, err := r.Answer(m, distro.Kickstart, distro.File{Path: "ks.cfg", Content: []byte("autopart\n")})
		if err != nil || strings.HasPrefix(p.Args[0], "ks=") != c.old {
			t.Errorf("%s (%s): %v (%v)", c.label, r, p.Args, err)
		}
	}
}

// TestArgument: an argument that has several names is one argument.
func TestArgument(t *testing.T) {
	for _, c := range []struct {
		medium volume
		names  []string
	}{
		{volume{".disk/info": "Debian GNU/Linux 12 \"Bookworm\"", ".disk/base_installable": ""}, []string{"file", "preseed/file"}},
		{volume{".disk/info": "Debian GNU/Linux 12 \"Bookworm\"", ".disk/base_installable": ""}, []string{"tasks", "tasksel:tasksel/first", "tasksel/first"}},
		{volume{"images/install.img": ""}, []string{"ks", "inst.ks"}},
		{volume{"images/install.img": ""}, []string{"method", "repo", "inst.repo"}},
		{volume{"media.1/media": "SUSE - openSUSE-Leap-15.5-x86_64-Build1-Media\n"}, []string{"autoyast", "AutoYaST", "auto_yast", "autoyast2"}},
	} {
		r := distro.Recognise(distro.Medium{Volume: c.medium})
		for _, n := range c.names {
			if got, want := r.Argument(n), r.Argument(c.names[0]); got != want {
				t.Errorf("%s: %s is %s, %s is %s", r, n, got, c.names[0], want)
			}
		}
		if r.Argument("quiet") != "quiet" {
			t.Errorf("%s: quiet is %s", r, r.Argument("quiet"))
		}
	}
}

// TestAutoYaST: setup stops and asks where the profile does not say otherwise, and a
// profile with Ruby in it keeps the name by which that is known.
func TestAutoYaST(t *testing.T) {
	const open, end = `<profile xmlns="http://www.suse.com/1.0/yast2ns" xmlns:config="http://www.suse.com/1.0/configns"><general><mode>`, `</mode></general></profile>`
	m := distro.Medium{Volume: volume{"media.1/media": "SUSE - SLE-15-SP5-x86_64-Build1-Media\n"}, Label: "L"}
	for _, c := range []struct {
		name, text, to string
		unattended     bool
	}{
		{"p.xml", open + end, "/autoinst.xml", false},
		{"p.xml", open + `<confirm config:type="boolean">true</confirm>` + end, "/autoinst.xml", false},
		{"p.xml", open + `<confirm t="boolean"> false </confirm>` + end, "/autoinst.xml", true},
		{"p.xml", open + "<confirm\n config:type='boolean'>false</confirm>" + end, "/autoinst.xml", true},
		{"p.xml.erb", "<% x = 1 %>" + open + `<confirm config:type="boolean">false</confirm>` + end, "/autoinst.xml.erb", true},
		{"p.xml", open + `<confirm t="boolean"><%= ask %></confirm>` + end, "/autoinst.xml.erb", true},
	} {
		p, err := distro.Recognise(m).Answer(m, distro.AutoYaST, distro.File{Path: c.name, Content: []byte(c.text)})
		if err != nil || p.Files[0].Path != c.to || !strings.HasSuffix(p.Args[0], c.to) || (p.Unattended != "") != c.unattended {
			t.Errorf("%s: %+v (%v)", c.text, p, err)
		}
	}
	for _, text := range []string{"<unattend/>", "<profile", "profile: {}\n", ""} {
		if _, err := distro.Recognise(m).Answer(m, distro.AutoYaST, distro.File{Path: "p.xml", Content: []byte(text)}); !errors.Is(err, distro.ErrAnswer) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestSubiquity: a live system of the Ubuntu family takes autoinstall only where the
// installer that reads it is.
func TestSubiquity(t *testing.T) {
	for what, c := range map[string]struct {
		v  volume
		ok bool
	}{
		"server 24.04":  {volume{"casper/install-sources.yaml": "", ".disk/info": "Ubuntu-Server 24.04 LTS \"Noble\" - Release amd64"}, true},
		"server 20.04":  {volume{"casper/installer.squashfs": "", "casper/filesystem.squashfs": "", ".disk/info": "Ubuntu-Server 20.04 LTS \"Focal Fossa\" - Release amd64"}, true},
		"desktop 24.04": {volume{"casper/install-sources.yaml": "", ".disk/info": "Ubuntu 24.04 LTS \"Noble\" - Release amd64"}, true},
		"desktop 22.04": {volume{"casper/filesystem.squashfs": "", "preseed/ubuntu.seed": "", ".disk/info": "Ubuntu 22.04 LTS \"Jammy\" - Release amd64"}, false},
		"KDE neon":      {volume{"casper/filesystem.squashfs": "", ".disk/info": "neon user \"Noble\" - amd64"}, false},
		"Mint":          {volume{"casper/filesystem.squashfs": "", "preseed/linuxmint.seed": "", ".disk/info": "Linux Mint 22 \"Wilma\" - Release amd64"}, false},
		"Pop!_OS":       {volume{"casper/filesystem.squashfs": ""}, false},
	} {
		m := distro.Medium{Volume: c.v}
		_, err := distro.Recognise(m).Answer(m, distro.Autoinstall, distro.File{Path: "u", Content: []byte("autoinstall: {version: 1}\n")})
		if c.ok != (err == nil) || !c.ok && !errors.Is(err, distro.ErrKind) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
