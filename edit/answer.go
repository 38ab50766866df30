package edit

// AnswerKind is a kind of answer file: for whose installer it is.
type AnswerKind string

// The kinds.
const (
	Kickstart   AnswerKind = "kickstart"   // Anaconda, VMware ESXi and Photon OS
	Preseed     AnswerKind = "preseed"     // Debian's installer, and Ubuntu's old ones
	Autoinstall AnswerKind = "autoinstall" // Ubuntu's installers since 20.04
	AutoYaST    AnswerKind = "autoyast"    // SUSE
	Agama       AnswerKind = "agama"       // SUSE since 16
	Ignition    AnswerKind = "ignition"    // CoreOS
	Answer      AnswerKind = "answer"      // Proxmox and XCP-ng
	Unattend    AnswerKind = "unattend"    // Windows
)

// AnswerFile puts an answer file where the installer of the image looks for it and lets
// every boot entry name it. An image whose installer reads no such file is an error. The
// Unattended of the report says why the result overwrites disks without asking.
type AnswerFile struct {
	Kind   AnswerKind
	Source string // local file
	// Content is that of the file if not nil; Source is then only its name.
	Content []byte
	// Entry, if not empty, is the title of a new entry that names the file; the others
	// stay as they are.
	Entry string
}

func (a AnswerFile) String() string { return string(a.Kind) + " " + a.Source }
