package iso9660

// NamingRules say how identifiers of a new image are formed. The zero value is
// ISO 9660 level 1: eight characters, a dot, three characters, a version.
type NamingRules struct {
	Length     int  // longest file identifier without version; 0: level 1
	Lowercase  bool // small letters stay
	Relaxed    bool // all of ASCII but small letters, '/' and ';'
	Marks      bool // '#', '-' and '~' stay
	Every      bool // all but '/' stays, whatever it is
	ManyDots   bool // further dots stay
	LeadingDot bool // a dot at the beginning stays
	NoVersion  bool // files have no ";1"
	NoDot      bool // files without extension have no dot
	PlainDirs  bool // directories have no dots
	JolietLong bool // Joliet names of 103 characters, else 64
	// JolietUTF16 records characters outside UCS-2 in Joliet as pairs of UTF-16.
	JolietUTF16 bool
}

// The lengths of NamingRules that options of mkisofs choose.
const (
	LengthFull = 31 // levels 2 and 3
	LengthMax  = 37
	// LengthLevel4 is that of ISO 9660:1999.
	LengthLevel4 = 207
)

// NewNaming makes the rules of a Joliet or ISO 9660:1999 hierarchy of a new image. Those of
// the primary one are no concern of it.
func NewNaming(h Hierarchy, r NamingRules) *Naming {
	n := &Naming{h: h, joliet: jolietShort, utf16: r.JolietUTF16}
	if r.JolietLong {
		n.joliet = jolietLong
	}
	return n
}
