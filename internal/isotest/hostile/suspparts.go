package hostile

// record finds the fields of a directory record, of its system use entries, and of the
// head of a compressed file.
func (a *anatomy) record(off, n, room int) {
	p := a.part("record", off, n, room)
	if p < 0 {
		return
	}
	for _, f := range []struct {
		name string
		off  int
		form string
	}{{"length", 0, "1"}, {"attributes", 1, "1"}, {"extent", 2, "44"}, {"size", 10, "44"}, {"flags", 25, "1"}, {"unit", 26, "1"}, {"gap", 27, "1"}, {"volume", 28, "22"}, {"identifier length", 32, "1"}} {
		a.field(p, f.name, f.off, f.form)
	}
	a.field(p, "date", 18, "t", 7)
	id := int(a.m[off+32])
	a.field(p, "identifier", 33, "t", id)
	use := 33 + id + (id+1)%2
	if use < n {
		a.entries(off, off+use, off+n, room, 0)
	}
	if at := a.le32(off+2) * BlockSize; at > 0 && at+32 <= len(a.m) && string(a.m[at:at+8]) == string(zMagic) {
		z := a.part("zisofs header", at, 32, at+BlockSize)
		a.field(z, "size", 8, "4")
		a.field(z, "words", 12, "1")
		a.field(z, "block", 13, "1")
		a.field(z, "first pointer", 16, "4")
		a.field(z, "second pointer", 20, "4")
		a.field(z, "data", 24, "4")
	}
}

// entries finds system use entries from off to end, and those of continuation areas.
func (a *anatomy) entries(record, off, end, room, hops int) {
	end = min(end, len(a.m))
	for off+4 <= end {
		n := int(a.m[off+2])
		if n < 4 || off+n > end {
			return
		}
		sig := string(a.m[off : off+2])
		p := a.part("entry "+sig, off, n, room)
		if p < 0 {
			return
		}
		if hops == 0 {
			a.parts[p].record = record
		}
		a.field(p, "signature", 0, "t", 2)
		a.field(p, "length", 2, "1")
		a.field(p, "version", 3, "1")
		a.entryFields(p, sig, n)
		if at := a.le32(off+4)*BlockSize + a.le32(off+12); sig == "CE" && n >= 28 && hops < 4 && at > 0 && at < len(a.m) {
			a.entries(0, at, at+min(a.le32(off+20), BlockSize), at+BlockSize-at%BlockSize, hops+1)
		}
		off += n
	}
}

func (a *anatomy) entryFields(p int, sig string, n int) {
	switch sig {
	case "PX", "PN", "CE", "CL", "PL":
		for i := 4; i+8 <= n; i += 8 {
			a.field(p, string(rune('1'+i/8))+". number", i, "44")
		}
	case "ZF":
		a.field(p, "algorithm", 4, "2")
		a.field(p, "words", 6, "1")
		a.field(p, "block", 7, "1")
		a.field(p, "size", 8, "44")
	case "SL":
		a.field(p, "flags", 4, "1")
		for i := 5; i+2 <= n; i += 2 + int(a.m[a.parts[p].Off+i+1]) {
			a.field(p, "component flags", i, "1")
			a.field(p, "component length", i+1, "1")
		}
	default:
		a.field(p, "flags", 4, "1")
		a.field(p, "data", 5, "t", n-5)
	}
}
