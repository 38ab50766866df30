package iso9660

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// hostile is an image that breaks a rule, and what reading all of it gives.
type hostile struct {
	id    string // in the catalogue of hostile images
	make  func(m image) image
	kind  Kind   // of the error; "" when the image is read without one
	warn  string // part of a warning
	shows string // part of what is listed
	not   string // what must not be listed
}

// patched is an image with bytes put at an offset of a block.
func patched(lba, off int, b ...[]byte) func(image) image {
	return func(m image) image { m.put(lba, off, b...); return m }
}

// rooted is an image with further records in the root directory.
func rooted(recs ...[]byte) func(image) image {
	return func(m image) image { m.root(recs...); return m }
}

// plain is an image without Rock Ridge and Joliet, with these records in the root directory.
func plain(recs ...[]byte) func(image) image {
	return func(m image) image {
		m.descriptor(atSVD, TypeTerminator, 0)
		m.plainRoot(recs...)
		return m
	}
}

// used is an image with a file of these system use entries and continuation area.
func used(ce []byte, su ...[]byte) func(image) image {
	return func(m image) image {
		m.root(file("X.;1", 0, 0, su...))
		m.put(atCE, 0, ce)
		return m
	}
}

// jolietRoot is an image with further records in Joliet's root directory.
func jolietRoot(recs ...[]byte) func(image) image {
	return func(m image) image { m.dir(atJRoot, atJRoot, nil, nil, recs...); return m }
}

// links are the entries of a symbolic link.
func links(sl ...[]byte) func(image) image {
	return used(nil, append([][]byte{px(ModeSymlink | 0o777), nm("x")}, sl...)...)
}

// zisofs is an image with a compressed file, whose header, pointers and data are z.
func zisofs(size uint32, blockLog byte, z ...[]byte) func(image) image {
	return func(m image) image {
		stored := join(z...)
		m.root(file("Z.;1", atChain, uint32(len(stored)), px(ModeRegular|0o644), nm("z"), entry("ZF", []byte("pz"), []byte{4, blockLog}, pair32(size))))
		m.put(atChain, 0, stored)
		return m
	}
}

// deep is an image of n directories, each in the one before.
func deep(n int) func(image) image {
	return func(m image) image {
		m = append(m, make(image, n*BlockSize)...)
		m.root(sub("D", allocate, px(ModeDir), nm("d")))
		for i := range n - 1 {
			at := uint32(allocate + i)
			m.dir(at, at-1, nil, nil, sub("D", at+1, px(ModeDir), nm("d")))
		}
		m.dir(uint32(allocate+n-1), uint32(allocate+n-2), nil, nil)
		return m
	}
}

// relocated is an image with a placeholder for, and further entries of the
// parent record of, the directory at atDir, which is listed in RR_MOVED.
func relocated(cl uint32, up []byte, inside ...[]byte) func(image) image {
	return func(m image) image {
		m.root(file("CL.;1", 0, 0, px(ModeDir), nm("cl"), at("CL", cl)), sub("RR_MOVED", atFree, px(ModeDir), nm("rr_moved")))
		m.dir(atFree, atRoot, nil, nil, sub("DIR", atDir, px(ModeDir), nm("dir"), entry("RE")))
		m.dir(atDir, atFree, px(ModeDir), up, inside...)
		return m
	}
}

func zhead(size uint32, words, blockLog byte) []byte {
	return join(zisofsMagic, le32(size), []byte{words, blockLog, 0, 0})
}

func repeat(n int, b []byte) []byte { return bytes.Repeat(b, n) }

const longText = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" // 64

