package distro

// debianLive are live systems made by live-build.
var debianLive = &Family{
	Name: "debian-live",
	Recognise: func(m Medium) *Release {
		if !m.has("live") || m.has("casper") || !m.has("live/filesystem.squashfs") && !m.has(".disk/info") {
			return nil
		}
		names, err := m.List("live")
		if err != nil || len(names) == 0 {
			return nil
		}
		r, _ := readDiskInfo(m)
		if r == nil {
			r = &Release{Name: "live system"}
		}
		r.Kind = "live"
		if m.has("d-i") || m.has("install") || m.has(".disk/base_installable") {
			r.Kind = "live with installer"
		}
		return r
	},
	Answers: map[Kind]Rule{Preseed: func(m Medium, r *Release, f File) (Plan, error) {
		if err := only(r, Preseed, "it has no installer beside the live system", "live with installer"); err != nil {
			return Plan{}, err
		}
		return debianPreseed(m, r, f)
	}},
	Argument:   debianArgument,
	Signatures: debSignatures,
	Repository: Deb,
}
