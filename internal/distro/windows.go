package distro

// windows are Microsoft's installation media. Their files are in UDF.
var windows = &Family{
	Name: "windows",
	Recognise: func(m Medium) *Release {
		if !m.has("sources/boot.wim") && !m.has("sources/install.wim") && !m.has("bootmgr", "boot/bcd") && (!m.UDF || !m.has("readme.txt")) {
			return nil
		}
		return &Release{Name: "Windows", Kind: "installer"}
	},
	Answers: map[Kind]Rule{Unattend: refused("setup reads autounattend.xml from the UDF file system of the medium, which cannot be changed yet; put it on a second medium, where setup looks too")},
}