var catalogue = []hostile{
	{id: "T1", make: func(m image) image {
		m.dir(atDir, atRoot, nil, nil, sub("X", atDir, nm("x")))
		return m
	}, kind: ErrLoop},
	{id: "T2", make: rooted(sub("X", atRoot, nm("x"))), kind: ErrLoop},
	{id: "T3", make: func(m image) image {
		m.root(sub("A", 22, nm("a")), sub("B", 23, nm("b")))
		m.dir(22, atRoot, nil, nil, sub("B", 23))
		m.dir(23, atRoot, nil, nil, sub("A", 22))
		return m
	}, kind: ErrLoop},
	// A directory that is listed twice is allowed, as genisoimage -f writes
	// that for a link it follows; but not so often as to multiply.
	{id: "T4", make: func(m image) image {
		m.root(sub("A", atChain, nm("a")))
		for i := range uint32(30) {
			m.dir(atChain+i, atRoot, nil, nil, sub("A", atChain+i+1), sub("B", atChain+i+1))
		}
		m.dir(atChain+30, atRoot, nil, nil)
		return m
	}, kind: ErrLoop},
	{id: "T4 once", make: rooted(inDir(), sub("E", atDir, nm("e"))), warn: "listed twice", shows: `primary "/e/b"`},
	{id: "T5", make: deep(2000), kind: ErrLimit},
	{id: "T5 allowed", make: deep(250), shows: strings.Repeat("/d", 250) + `"`},
	{id: "T7", make: rooted(sub("X", atText, nm("x"))), kind: ErrFormat},
	{id: "T8", make: rooted(sub("X", 0, nm("x"))), kind: ErrFormat},
	{id: "T9", make: rooted(sub("X", 0x7fffffff, nm("x"))), kind: ErrRange},
	// An empty directory lacks "." and ".."; nothing could be put into it
	// again, so that the image is refused rather than read in part.
	{id: "T10", make: rooted(rec("X", atDir, 0, 2, nm("x"))), kind: ErrFormat},
	{id: "T11", make: rooted(rec("X", atDir, 100, 2, nm("x"))), warn: "no multiple", shows: `primary "/x/b"`},
	{id: "T12", make: rooted(rec("X", atDir, 0x7ffff800, 2, nm("x"))), kind: ErrRange},
	{id: "T13", make: rooted(rec("X", atDir, 0xffffffff, 2, nm("x"))), kind: ErrRange},
	{id: "T14", make: func(m image) image { m.clear(atRoot); return m }, kind: ErrFormat},
	{id: "T15", make: func(m image) image {
		m.clear(atRoot)
		m.put(atRoot, 0, rec("\x00", atRoot, BlockSize, 2))
		return m
	}, warn: `"." and ".."`},
	{id: "T16", make: func(m image) image { m.dir(atDir, 99, nil, nil); return m }, warn: "point elsewhere"},

	{id: "R1", make: patched(atRoot, 1000, []byte{1}), shows: "a.txt"}, // behind the records, where nothing is read
	{id: "R1", make: rooted([]byte{1, 0}), kind: ErrFormat},
	{id: "R2", make: rooted(repeat(33, []byte{33})), kind: ErrFormat},
	{id: "R3", make: func(m image) image {
		m.put(atDir, 0, repeat(24, rec(longText[:20], 0, 0, 0)[:54]), repeat(14, rec(longText[:20], 0, 0, 0)[:54]))
		m.put(atDir, 0, rec("\x00", atDir, BlockSize, 2))
		m.put(atDir, 34, rec("\x01", atRoot, BlockSize, 2), repeat(36, rec(longText[:20], 0, 0, 0)[:54]), []byte{54})
		return m
	}, kind: ErrFormat},
	{id: "R4", make: func(m image) image {
		m.clear(atDir)
		m.put(atDir, 0, rec("\x00", atDir, BlockSize, 2), repeat(19, rec(longText, 0, 0, 0)), rec(longText[:49]+longText[:20], 0, 0, 0), []byte{0xff})
		m[atDir*BlockSize+BlockSize-1] = 0xff
		return m
	}, kind: ErrFormat},
	{id: "R5", make: rooted(func() []byte { r := file("ABCDEFGHI", 0, 0); r[32] = 255; return r }()), kind: ErrFormat},
	{id: "R6", make: rooted(file("", 0, 0, nm("x"))), kind: ErrName},
	{id: "R7", make: plain(func() []byte { r := file("X.;1", atHello-30, 5); r[1] = 30; return r }()), shows: "[{40 5}]"},
	{id: "R7 far", make: rooted(func() []byte { r := file("X.;1", atHello, 5); r[1] = 255; return r }()), kind: ErrRange},
	{id: "R8", make: plain(func() []byte { r := file("X.;1", atHello, 5); r[9]++; return r }()), warn: "extent: contradiction", shows: "[{40 5}]"},
	{id: "R9", make: plain(func() []byte { r := file("X.;1", atHello, 5); r[17]++; return r }()), warn: "data length: contradiction", shows: "[{40 5}]"},
	{id: "R10", make: rooted(file("X.;1", 0x7fffffff, 5)), kind: ErrRange},
	// The image is as long as it says: nothing was cut off it.
	{id: "R11", make: rooted(file("X.;1", atHello, 0xffffffff)), kind: ErrRange},
	{id: "R11 cut", make: func(m image) image {
		m.put(atPVD, OffSpaceSize, pair32(1<<22))
		m.root(file("X.;1", atHello, 0xffffffff))
		return m
	}, kind: ErrTruncated},
	{id: "R12", make: rooted(rec("X.;1", atHello, BlockSize, FlagMultiExtent)), kind: ErrFormat},
	{id: "R13", make: plain(repeat(8, rec("X.;1", atHello, 0xfffff800, FlagMultiExtent)), file("X.;1", atHello, 0xfffff800)), kind: ErrRange},
	{id: "R14 names", make: rooted(rec("X.;1", atHello, BlockSize, FlagMultiExtent), file("Y.;1", atHello+1, 5)), kind: ErrFormat},
	// Every section has its own address: one that does not follow the one before is legal.
	{id: "R14 gap", make: plain(rec("X.;1", atText, BlockSize, FlagMultiExtent), file("X.;1", atHello, 5)), shows: `"/X" 100444 2053 "" `},
	{id: "R15", make: plain(file("X.;1", atHello, 5), file("Y.;1", atHello, 5)), shows: `"/Y" 100444 5 `},
	// Whether content may lie on metadata matters only to who writes: package layout.
	{id: "R16", make: plain(file("X.;1", atPVD, 5)), shows: "\x01CD00"},
	{id: "R17", make: rooted(func() []byte { r := file("X.;1", atHello, 5); r[26], r[27] = 1, 1; return r }()), kind: ErrUnsupported},
	// As Linux does, the number is not looked at: there are images with 0 and with garbage.
	{id: "R18", make: plain(func() []byte { r := file("X.;1", atHello, 5); copy(r[28:], pair16(2)); return r }()), shows: "hello"},
	{id: "R19", make: rooted(rec("X", atDir, BlockSize, FlagAssociated|FlagDirectory)), kind: ErrFormat},
	// A name of even length without the byte behind it; some writers save that one.
	{id: "R pad", make: plain(func() []byte { r := file("XY.;12", atHello, 5); r = r[:39]; r[0] = 39; return r }(), file("Z.;1", atText, 5)), shows: `"/Z" `},

	{id: "S1", make: used(ce(atCE, 0, 28), ce(atCE, 0, 28)), kind: ErrLoop},
	{id: "S1 record", make: func(m image) image {
		x := file("X.;1", 0, 0, nm("x"), ce(atRoot, 0, 28))
		m.plainRoot(file("X.;1", 0, 0, sp(0)), x)
		m.root(x)
		at := bytes.Index(m[atRoot*BlockSize:], x)
		m.put(atRoot, at, file("X.;1", 0, 0, nm("x"), ce(atRoot, uint32(at+len(x)-28), 28)))
		return m
	}, kind: ErrLoop},
	{id: "S2", make: func(m image) image {
		m.root(file("X.;1", 0, 0, nm("x"), ce(atCE, 0, 28)))
		m.put(atCE, 0, ce(atCE+1, 0, 28))
		m.put(atCE+1, 0, ce(atCE, 0, 28))
		return m
	}, kind: ErrLoop},
	{id: "S3", make: used(join(entry("NM", []byte{1}, []byte("xxxx")), ce(atCE, 0, 37)), ce(atCE, 0, 37)), kind: ErrLoop},
	{id: "S3 long", make: func(m image) image { // every area is another, but there are too many
		m.root(file("X.;1", 0, 0, nm("x"), ce(atChain, 0, 28)))
		for i := range 70 {
			m.put(atChain+i, 0, ce(uint32(atChain+i+1), 0, 28))
		}
		return m
	}, kind: ErrLimit},
	{id: "S4", make: used(nil, ce(0x7fffffff, 0, 28)), kind: ErrRange},
	{id: "S5", make: used(nil, ce(atCE, 0xfffffff0, 28)), kind: ErrRange},
	{id: "S6", make: used(nil, ce(atCE, 0, 0xffffffff)), kind: ErrRange},
	{id: "S7", make: used(nil, nm("x"), ce(atCE, 0, 0)), warn: "CE, length", shows: `"/x"`},
	// What lies there is no entry: parsing ends at it.
	{id: "S8", make: used(nil, nm("x"), ce(atRoot, 0, 100)), warn: "system use entry", shows: `"/x"`},
	{id: "S9", make: func(m image) image {
		m.root(file("X.;1", 0, 0, ce(atCE, BlockSize-3, 6)))
		m.put(atCE, BlockSize-3, nm("x"))
		return m
	}, warn: "crosses its block", shows: `"/x"`},
	{id: "S two", make: used(nil, ce(atCE, 0, 28), ce(atCE+1, 0, 28)), kind: ErrFormat},
	{id: "S short", make: used(nil, entry("CE", pair32(atCE))), kind: ErrFormat},
	{id: "S10", make: used(nil, nm("x"), []byte("PX\x00\x01")), warn: "length: malformed: 0", shows: `"/x"`},
	{id: "S11", make: used(nil, nm("x"), []byte("PX\x01\x01")), kind: ErrFormat},
	// What is whole is kept, and the rest is not needed to list the file.
	{id: "S12", make: used(nil, nm("x"), []byte("PX\x40\x01")), warn: "64 bytes, 4 are left", shows: `"/x"`},
	// No record has as much to skip: the image is one without Rock Ridge.
	{id: "S13", make: func(m image) image {
		m.dir(atRoot, atRoot, sp(255), nil, aTxt())
		return m
	}, shows: `primary "/A.TXT"`},
	{id: "S14", make: used(nil, entry("ER", []byte{255, 255, 255, 1})), kind: ErrFormat},
	{id: "S15", make: used(nil, entry("NM")), kind: ErrFormat},
	{id: "S16", make: used(nil, []byte("PX\x08\x01\x00\x00\x00\x00")), kind: ErrFormat},
	{id: "S17", make: used(nil, entry("TF", []byte{0xff, 1, 2})), kind: ErrFormat},
	{id: "S18", make: func(m image) image {
		tf := entry("TF", []byte{2}, repeat(7, []byte{0xff}))
		x := file("X.;1", 0, 0, nm("x"), tf)
		copy(x[18:], repeat(7, []byte{0xff}))
		m.root(x, file("Y.;1", 0, 0, nm("y"), entry("TF", []byte{2}, []byte{255, 12, 31, 23, 59, 60, 127})))
		return m
	}, shows: `"/y" 100444 0 "" 2156-01-01 00:00:00 +0000 UTC`},
	{id: "S19", make: used(nil, px(0xffffffff)), kind: ErrFormat},
	{id: "S20", make: used(nil, nm("x"), px(ModeDir|0o755)), shows: `"/x" 100755`},
	{id: "S20 dir", make: rooted(sub("DIR", atDir, px(ModeRegular|0o755), nm("dir"))), warn: "mode: contradiction", shows: `"/dir" 40755`},
	// genisoimage 1.1.11 writes long links so; all that is there is shown.
	{id: "S21", make: links(entry("SL", []byte{0, 0, 255}, []byte("to"))), warn: "SL, component", shows: `"/x" 120777 0 "to"`},
	{id: "S22", make: links(sl(1, 0, "to")), kind: ErrFormat},
	{id: "S23", make: links(sl(0, 0, "../to")), kind: ErrName},
	{id: "S23 NUL", make: links(sl(0, 0, "t\x00o")), kind: ErrName},
	// The record says what it is; a directory's link is not looked at.
	{id: "S24", make: rooted(sub("DIR", atDir, px(ModeSymlink|0o777), nm("dir"), sl(0, 0, "to"))), warn: "mode: contradiction", shows: `"/dir" 40777`},
	{id: "S25", make: func(m image) image {
		m.dir(atDir, atRoot, nil, at("PL", atDir), file("X.;1", 0, 0, nm("x"), at("CL", atDir)))
		return m
	}, kind: ErrLoop},
	{id: "S25 no PL", make: func(m image) image {
		m.dir(atDir, atRoot, nil, nil, file("X.;1", 0, 0, nm("x"), at("CL", atDir)))
		return m
	}, kind: ErrFormat},
	{id: "S25 two", make: func(m image) image { // each of two relocated directories holds the place of the other
		m.root(sub("A", 22, nm("a")), sub("B", 23, nm("b")))
		m.dir(22, atRoot, nil, at("PL", 23), file("B.;1", 0, 0, nm("b"), at("CL", 23)))
		m.dir(23, atRoot, nil, at("PL", 22), file("A.;1", 0, 0, nm("a"), at("CL", 22)))
		return m
	}, kind: ErrLoop},
	{id: "S26", make: used(nil, at("CL", atRoot)), kind: ErrLoop},
	{id: "S27", make: used(nil, at("CL", 0xfffffff0)), kind: ErrRange},
	{id: "S28", make: relocated(atDir, nil), kind: ErrFormat},
	{id: "S28 no directory", make: relocated(atHello, at("PL", atRoot)), kind: ErrFormat},
	{id: "S28 right", make: relocated(atDir, at("PL", atRoot), file("B.;1", 0, 0, nm("b"))), shows: `"/cl/b"`, not: "rr_moved"},
	{id: "S29", make: func(m image) image {
		m.dir(atRoot, atRoot, join(sp(0), entry("RE")), nil, aTxt())
		return m
	}, shows: `primary "/a.txt"`},
	{id: "S30", make: used(nil, entry("ZZ", []byte("?")), nm("x")), shows: `"/x"`},
	{id: "S ST", make: used(nil, nm("x"), entry("ST"), []byte("PX\x01\x01")), shows: `"/x"`},
	{id: "S XA", make: func(m image) image {
		m.dir(atRoot, atRoot, join(make([]byte, 14), sp(14)), make([]byte, 14), file("X.;1", 0, 0, make([]byte, 14), nm("x")))
		return m
	}, shows: `"/x"`},
	{id: "S long link", make: func(m image) image {
		m.root(file("X.;1", 0, 0, px(ModeSymlink), nm("x"), ce(atChain, 0, 70*17*3)))
		m.put(atChain, 0, repeat(17*3, sl(1, 0, longText[:62])), repeat(17*3, sl(1, 0, longText[:62])))
		return m
	}, kind: ErrFormat},

	{id: "N1", make: used(nil, nm("..")), kind: ErrName},
	{id: "N2", make: used(nil, nm("../../x")), kind: ErrName},
	{id: "N3", make: used(nil, nm("/abs")), kind: ErrName},
	{id: "N4", make: used(nil, nm("a\x00b")), kind: ErrName},
	{id: "N5", make: used(nil, nm("")), warn: "NM, name", shows: `primary "/X"`},
	{id: "N6", make: used(nil, nm(".")), kind: ErrName},
	{id: "N7", make: rooted(sub("DIR", atDir, nm(".."))), kind: ErrName},
	{id: "N8", make: plain(sub("..", atDir)), kind: ErrName},
	{id: "N9", make: plain(file("../../X.;1", 0, 0)), kind: ErrName},
	{id: "N10", make: used(nil, nm(`..\..\x`)), shows: `..\\..\\x`},
	{id: "N11", make: used(nil, nm("a\n\x1b[31m")), shows: `"/a\n\x1b[31m"`},
	{id: "N12", make: used(nil, nm("a\xff")), shows: `"/a\xff"`},
	// Both are listed; package tree and FS take the first.
	{id: "N13", make: rooted(file("X.;1", 0, 0, nm("x")), file("Y.;1", 0, 0, nm("x"))), shows: `"/x"`},
	{id: "N19", make: used(entry("NM", []byte{0}, []byte(longText)), entry("NM", []byte{1}, []byte(longText+longText[:1])), entry("NM", []byte{1}, []byte(longText)), ce(atCE, 0, 69)), shows: longText + "0" + longText},
	{id: "N19", make: used(join(entry("NM", []byte{1}, repeat(2, []byte(longText))), entry("NM", []byte{0}, []byte(longText))), entry("NM", []byte{1}, []byte(longText)), ce(atCE, 0, 2*64+64+10)), kind: ErrName},

	{id: "J2", make: jolietRoot(file(ucs("../../x"), 0, 0)), kind: ErrName},
	{id: "J3", make: jolietRoot(file("abc", 0, 0)), kind: ErrFormat},
	{id: "J4", make: jolietRoot(file("\xd8\x00", 0, 0)), shows: "Joliet \"/\uFFFD\""},
	{id: "J5", make: jolietRoot(file("\x00a\x00\x00", 0, 0)), kind: ErrName},
	{id: "J version", make: jolietRoot(file(ucs("x;1"), 0, 0)), shows: `Joliet "/x"`},
	// Editing needs both trees, so that one which cannot be read is an error here;
	// FS, which needs only one, shows the other: see TestBrokenJoliet.
	{id: "J7", make: patched(atSVD, OffRootRecord+2, pair32(0x7fffffff)), kind: ErrRange},

	{id: "V1", make: func(m image) image { m.clear(atEnd); return m }, warn: "no terminator"},
	{id: "V2 same", make: func(m image) image { copy(m[atSVD*BlockSize:], m[atPVD*BlockSize:(atPVD+1)*BlockSize]); return m }, shows: `primary "/a.txt"`, not: "Joliet"},
	{id: "V2", make: func(m image) image { m.descriptor(atSVD, TypePrimary, atDir); return m }, warn: "a second one", shows: `primary "/a.txt"`},
	{id: "V3", make: func(m image) image {
		for i := atPVD; i < allocate; i++ {
			m.descriptor(i, TypePrimary, atRoot)
		}
		return m
	}, kind: ErrLimit},
	{id: "V4 0", make: patched(atPVD, offBlockSize, pair16(0)), kind: ErrUnsupported},
	{id: "V4 1", make: patched(atPVD, offBlockSize, pair16(1)), kind: ErrUnsupported},
	{id: "V4 512", make: patched(atPVD, offBlockSize, pair16(512)), kind: ErrUnsupported},
	{id: "V4 65535", make: patched(atPVD, offBlockSize, pair16(65535)), kind: ErrUnsupported},
	{id: "V5 0", make: patched(atPVD, OffSpaceSize, pair32(0)), shows: "[{0 0 VOLUME true}]"},
	{id: "V5 max", make: patched(atPVD, OffSpaceSize, pair32(0xffffffff)), shows: "[{0 4294967295 VOLUME true}]"},
	{id: "V5 differs", make: patched(atPVD, OffSpaceSize+4, pair32(7)), warn: "space size: contradiction"},
	// Path tables are never read: whatever they say does no harm.
	{id: "V6", make: patched(atPVD, OffPathTableSize, pair32(0xffffffff)), shows: `"/a.txt"`},
	{id: "V7", make: patched(atPVD, OffLTable, le32(0x7fffffff)), shows: `"/a.txt"`},
	{id: "V8", make: patched(atPVD, OffLTable, le32(atText)), shows: `"/a.txt"`},
	{id: "V9 LBA 0", make: patched(atPVD, OffRootRecord+2, pair32(0)), kind: ErrFormat},
	{id: "V9 file", make: patched(atPVD, OffRootRecord+25, []byte{0}), kind: ErrFormat},
	{id: "V9 4 GiB", make: patched(atPVD, OffRootRecord+10, pair32(0xfffff800)), kind: ErrRange},
	// The field has 34 bytes whatever its first one says.
	{id: "V9 length", make: patched(atPVD, OffRootRecord, []byte{255}), shows: `"/a.txt"`},
	{id: "V9 identifier", make: patched(atPVD, OffRootRecord+32, []byte{255}), kind: ErrFormat},
	{id: "V none", make: func(m image) image { m.clear(atPVD); return m }, kind: ErrNotISO},
	{id: "V cut", make: func(m image) image { return m[:atPVD*BlockSize+100] }, kind: ErrNotISO},
	{id: "V cut root", make: func(m image) image { return m[:atRoot*BlockSize+100] }, kind: ErrTruncated},

	{id: "Z2", make: zisofs(0xffffffff, 15, zhead(0xffffffff, 4, 15)), kind: ErrTruncated},
	{id: "Z3 2", make: zisofs(100, 2, zhead(100, 4, 2)), kind: ErrFormat},
	{id: "Z3 255", make: zisofs(100, 255, zhead(100, 4, 255)), kind: ErrFormat},
	{id: "Z4 falling", make: zisofs(100, 15, zhead(100, 4, 15), le32(24), le32(16)), kind: ErrFormat},
	{id: "Z4 outside", make: zisofs(100, 15, zhead(100, 4, 15), le32(24), le32(2500)), kind: ErrFormat},
	{id: "Z4 no data", make: zisofs(100, 15, zhead(100, 4, 15), le32(16), le32(20)), kind: ErrFormat},
	{id: "Z hole", make: zisofs(100, 15, zhead(100, 4, 15), le32(24), le32(24)), shows: `"/z"`},
	{id: "Z5", make: zisofs(100, 15, zhead(101, 4, 15), le32(24), le32(24)), kind: ErrConflict},
	{id: "Z magic", make: zisofs(100, 15, make([]byte, 24)), kind: ErrFormat},
	{id: "Z algorithm", make: used(nil, nm("x"), entry("ZF", []byte("xz"), []byte{4, 15}, pair32(9))), kind: ErrUnsupported},
}

