package hostile

import "strings"

// Text64 is a name of 64 bytes.
const Text64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// reg is the entry of a regular file.
func reg() []byte { return PX(ModeRegular | 0o644) }

// areas is a file x whose continuation area at block lba, of n bytes, is b, and a second
// one at AtCE+1.
func areas(n uint32, b, second []byte) func(Image) Image {
	return func(m Image) Image {
		m = used(b, reg(), NM("x"), CE(AtCE, 0, n))(m)
		m.Put(AtCE+1, 0, second)
		return m
	}
}

// oneArea is the twin of rows about continuation areas.
var oneArea = areas(5, SU("ZZ", []byte{1}), nil)

// links is a file of the entries of a symbolic link.
func links(sl ...[]byte) func(Image) Image {
	return used(nil, append([][]byte{PX(ModeSymlink | 0o777), NM("x")}, sl...)...)
}

// entries is a file x with further entries.
func entries(su ...[]byte) func(Image) Image {
	return used(nil, append([][]byte{reg(), NM("x")}, su...)...)
}

// relocated is an image with a placeholder for, and further entries of the
// parent record of, the directory at AtDir, which is listed in RR_MOVED.
func relocated(cl uint32, up []byte, inside ...[]byte) func(Image) Image {
	return func(m Image) Image {
		m = rooted(File("CL.;1", 0, 0, PX(ModeDir|0o755), NM("cl"), At("CL", cl)), Sub("RR_MOVED", AtFree, PX(ModeDir|0o755), NM("rr_moved")))(m)
		m.Dir(AtFree, AtRoot, PX(ModeDir|0o755), PX(ModeDir|0o755), Sub("DIR", AtDir, PX(ModeDir|0o755), NM("dir"), SU("RE")))
		m.Dir(AtDir, AtFree, PX(ModeDir|0o755), Join(PX(ModeDir|0o755), up), inside...)
		return m
	}
}

// moved is a sound image with a relocated directory.
var moved = relocated(AtDir, At("PL", AtRoot), File("B.;1", AtHello, 5, reg(), NM("b")))

