package hostile

import "fmt"

// subs is a root with two directories at blocks 22 and 23 of these records.
func subs(a, b []byte) func(Image) Image {
	return func(m Image) Image {
		m = rooted(Sub("A", 22, PX(ModeDir|0o755), NM("a")), Sub("B", 23, PX(ModeDir|0o755), NM("b")))(m)
		m.Dir(22, AtRoot, PX(ModeDir|0o755), PX(ModeDir|0o755), a)
		m.Dir(23, AtRoot, PX(ModeDir|0o755), PX(ModeDir|0o755), b)
		return m
	}
}

// deep is an image of n directories, each in the one before.
func deep(n int) func(Image) Image {
	return func(m Image) Image {
		m = append(m, make(Image, n*BlockSize)...)
		m.Put(AtPVD, OffSpaceSize, Pair32(uint32(len(m)/BlockSize)))
		m = rooted(Sub("D", Allocate, PX(ModeDir|0o755), NM("d")))(m)
		for i := range n {
			at, up := uint32(Allocate+i), uint32(Allocate+i-1)
			if i == 0 {
				up = AtRoot
			}
			var recs [][]byte
			if i < n-1 {
				recs = append(recs, Sub("D", at+1, PX(ModeDir|0o755), NM("d")))
			}
			m.Dir(at, up, PX(ModeDir|0o755), PX(ModeDir|0o755), recs...)
		}
		return m
	}
}

// lattice is n levels of directories, each of which lists the next under these names.
func lattice(n int, names ...string) func(Image) Image {
	return func(m Image) Image {
		m = rooted(Sub("A", AtChain, PX(ModeDir|0o755), NM("a")))(m)
		for i := range uint32(n) {
			up := AtChain + i - 1
			if i == 0 {
				up = AtRoot
			}
			var recs [][]byte
			for _, id := range names {
				recs = append(recs, Sub(id, AtChain+i+1, PX(ModeDir|0o755)))
			}
			m.Dir(AtChain+i, up, PX(ModeDir|0o755), PX(ModeDir|0o755), recs...)
		}
		m.Dir(AtChain+uint32(n), AtChain+uint32(n)-1, PX(ModeDir|0o755), PX(ModeDir|0o755))
		return m
	}
}

// x is the record of a directory /x at block lba.
func x(lba, size uint32) []byte { return Rec("X", lba, size, 2, PX(ModeDir|0o755), NM("x")) }