func TestHostile(t *testing.T) {
	for _, c := range catalogue {
		t.Run(c.id, func(t *testing.T) {
			m := c.make(newImage())
			var got result
			quickly(10*time.Second, c.id, func() { got = survey(bytes.NewReader(m), int64(len(m))) })
			if err := c.verdict(got); err != nil {
				t.Error(err)
			}
		})
	}
}

// verdict compares the outcome with the one that is wanted.
func (c hostile) verdict(got result) error {
	warnings := strings.Join(got.warnings, "\n")
	var format *FormatError
	switch {
	case c.kind == "" && got.err != nil:
		return fmt.Errorf("error %w", got.err)
	case c.kind != "" && !errors.Is(got.err, c.kind):
		return fmt.Errorf("error %w, want %s", got.err, c.kind)
	case c.kind != "" && !strings.HasPrefix(c.id, "Z") && !errors.As(got.err, &format):
		return fmt.Errorf("error %w does not tell the place", got.err)
	case !strings.Contains(warnings, c.warn):
		return fmt.Errorf("warnings %q, want %q", warnings, c.warn)
	case !strings.Contains(got.list, c.shows):
		return fmt.Errorf("%q is not shown in\n%s", c.shows, got.list)
	case c.not != "" && strings.Contains(got.list, c.not):
		return fmt.Errorf("%q is shown in\n%s", c.not, got.list)
	}
	return nil
}