var suspRows = []Row{
	{ID: "S1", What: "a continuation area continues in itself", Kind: Loop, Stage: Open, twin: oneArea, make: areas(28, CE(AtCE, 0, 28), nil)},
	{
		ID: "S1 record", What: "a record continues in itself", Kind: Loop, Stage: Open, twin: rooted(File("X.;1", 0, 0, reg(), NM("x"), CE(AtCE, 0, 5))),
		make: func(m Image) Image {
			at := 0
			for _, r := range m.Records(AtRoot) {
				if at += len(r); string(r[33:38]) == "X.;1" {
					break
				}
			}
			recs := m.Records(AtRoot)
			at = len(Join(recs[:len(recs)-1]...))
			x := recs[len(recs)-1]
			copy(x[len(x)-28:], CE(AtRoot, uint32(at+len(x)-28), 28))
			return m
		},
	},
	{ID: "S2", What: "two continuation areas continue in each other", Kind: Loop, Stage: Open, twin: oneArea, make: areas(28, CE(AtCE+1, 0, 28), CE(AtCE, 0, 28))},
	{ID: "S3", What: "a ring of continuation areas in which the name grows", Kind: Loop, Stage: Open, twin: oneArea, make: areas(37, Join(SU("NM", []byte{1}, []byte("xxxx")), CE(AtCE, 0, 37)), nil)},
	{
		ID: "S3 long", What: "70 continuation areas of one record", Kind: Limit, Stage: Open, twin: oneArea,
		make: func(m Image) Image { // every area is another, but there are too many
			m = rooted(File("X.;1", 0, 0, reg(), NM("x"), CE(AtChain, 0, 28)))(m)
			for i := range 70 {
				m.Put(AtChain+i, 0, CE(uint32(AtChain+i+1), 0, 28))
			}
			return m
		},
	},
	{ID: "S4", What: "a continuation area at block 0x7fffffff", Kind: Range, Stage: Open, twin: oneArea, make: entries(CE(0x7fffffff, 0, 28))},
	{ID: "S5", What: "a continuation area at offset 0xfffffff0", Kind: Range, Stage: Open, twin: oneArea, make: entries(CE(AtCE, 0xfffffff0, 28))},
	{ID: "S6", What: "a continuation area of 0xffffffff bytes", Kind: Range, Stage: Open, twin: oneArea, make: entries(CE(AtCE, 0, 0xffffffff))},
	{ID: "S7", What: "a continuation area of no bytes", Kind: Format, Stage: Noted, Shows: "/x", twin: oneArea, make: entries(CE(AtCE, 0, 0))},
	// What lies there is no entry: parsing ends at it, as it does in other readers.
	{ID: "S8", What: "a continuation area in a directory", Kind: Format, Stage: Noted, Shows: "/x", twin: oneArea, make: entries(CE(AtRoot, 0, 100))},
	{
		ID: "S9", What: "a continuation area crosses its block", Kind: Format, Stage: Noted, Shows: "/x", twin: oneArea,
		make: func(m Image) Image {
			m = used(nil, reg(), CE(AtCE, BlockSize-3, 6))(m)
			m.Put(AtCE, BlockSize-3, NM("x"))
			return m
		},
	},
	{ID: "S31", What: "two continuation areas of one area", Kind: Format, Stage: Open, twin: oneArea, make: entries(CE(AtCE, 0, 5), CE(AtCE+1, 0, 5))},
	{ID: "S32", What: "an entry CE of 12 bytes", Kind: Format, Stage: Open, twin: oneArea, make: entries(SU("CE", Pair32(AtCE)))},
	{ID: "S10", What: "an entry of length 0", Kind: Format, Stage: Noted, Shows: "/x", twin: entries(SU("ZZ", []byte("?"))), make: entries(changed(SU("ZZ", []byte("?")), 2, 0))},
	{ID: "S11", What: "an entry of length 1", Kind: Format, Stage: Open, twin: entries(SU("ZZ", []byte("?"))), make: entries(changed(SU("ZZ", []byte("?")), 2, 1))},
	// What is whole is kept, and the rest is not needed to list the file.
	{ID: "S12", What: "an entry longer than the field", Kind: Format, Stage: Noted, Shows: "/x", twin: entries(SU("ZZ", []byte("?"))), make: entries(changed(SU("ZZ", []byte("?")), 2, 64))},
	// No record has as much to skip: the image is one without Rock Ridge.
	{ID: "S13", What: "255 bytes are to be skipped in each field", Kind: Format, Stage: Noted, Shows: "/A.TXT", twin: alone, make: func(m Image) Image { m[AtRoot*BlockSize+34+6] = 255; return m }},
	{ID: "S14", What: "strings of 255 bytes in an entry ER of 12", Kind: Format, Stage: Noted, Shows: "/x", twin: entries(SU("ER", []byte{1, 1, 1, 1, 'a', 'b', 'c', 0})), make: entries(SU("ER", []byte{255, 255, 255, 1, 'a', 'b', 'c', 0}))},
	{ID: "S15", What: "an entry NM of 4 bytes", Kind: Format, Stage: Noted, Shows: "/X", twin: entries(), make: used(nil, reg(), SU("NM"))},
	{ID: "S16", What: "an entry PX of 8 bytes", Kind: Format, Stage: Noted, Shows: "/x", twin: entries(), make: used(nil, SU("PX", LE32(ModeRegular)), NM("x"))},
	{ID: "S17", What: "an entry TF of seven dates in 2 bytes", Kind: Format, Stage: Noted, Shows: "/x", twin: entries(SU("TF", []byte{2}, Repeat(7, []byte{1}))), make: entries(SU("TF", []byte{0xff}, Repeat(2, []byte{1})))},
	{
		ID: "S18", What: "dates of which every byte is 0xff", Stage: Nobody, Shows: "/x", twin: entries(SU("TF", []byte{2}, []byte{126, 11, 23, 9, 5, 45, 0})),
		make: entries(SU("TF", []byte{2}, Repeat(7, []byte{0xff}))),
	},
	{ID: "S18 late", What: "the 60th second of the year 2155, 31 hours ahead", Stage: Nobody, Shows: "/x", twin: entries(SU("TF", []byte{2}, []byte{126, 11, 23, 9, 5, 45, 0})), make: entries(SU("TF", []byte{2}, []byte{255, 12, 31, 23, 59, 60, 127}))},
	{ID: "S19", What: "the mode 0xffffffff", Kind: Format, Stage: Open, twin: entries(), make: used(nil, PX(0xffffffff), NM("x"))},
	{ID: "S20", What: "PX says directory, the record says file", Kind: Conflict, Stage: Noted, Shows: "/x", twin: entries(), make: used(nil, PX(ModeDir|0o755), NM("x"))},
	{ID: "S20 dir", What: "PX says file, the record says directory", Kind: Conflict, Stage: Noted, Shows: "/dir/b", twin: alone, make: rooted(Sub("DIR", AtDir, PX(ModeRegular|0o755), NM("dir")))},
	// genisoimage 1.1.11 writes long links so; all that is there is shown.
	{ID: "S21", What: "a component of 255 bytes in an entry SL of 9", Kind: Format, Stage: Noted, Shows: "/x", twin: links(SL(0, 0, "to")), make: links(SU("SL", []byte{0, 0, 255}, []byte("to")))},
	{ID: "S22", What: "a link that continues in nothing", Kind: Format, Stage: Noted, Shows: "/x", twin: links(SL(0, 0, "to")), make: links(SL(1, 0, "to"))},
	{ID: "S23", What: "a component with a slash", Kind: Name, Stage: Open, twin: links(SL(0, 0, "to")), make: links(SL(0, 0, "../to"))},
	{ID: "S23 NUL", What: "a component with a NUL", Kind: Name, Stage: Open, twin: links(SL(0, 0, "to")), make: links(SL(0, 0, "t\x00o"))},
	// The record says what it is; a directory's link is not looked at.
	{ID: "S24", What: "a directory that is a link", Kind: Conflict, Stage: Noted, Shows: "/dir/b", twin: alone, make: rooted(Sub("DIR", AtDir, PX(ModeSymlink|0o777), NM("dir"), SL(0, 0, "to")))},
	{
		ID: "S25", What: "a relocated directory that contains its placeholder", Kind: Loop, Stage: Open, twin: moved,
		make: func(m Image) Image {
			m = alone(m)
			m.Dir(AtDir, AtRoot, PX(ModeDir|0o755), Join(PX(ModeDir|0o755), At("PL", AtDir)), File("X.;1", 0, 0, PX(ModeDir|0o755), NM("x"), At("CL", AtDir)))
			return m
		},
	},
	{
		ID: "S25 two", What: "each of two relocated directories contains the other", Kind: Loop, Stage: Open, twin: moved,
		make: func(m Image) Image {
			m = subs(nil, nil)(m)
			m.Dir(22, AtRoot, nil, At("PL", 23), File("B.;1", 0, 0, PX(ModeDir|0o755), NM("b"), At("CL", 23)))
			m.Dir(23, AtRoot, nil, At("PL", 22), File("A.;1", 0, 0, PX(ModeDir|0o755), NM("a"), At("CL", 22)))
			return m
		},
	},
	{ID: "S26", What: "the root is relocated", Kind: Loop, Stage: Open, twin: moved, make: relocated(AtRoot, At("PL", AtRoot))},
	{ID: "S27", What: "a relocated directory at block 0xfffffff0", Kind: Range, Stage: Open, twin: moved, make: relocated(0xfffffff0, At("PL", AtRoot))},
	{ID: "S28", What: "a relocated directory that does not point back", Kind: Format, Stage: Open, twin: moved, make: relocated(AtDir, nil)},
	{ID: "S28 file", What: "a relocated directory that is none", Kind: Format, Stage: Open, twin: moved, make: relocated(AtHello, At("PL", AtRoot))},
	{
		ID: "S29", What: "the root claims to be relocated", Stage: Nobody, Shows: "/a.txt", twin: alone,
		make: func(m Image) Image {
			m.Dir(AtRoot, AtRoot, Join(SP(0), PX(ModeDir|0o755), SU("RE")), PX(ModeDir|0o755), ATxt(), InDir())
			return m
		},
	},
	{ID: "S30", What: "an entry of an unknown signature", Stage: Nobody, Shows: "/x", twin: entries(), make: entries(SU("ZZ", []byte("?")))},
	{ID: "S33", What: "garbage behind the end of entries", Stage: Nobody, Shows: "/x", twin: entries(SU("ST")), make: entries(SU("ST"), []byte("PX\x01\x01"))},
	{
		ID: "S34", What: "a link of 6,324 bytes", Kind: Limit, Stage: Open, twin: links(SL(0, 0, "to")),
		make: func(m Image) Image {
			area := Repeat(102, SL(1, 0, Text64[:62]))
			m = rooted(File("X.;1", 0, 0, PX(ModeSymlink|0o777), NM("x"), CE(AtChain, 0, uint32(len(area)))))(m)
			m.Put(AtChain, 0, area)
			return m
		},
	},
}

