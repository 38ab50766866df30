package iso9660

// NamingRules say how identifiers of a new image are formed. The zero value is
// ISO 9660 level 1: eight characters, a dot, three characters, a version.
type NamingRules struct {
	Length     int  // longest file identifier without version; 0: level 1
	Lowercase  bool // small letters stay
	Relaxed    bool // all of ASCII but small letters, '/' and ';'
	Marks      bool // '#', '-' and '~' stay
	ManyDots   bool // further dots stay
	LeadingDot bool // a dot at the beginning stays
	NoVersion  bool // files have no ";1"
	NoDot      bool // files without extension have no dot
	PlainDirs  bool // directories have no dots
	JolietLong bool // Joliet names of 103 characters, else 64
}

// The lengths of NamingRules that options of mkisofs choose.
const (
	LengthFull = 31 // levels 2 and 3
	LengthMax  = 37
)

// NewNaming makes the rules of one hierarchy of a new image.
func NewNaming(h Hierarchy, r NamingRules) *Naming {
	n := &Naming{h: h, joliet: jolietShort}
	if r.JolietLong {
		n.joliet = jolietLong
	}
	if h != Primary {
		return n
	}
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_" {
		n.allowed[c] = true
	}
	for c := byte('a'); r.Lowercase && c <= 'z'; c++ {
		n.allowed[c] = true
	}
	for c := byte(' '); r.Relaxed && c < 0x7f; c++ {
		n.allowed[c] = n.allowed[c] || c != '/' && c != ';' && (c < 'a' || c > 'z')
	}
	for _, c := range "#-~" {
		n.allowed[c] = n.allowed[c] || r.Marks
	}
	n.allowed['.'] = false
	n.version, n.dot = !r.NoVersion, !r.NoDot
	n.dirDot, n.manyDots, n.noLeading = !r.PlainDirs, r.ManyDots, !r.LeadingDot
	n.long, n.file = r.Length > 0, r.Length
	return n
}