// T6: directories that are made up as they are read, without end.
type endless struct{ image }

func (r endless) ReadAt(p []byte, off int64) (int, error) {
	if off < int64(len(r.image)) {
		return bytes.NewReader(r.image).ReadAt(p, off)
	}
	m := make(image, BlockSize)
	at := uint32(off / BlockSize)
	m.put(0, 0, rec("\x00", at, BlockSize, 2), rec("\x01", at-1, BlockSize, 2), sub("D", at+1))
	return copy(p, m), nil
}

func TestDeeperThanAllowed(t *testing.T) {
	m := newImage()
	m.root(sub("D", allocate))
	got := survey(endless{m}, 60_000*BlockSize)
	if !errors.Is(got.err, ErrLimit) {
		t.Errorf("error %v, want %v", got.err, ErrLimit)
	}
}

// Memory and time are bounded by the counters, not by what the image claims.
func TestLimits(t *testing.T) {
	t.Run("directory", func(t *testing.T) {
		m := newImage()
		m.root(rec("X", allocate, maxDirBytes+BlockSize, 2, nm("x")))
		if got := survey(zeroBehind{m}, 1<<40); !errors.Is(got.err, ErrLimit) {
			t.Errorf("error %v", got.err)
		}
	})
	t.Run("all directories", func(t *testing.T) {
		m := newImage()
		var recs [][]byte
		for i := range 5 {
			recs = append(recs, rec(fmt.Sprint("X", i), uint32(allocate+i<<15), maxDirBytes, 2))
		}
		m.root(recs...)
		if got := survey(endlessOnce{zeroBehind{m}}, 1<<40); !errors.Is(got.err, ErrLimit) {
			t.Errorf("error %v", got.err)
		}
	})
	t.Run("records", func(t *testing.T) {
		if testing.Short() {
			t.Skip("reads a million records")
		}
		m := newImage()
		m.plainRoot(rec("X", allocate, 32<<20, 2), rec("Y", allocate+1<<14, 32<<20, 2))
		if got := survey(full{m}, 1<<40); !errors.Is(got.err, ErrLimit) {
			t.Errorf("error %v", got.err)
		}
	})
}