// named is a file of the name.
func named(name string) func(Image) Image { return used(nil, reg(), NM(name)) }

// xs is a file and what else is called x.
func xs(recs ...[]byte) func(Image) Image {
	return rooted(append([][]byte{xFile(AtHello, 5)}, recs...)...)
}

var nameRows = []Row{
	{ID: "N1", What: "a file called ..", Kind: Name, Stage: Open, twin: named("xx"), make: named("..")},
	{ID: "N2", What: "a file called ../../x", Kind: Name, Stage: Open, twin: named("__.__.x"), make: named("../../x")},
	{ID: "N3", What: "a file called /abs", Kind: Name, Stage: Open, twin: named("_abs"), make: named("/abs")},
	{ID: "N4", What: "a file called a, NUL, b", Kind: Name, Stage: Open, twin: named("a_b"), make: named("a\x00b")},
	{ID: "N5", What: "a file without a name", Kind: Name, Stage: Noted, Shows: "/X", twin: named("x"), make: named("")},
	{ID: "N6", What: "a file called .", Kind: Name, Stage: Open, twin: named("x"), make: named(".")},
	{ID: "N7", What: "a directory called .. by Rock Ridge", Kind: Name, Stage: Open, twin: alone, make: rooted(Sub("DIR", AtDir, PX(ModeDir|0o755), NM("..")))},
	{ID: "N8", What: "a directory called ..", Kind: Name, Stage: Open, twin: plain(Sub("DD", AtDir)), make: plain(Sub("..", AtDir))},
	{ID: "N9", What: "a file called ../../X", Kind: Name, Stage: Open, twin: plain(File("__.__.X.;1", AtHello, 5)), make: plain(File("../../X.;1", AtHello, 5))},
	{ID: "N10", What: `a file called ..\..\x`, Stage: Nobody, Shows: `/..\..\x`, twin: named("__.__.x"), make: named(`..\..\x`)},
	{ID: "N11", What: "a name with a line break and an escape sequence", Stage: Nobody, Shows: "/a\n\x1b[31m", twin: named("a__[31m"), make: named("a\n\x1b[31m")},
	{ID: "N12", What: "a name that is not UTF-8", Stage: Nobody, Shows: "/a", twin: named("ab"), make: named("a\xff")},
	// Both are listed; the first one counts.
	{ID: "N13", What: "two files called x", Kind: Conflict, Stage: Noted, Shows: "/x", twin: xs(File("Y.;1", AtHello, 5, reg(), NM("y"))), make: xs(File("Y.;1", AtText, 60, reg(), NM("x")))},
	{ID: "N14", What: "files called Foo and foo", Stage: Nobody, Shows: "/foo", twin: rooted(File("F.;1", AtHello, 5, reg(), NM("Foo")), File("G.;1", AtHello, 5, reg(), NM("bar"))), make: rooted(File("F.;1", AtHello, 5, reg(), NM("Foo")), File("G.;1", AtHello, 5, reg(), NM("foo")))},
	{ID: "N15", What: "two versions of a file", Stage: Nobody, Shows: "/X", twin: plain(File("W.;1", AtText, 5), File("X.;1", AtHello, 5)), make: plain(File("X.;2", AtText, 5), File("X.;1", AtHello, 5))},
	{ID: "N16", What: "a file and a directory of one name", Kind: Conflict, Stage: Noted, Shows: "/x", twin: xs(Sub("Y", AtDir, PX(ModeDir|0o755), NM("y"))), make: xs(Sub("Y", AtDir, PX(ModeDir|0o755), NM("x")))},
	{
		ID: "N17", What: "a link out of the tree, and a directory of its name", Kind: Conflict, Stage: Noted, Shows: "/x",
		twin: rooted(File("X.;1", 0, 0, PX(ModeSymlink|0o777), NM("x"), SL(0, 4, "")), Sub("Y", AtDir, PX(ModeDir|0o755), NM("y"))),
		make: rooted(File("X.;1", 0, 0, PX(ModeSymlink|0o777), NM("x"), SL(0, 4, "")), Sub("Y", AtDir, PX(ModeDir|0o755), NM("x"))),
	},
	{
		ID: "N18", What: "a link out of the tree, and a file of its name", Kind: Conflict, Stage: Noted, Shows: "/x",
		twin: rooted(File("X.;1", 0, 0, PX(ModeSymlink|0o777), NM("x"), SL(0, 4, "")), File("Y.;1", AtHello, 5, reg(), NM("y"))),
		make: rooted(File("X.;1", 0, 0, PX(ModeSymlink|0o777), NM("x"), SL(0, 4, "")), File("Y.;1", AtHello, 5, reg(), NM("x"))),
	},
	{ID: "N19", What: "a name of 256 bytes", Kind: Name, Stage: Open, twin: long(63), make: long(64)},
	{ID: "N20", What: "files called CON, and with a dot and a space at the end", Stage: Nobody, Shows: "/CON", twin: rooted(File("A.;1", AtHello, 5, reg(), NM("COM")), File("B.;1", AtHello, 5, reg(), NM("b_")), File("C.;1", AtHello, 5, reg(), NM("c_"))), make: rooted(File("A.;1", AtHello, 5, reg(), NM("CON")), File("B.;1", AtHello, 5, reg(), NM("b.")), File("C.;1", AtHello, 5, reg(), NM("c ")))},
	{ID: "N21", What: "a user's directory called rr_moved", Stage: Nobody, Shows: "/rr_moved/b", twin: alone, make: rooted(Sub("RR_MOVED", AtDir, PX(ModeDir|0o755), NM("rr_moved")))},
	{ID: "N22", What: "a directory whose name begins with a dash", Stage: Nobody, Shows: "/-rf/b", twin: alone, make: rooted(Sub("DIR", AtDir, PX(ModeDir|0o755), NM("-rf")))},
}