var treeRows = []Row{
	{
		ID: "T1", What: "a directory lists itself", Kind: Loop, Stage: Open,
		twin: also(alone, func(m Image) Image {
			m.Dir(AtDir, AtRoot, PX(ModeDir|0o755), PX(ModeDir|0o755), x(22, BlockSize))
			m.Dir(22, AtDir, PX(ModeDir|0o755), PX(ModeDir|0o755))
			return m
		}),
		make: func(m Image) Image {
			m.Dir(AtDir, AtRoot, PX(ModeDir|0o755), PX(ModeDir|0o755), x(AtDir, BlockSize))
			return m
		},
	},
	{ID: "T2", What: "the root lists itself", Kind: Loop, Stage: Open, twin: rooted(x(AtDir, BlockSize)), make: rooted(x(AtRoot, BlockSize))},
	{
		ID: "T3", What: "two directories list each other", Kind: Loop, Stage: Open,
		twin: subs(File("F.;1", AtHello, 5, PX(ModeRegular|0o644)), File("F.;1", AtHello, 5, PX(ModeRegular|0o644))),
		make: subs(Sub("B", 23, PX(ModeDir|0o755)), Sub("A", 22, PX(ModeDir|0o755))),
	},
	{ID: "T4", What: "30 levels of two names for one directory: 2^30 paths", Kind: Loop, Stage: Open, twin: lattice(30, "A"), make: lattice(30, "A", "B")},
	// genisoimage -f writes that for a link it follows.
	{ID: "T4 once", What: "a directory is listed twice", Kind: Conflict, Stage: Noted, Shows: "/e/b", twin: alone, make: rooted(InDir(), Sub("E", AtDir, PX(ModeDir|0o755), NM("e")))},
	{ID: "T5", What: "2,000 levels", Kind: Limit, Stage: Open, dirBytes: 2000 * BlockSize, twin: deep(250), make: remade(deep(2000))},
	{ID: "T6", What: "60,000 levels", Kind: Limit, Stage: Open, Big: true, dirBytes: 60_000 * BlockSize, twin: deep(250), make: remade(deep(60_000))},
	{ID: "T7", What: "a directory lies on a file's text", Kind: Format, Stage: Open, twin: rooted(x(AtDir, BlockSize)), make: rooted(x(AtText, BlockSize))},
	{ID: "T8", What: "a directory lies at block 0", Kind: Format, Stage: Open, twin: rooted(x(AtDir, BlockSize)), make: rooted(x(0, BlockSize))},
	{ID: "T9", What: "a directory lies at block 0x7fffffff", Kind: Range, Stage: Open, twin: rooted(x(AtDir, BlockSize)), make: rooted(x(0x7fffffff, BlockSize))},
	// It lacks "." and ".."; nothing could be put into it again.
	{ID: "T10", What: "a directory of no bytes", Kind: Format, Stage: Open, twin: rooted(x(AtDir, BlockSize)), make: rooted(x(AtDir, 0))},
	{ID: "T11", What: "a directory of 100 bytes", Kind: Format, Stage: Noted, Shows: "/x/b", twin: rooted(x(AtDir, BlockSize)), make: rooted(x(AtDir, 100))},
	{ID: "T12", What: "a directory of 0x7ffff800 bytes", Kind: Range, Stage: Open, twin: rooted(x(AtDir, BlockSize)), make: rooted(x(AtDir, 0x7ffff800))},
	{ID: "T13", What: "a directory of 0xffffffff bytes", Kind: Range, Stage: Open, twin: rooted(x(AtDir, BlockSize)), make: rooted(x(AtDir, 0xffffffff))},
	{ID: "T13 sparse", What: "a directory of 0xfffff800 bytes which are there", Kind: Limit, Stage: Open, Grow: 8 << 30, twin: rooted(x(AtDir, BlockSize)), make: rooted(x(AtDir, 0xfffff800))},
	{ID: "T14", What: "the block of the root is zero", Kind: Format, Stage: Open, twin: alone, make: func(m Image) Image { m.Clear(AtRoot); return m }},
	{
		ID: "T15", What: "the root has only its own record", Kind: Conflict, Stage: Noted, twin: plain(),
		make: func(m Image) Image {
			m.Clear(AtRoot)
			m.Put(AtRoot, 0, Rec("\x00", AtRoot, BlockSize, 2))
			return m
		},
	},
	{
		ID: "T16", What: `"." and ".." point elsewhere`, Kind: Conflict, Stage: Noted, Shows: "/dir", twin: dirred(),
		make: func(m Image) Image {
			m.Dir(AtDir, 99, PX(ModeDir|0o755), PX(ModeDir|0o755))
			m.Put(AtDir, 2, Pair32(98))
			return m
		},
	},
	{
		ID: "T17", What: "five directories of 64 MiB", Kind: Limit, Stage: Open, Grow: 1 << 30, dirBytes: 5 * 64 << 20, twin: rooted(x(AtDir, BlockSize)),
		make: func(m Image) Image {
			var recs [][]byte
			for i := range 5 {
				recs = append(recs, Rec(fmt.Sprint("X", i), Allocate-1, 64<<20, 2, PX(ModeDir|0o755)))
			}
			m.Dir(Allocate-1, AtRoot, nil, nil)
			return rooted(recs...)(m)
		},
	},
}

// remade is f of a new image.
func remade(f func(Image) Image) func(Image) Image {
	return func(Image) Image { return f(New()) }
}

// section is one of the parts of /x that make up a large file.
func section(lba, size uint32, flags byte) []byte { return Rec("X.;1", lba, size, flags) }

// twoSections is the twin of files with several sections.
var twoSections = plain(section(AtText, BlockSize, 0x80), section(AtText+1, 5, 0))

// xFile is the record of /x with content.
func xFile(lba, size uint32) []byte {
	return File("X.;1", lba, size, PX(ModeRegular|0o644), NM("x"))
}