// zeroBehind is an image that zeros follow.
type zeroBehind struct{ image }

func (r zeroBehind) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(r.image)) {
		copy(p, r.image[off:])
	}
	return len(p), nil
}

// endlessOnce has an empty directory wherever somebody reads behind the image.
type endlessOnce struct{ zeroBehind }

func (r endlessOnce) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.zeroBehind.ReadAt(p, off)
	if off >= int64(len(r.image)) {
		copy(p, rec("\x00", uint32(off/BlockSize), maxDirBytes, 2))
	}
	return n, err
}

// full has directories full of records behind the image.
type full struct{ image }

func (r full) ReadAt(p []byte, off int64) (int, error) {
	if off < int64(len(r.image)) {
		return zeroBehind(r).ReadAt(p, off)
	}
	one := rec("A", 0, 0, 0)
	for b := p; len(b) >= BlockSize; b = b[BlockSize:] {
		clear(b[:BlockSize])
		for i := 0; i+len(one) <= BlockSize; i += len(one) {
			copy(b[i:], one)
		}
	}
	copy(p, rec("\x00", uint32(off/BlockSize), 0, 2))
	return len(p), nil
}

// A Joliet tree that cannot be read does not keep FS from showing Rock Ridge.
func TestBrokenJoliet(t *testing.T) {
	m := newImage()
	binary.LittleEndian.PutUint32(m[atSVD*BlockSize+OffRootRecord+2:], 0x7fffffff)
	img, err := m.open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	fsys, err := img.FS()
	if err != nil {
		t.Fatal(err)
	}
	if f, err := fsys.Open("a.txt"); err != nil {
		t.Error(err)
	} else if b, err := io.ReadAll(f); string(b) != "hello" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := img.FSOf(Joliet); !errors.Is(err, ErrRange) {
		t.Errorf("Joliet: %v", err)
	}
	if _, err := img.FSOf(Enhanced); err == nil {
		t.Error("there is no enhanced hierarchy")
	}
}