// long is a file whose name has 192 bytes and n more, in continuation areas.
func long(n int) func(Image) Image {
	area := Join(SU("NM", []byte{1}, []byte(Text64)), SU("NM", []byte{1}, []byte(Text64)), SU("NM", []byte{0}, []byte(Text64[:n])))
	return used(area, reg(), SU("NM", []byte{1}, []byte(Text64)), CE(AtCE, 0, uint32(len(area))))
}

// jolietRoot is an image with further records in Joliet's root directory.
func jolietRoot(recs ...[]byte) func(Image) Image {
	return func(m Image) Image {
		m.Dir(AtJRoot, AtJRoot, nil, nil, append([][]byte{File(UCS("a.txt"), AtHello, 5), Sub(UCS("dir"), AtJDir)}, recs...)...)
		return m
	}
}

// both is an image with a file in both trees, of this identifier in Joliet.
func both(id string) func(Image) Image {
	return func(m Image) Image {
		m.Root(xFile(AtHello, 5), InDir())
		return jolietRoot(File(id, AtHello, 5))(m)
	}
}

var jolietRows = []Row{
	{ID: "J1", What: "the trees hold different files", Kind: Conflict, Stage: Noted, Shows: "/a.txt", make: jolietRoot(File(UCS("other"), AtHello, 5))},
	{ID: "J2", What: "a Joliet name ../../x", Kind: Name, Stage: Joliet, twin: both(UCS("x")), make: both(UCS("../../x"))},
	{ID: "J3", What: "a Joliet name of three bytes", Kind: Format, Stage: Joliet, twin: both(UCS("x")), make: both("abc")},
	{ID: "J4", What: "half a surrogate in a Joliet name", Stage: Nobody, Shows: "/x", twin: both(UCS("x")), make: both("\xd8\x00")},
	{ID: "J5", What: "a NUL in a Joliet name", Kind: Name, Stage: Joliet, twin: both(UCS("x")), make: both("\x00x\x00\x00")},
	{
		ID: "J6", What: "80 levels of Joliet names of 110 characters", Stage: Nobody, Shows: "/a.txt", make: remade(func(m Image) Image {
			m = append(m, make(Image, 80*BlockSize)...)
			m.Put(AtPVD, OffSpaceSize, Pair32(uint32(len(m)/BlockSize)))
			m.Put(AtSVD, OffSpaceSize, Pair32(uint32(len(m)/BlockSize)))
			id := UCS(strings.Repeat("n", 110))
			m.Dir(AtJRoot, AtJRoot, nil, nil, File(UCS("a.txt"), AtHello, 5), Sub(UCS("dir"), AtJDir), Sub(id, Allocate))
			for i := range uint32(80) {
				up := Allocate + i - 1
				if i == 0 {
					up = AtJRoot
				}
				var recs [][]byte
				if i < 79 {
					recs = append(recs, Sub(id, Allocate+i+1))
				}
				m.Dir(Allocate+i, up, nil, nil, recs...)
			}
			return m
		}),
	},
	// Editing needs both trees, so that one which cannot be read is an error there.
	{ID: "J7", What: "the root of Joliet at block 0x7fffffff", Kind: Range, Stage: Joliet, make: patched(AtSVD, OffRoot+2, Pair32(0x7fffffff))},
	{ID: "J8", What: "a Joliet name with a version", Stage: Nobody, Shows: "/x", twin: both(UCS("x")), make: both(UCS("x;1"))},
	{ID: "J9", What: "the root of Joliet lists itself", Kind: Loop, Stage: Joliet, make: jolietRoot(Sub(UCS("x"), AtJRoot))},
}
