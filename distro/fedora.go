package distro

// fedora are Fedora's installers and live systems.
var fedora = &Family{
	Name:       "fedora",
	Recognise:  anaconda("Fedora"),
	Answers:    map[Kind]Rule{Kickstart: anacondaKickstart},
	Signatures: rpmSignatures,
	Repository: RPM,
}
