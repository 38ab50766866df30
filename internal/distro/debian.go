package distro

import (
	"regexp"
	"slices"
	"strings"
)

// debian are Debian's installer and its derivatives'.
var debian = &Family{
	Name:       "debian",
	Recognise:  recogniseDebian,
	Answers:    map[Kind]Rule{Preseed: debianPreseed},
	Argument:   debianArgument,
	Signatures: debSignatures,
	Repository: Deb,
}

// debianAliases are the short names that the installer takes for questions on the
// kernel's command line (installation guide, B.2.1 and B.2.2).
var debianAliases = map[string]string{
	"auto": "auto-install/enable", "classes": "auto-install/classes", "fb": "debian-installer/framebuffer", "language": "debian-installer/language",
	"country": "debian-installer/country", "locale": "debian-installer/locale", "theme": "debian-installer/theme", "priority": "debconf/priority",
	"file": "preseed/file", "url": "preseed/url", "interface": "netcfg/choose_interface", "hostname": "netcfg/get_hostname",
	"domain": "netcfg/get_domain", "suite": "mirror/suite", "protocol": "mirror/protocol", "modules": "anna/choose_modules",
	"recommends": "base-installer/install-recommends", "tasks": "tasksel/first", "desktop": "tasksel/desktop",
	"dmraid": "disk-detect/dmraid/enable", "keymap": "keyboard-configuration/xkb-keymap", "rescue": "rescue/enable", "lowmem": "lowmem/low",
}

// debianArgument is the long name of a question, without the package that owns it.
func debianArgument(name string) string {
	if long := debianAliases[name]; long != "" {
		return long
	}
	_, question, owned := strings.Cut(name, ":")
	if owned {
		return question
	}
	return name
}

// diskInfo is the line of .disk/info: name, version, code name, the rest.
var diskInfo = regexp.MustCompile(`^(.*?)(?:\s+([0-9][0-9A-Za-z.~+-]*(?: LTS)?|testing|unstable|sid|[a-z]+))?\s+"([^"]*)"\s*-?\s*(.*)$`)

// diskArch finds the machine in the rest of it.
var diskArch = regexp.MustCompile(`\b(amd64|i386|arm64|armhf|armel|ppc64el|riscv64|s390x|mips64el|mipsel|multi-arch)\b`)

// readDiskInfo reads .disk/info; rest is what stands behind the code name.
func readDiskInfo(m Medium) (r *Release, rest string) {
	text := line(m.text(".disk/info"), 0)
	if text == "" {
		return nil, ""
	}
	r = &Release{Name: text, Kind: "installer", Arch: first(diskArch, text)}
	if f := diskInfo.FindStringSubmatch(text); f != nil {
		r.Name, r.Version, rest = f[1], f[2], f[4]
		if r.Version == "" {
			r.Version = strings.ToLower(f[3])
		}
	}
	return r, rest
}

func recogniseDebian(m Medium) *Release {
	switch r, _ := readDiskInfo(m); {
	case r != nil && (m.has(".disk/base_installable") || m.has("install.amd") || m.has("install.386") || m.has("install.a64") || m.has("install")):
		return r
	case m.has(".disk/mini-info") || m.has("initrd.gz", "linux") && !m.has("pool") && !m.has("casper"):
		// What netboot/mini.iso is: the installer without a package.
		return &Release{Name: "Debian installer", Kind: "netboot", Arch: first(diskArch, m.text(".disk/mini-info"))}
	}
	return nil
}

// debianPreseed puts the file at the root and lets the installer read it once it has
// found its medium; questions in front of that are put off by auto=true. Without a
// medium to find, the file goes into the initrd, where it is read first of all.
func debianPreseed(_ Medium, r *Release, f File) (Plan, error) {
	p := Plan{Args: []string{"auto=true", "priority=critical"}, Unattended: preseedWipes(f.Content)}
	switch r.Kind {
	case "netboot":
		p.Initrd, p.Always = []File{{"/preseed.cfg", f.Content}}, true
	default:
		p.Files = []File{{"/preseed.cfg", f.Content}}
		p.Args = append(p.Args, "file=/cdrom/preseed.cfg")
	}
	return p, nil
}

// preseedWipes says why an installation with this file does not ask about disks.
func preseedWipes(text []byte) string {
	for l := range strings.Lines(string(text)) {
		if f := strings.Fields(l); len(f) > 3 && strings.HasPrefix(f[1], "partman") && slices.Contains(f[3:], "true") &&
			(strings.HasSuffix(f[1], "/confirm") || strings.HasSuffix(f[1], "/confirm_nooverwrite")) {
			return "the preseed file answers the question whether to write to disks"
		}
	}
	return ""
}

// debSignatures says what a broken signature means to apt.
func debSignatures(signed string) string {
	if strings.HasPrefix(signed, "/dists/") || strings.HasPrefix(signed, "dists/") {
		return "apt refuses the repository on the medium, unless debian-installer/allow_unauthenticated=true is given"
	}
	return ""
}