var recordRows = []Row{
	{ID: "R1", What: "a record of 1 byte", Kind: Format, Stage: Open, twin: rooted(xFile(AtHello, 5)), make: rooted([]byte{1, 0})},
	{ID: "R1 behind", What: "a byte behind the records", Stage: Nobody, Shows: "/a.txt", twin: alone, make: patched(AtRoot, 1000, []byte{1})},
	{ID: "R2", What: "a record of 33 bytes", Kind: Format, Stage: Open, twin: rooted(xFile(AtHello, 5)), make: rooted(changed(xFile(AtHello, 5), 0, 33))},
	{
		ID: "R3", What: "a record crosses the block", Kind: Format, Stage: Open, twin: dirred(fill(41, 47)...),
		make: func(m Image) Image { m.Put(AtDir, end(m), []byte{54}); return m },
	},
	{
		ID: "R4", What: "a length in the last byte of the block", Kind: Format, Stage: Open, twin: dirred(fill(41, 47)...),
		make: func(m Image) Image {
			recs := m.Records(AtDir)
			recs[len(recs)-1][0] += byte(BlockSize - 1 - end(m)) // up to the last byte but one
			m.Put(AtDir, BlockSize-1, []byte{0xff})
			return m
		},
	},
	{ID: "R5", What: "an identifier of 255 bytes in a record of 42", Kind: Format, Stage: Open, twin: plain(File("ABCDEFGHI", AtHello, 5)), make: plain(changed(File("ABCDEFGHI", AtHello, 5), 32, 255))},
	{ID: "R6", What: "an empty identifier", Kind: Name, Stage: Open, twin: rooted(xFile(AtHello, 5)), make: rooted(File("", AtHello, 5, PX(ModeRegular|0o644), NM("x")))},
	{ID: "R7", What: "30 blocks of extended attributes", Stage: Nobody, Shows: "/X", twin: plain(File("X.;1", AtChain+30, 5)), make: plain(changed(File("X.;1", AtChain, 5), 1, 30))},
	{ID: "R7 far", File: "/X", What: "255 blocks of extended attributes", Kind: Range, Stage: Content, twin: plain(File("X.;1", AtHello, 5)), make: plain(changed(File("X.;1", AtHello, 5), 1, 255))},
	{ID: "R8", What: "addresses in two byte orders differ", Kind: Conflict, Stage: Noted, Shows: "/X", twin: plain(File("X.;1", AtHello, 5)), make: plain(changed(File("X.;1", AtHello, 5), 9, 41))},
	{ID: "R9", What: "sizes in two byte orders differ", Kind: Conflict, Stage: Noted, Shows: "/X", twin: plain(File("X.;1", AtHello, 5)), make: plain(changed(File("X.;1", AtHello, 5), 14, 0x7f, 0xff, 0xff, 0xff))},
	{ID: "R10", File: "/x", What: "a file at block 0x7fffffff", Kind: Range, Stage: Content, twin: rooted(xFile(AtHello, 5)), make: rooted(xFile(0x7fffffff, 5))},
	// The image is as long as it says: nothing was cut off it.
	{ID: "R11", File: "/x", What: "a file of 0xffffffff bytes", Kind: Range, Stage: Content, twin: rooted(xFile(AtHello, 5)), make: rooted(xFile(AtHello, 0xffffffff))},
	{
		ID: "R11 cut", File: "/x", What: "a file of 0xffffffff bytes in a volume that would hold it", Kind: Trunc, Stage: Content, twin: rooted(xFile(AtHello, 5)),
		make: also(rooted(xFile(AtHello, 0xffffffff)), patched(AtPVD, OffSpaceSize, Pair32(1<<22))),
	},
	{ID: "R12", What: "the last record announces a further one", Kind: Format, Stage: Open, twin: twoSections, make: plain(section(AtText, BlockSize, 0x80))},
	{ID: "R13", File: "/X", What: "nine sections of 0xfffff800 bytes", Kind: Range, Stage: Content, twin: twoSections, make: plain(Repeat(8, section(AtHello, 0xfffff800, 0x80)), section(AtHello, 0xfffff800, 0))},
	{ID: "R14", What: "sections of two names", Kind: Format, Stage: Open, twin: twoSections, make: plain(section(AtText, BlockSize, 0x80), File("Y.;1", AtText+1, 5))},
	// Every section has its own address: one that does not follow the one before is legal.
	{ID: "R14 gap", What: "sections that do not follow each other", Stage: Nobody, Shows: "/X", twin: twoSections, make: plain(section(AtText, BlockSize, 0x80), section(AtHello, 5, 0))},
	{ID: "R15", What: "two files of one extent", Stage: Nobody, Shows: "/Y", twin: plain(File("X.;1", AtHello, 5), File("Y.;1", AtText, 5)), make: plain(File("X.;1", AtHello, 5), File("Y.;1", AtHello, 5))},
	{ID: "R16", What: "a file lies on the volume descriptor", Kind: Conflict, Stage: Edit, Shows: "/X", twin: plain(File("X.;1", AtHello, 5)), make: plain(File("X.;1", AtPVD, 5))},
	{ID: "R16 root", What: "a file lies on the root directory", Kind: Conflict, Stage: Edit, Shows: "/X", twin: plain(File("X.;1", AtHello, 5)), make: plain(File("X.;1", AtRoot, 5))},
	{ID: "R17", What: "an interleaved file", Kind: Unsupported, Stage: Open, twin: rooted(xFile(AtHello, 5)), make: rooted(changed(xFile(AtHello, 5), 26, 1, 1))},
	// As Linux does, the number is not looked at: there are images with 0 and with garbage.
	{ID: "R18", What: "a file on the second volume of a set", Stage: Nobody, Shows: "/x", twin: rooted(xFile(AtHello, 5)), make: rooted(changed(xFile(AtHello, 5), 28, 2, 0, 0, 2))},
	{ID: "R19", What: "an associated directory", Kind: Format, Stage: Open, twin: rooted(x(AtDir, BlockSize)), make: rooted(changed(x(AtDir, BlockSize), 25, 2|4))},
	{ID: "R20", What: "an identifier of even length without its pad byte", Stage: Nobody, Shows: "/XY", twin: plain(File("XY.;12", AtHello, 5)), make: plain(changed(File("XY.;12", AtHello, 5), 0, 39)[:39])},
}

// end is how many bytes the records of the directory at AtDir take.
func end(m Image) int { return len(Join(m.Records(AtDir)...)) }

// fill is n records of files, of as many bytes each as their names are given.
func fill(n, size int) (out [][]byte) {
	for i := range n {
		out = append(out, File(fmt.Sprintf("F%0*d.;1", size-33-5, i), AtHello, 5))
	}
	return out
}
