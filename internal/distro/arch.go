package distro

// arch is Arch Linux's live system.
var arch = &Family{
	Name: "arch",
	Recognise: func(m Medium) *Release {
		if !m.has("arch/version") && !m.has("arch/boot") && !m.has("arch/x86_64") {
			return nil
		}
		r := &Release{Name: "Arch Linux", Version: line(m.text("arch/version"), 0), Kind: "live"}
		if m.has("arch/x86_64") {
			r.Arch = "x86_64"
		}
		return r
	},
	Signatures: func(signed string) string {
		return "the live system refuses its root file system where verify=y is given"
	},
}
