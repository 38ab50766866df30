package iso9660

import (
	"strings"
	"time"
)

// Rock is how an image records Rock Ridge entries, so that new records look
// like the old ones.
type Rock struct {
	Skip     int  // LEN_SKP
	RR       bool // RRIP 1.09: with RR entries
	Serials  bool // PX of 44 bytes
	LinkDirs bool // directories count their subdirectories in the link count
}

// RockOf learns from the root directory, whose hierarchy must have Rock Ridge.
func RockOf(root *Entry) Rock {
	var r Rock
	d := root.Self().Draft(spAt(root.Self().Record))
	for e := range d.views() {
		switch e.Sig() {
		case "SP":
			if len(e) >= 7 {
				r.Skip = int(e[6])
			}
		case "RR":
			r.RR = true
		case "PX":
			r.Serials = len(e) >= 44
		}
	}
	subs := uint32(0)
	for _, c := range root.Entries() {
		if c.IsDir() {
			subs++
		}
	}
	n := root.Own().Nlink
	r.LinkDirs = n > 1 && (n >= subs+2 || n == subs+1)
	return r
}

// SelfSkip returns how many bytes stand in front of the entries of a
// directory's own record, which in the root is not LEN_SKP.
func (r Rock) SelfSkip(e *Entry) int {
	if e.Parent == e {
		return spAt(e.Self().Record)
	}
	return r.Skip
}

// Stat is what Rock Ridge records of a new file.
type Stat struct {
	Mode, Nlink, UID, GID, Serial uint32
	Major, Minor                  uint32
	Time                          time.Time
	Link                          string
}

// maxPiece is how much of a name or link one NM or SL entry holds.
const maxPiece = 248

// Entries encodes the system use entries of a new record called name; name ""
// is for "." and "..".
func (r Rock) Entries(name string, s Stat) []SystemUseEntry {
	var out []SystemUseEntry
	if r.RR {
		flags := byte(0x81) // PX, TF
		if name != "" {
			flags |= 0x08
		}
		switch s.Mode & ModeType {
		case ModeSymlink:
			flags |= 0x04
		case ModeChar, ModeBlock:
			flags |= 0x02
		}
		out = append(out, SystemUseEntry{'R', 'R', 5, 1, flags})
	}
	px := SystemUseEntry{'P', 'X', 36, 1}
	for _, v := range []uint32{s.Mode, s.Nlink, s.UID, s.GID} {
		px = appendBoth32(px, v)
	}
	if r.Serials {
		px = appendBoth32(px, s.Serial)
		px[2] = 44
	}
	tf := SystemUseEntry{'T', 'F', 26, 1, 0x0e}
	for range 3 { // modification, access, attribute change
		tf = append(tf, make([]byte, 7)...)
		putDate7(tf[len(tf)-7:], s.Time)
	}
	out = append(out, px, tf)
	if t := s.Mode & ModeType; t == ModeChar || t == ModeBlock {
		out = append(out, encodePN(s.Major, s.Minor))
	}
	out = append(out, NameEntries(name)...)
	if s.Mode&ModeType == ModeSymlink {
		out = append(out, linkEntries(s.Link)...)
	}
	return out
}

// encodePN stores small minors as xorriso does, which every reader gets right,
// and large ones as genisoimage does, which at least Linux gets right.
func encodePN(major, minor uint32) SystemUseEntry {
	hi, lo := major, minor
	if minor <= 255 && major > 0 {
		hi, lo = 0, major<<8|minor
	}
	return appendBoth32(appendBoth32(SystemUseEntry{'P', 'N', 20, 1}, hi), lo)
}

// NameEntries encodes a name as NM entries (RRIP 1.12, 4.1.4); none for "".
func NameEntries(name string) []SystemUseEntry {
	var out []SystemUseEntry
	for len(name) > 0 {
		n := min(len(name), maxPiece)
		e := append(SystemUseEntry{'N', 'M', byte(5 + n), 1, 0}, name[:n]...)
		if name = name[n:]; name != "" {
			e[4] = 1
		}
		out = append(out, e)
	}
	return out
}

// linkEntries encodes the target of a symbolic link as SL entries (RRIP 1.12, 4.1.3).
func linkEntries(target string) []SystemUseEntry {
	var comps [][]byte
	if strings.HasPrefix(target, "/") {
		comps = append(comps, []byte{8, 0})
	}
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "":
			continue
		case ".":
			comps = append(comps, []byte{2, 0})
			continue
		case "..":
			comps = append(comps, []byte{4, 0})
			continue
		}
		for part != "" {
			n := min(len(part), maxPiece)
			c := append([]byte{0, byte(n)}, part[:n]...)
			if part = part[n:]; part != "" {
				c[0] = 1
			}
			comps = append(comps, c)
		}
	}
	var out []SystemUseEntry
	e := SystemUseEntry{'S', 'L', 5, 1, 0}
	next := func() {
		e[2], e[4] = byte(len(e)), 1
		out = append(out, e)
		e = SystemUseEntry{'S', 'L', 5, 1, 0}
	}
	for i, c := range comps {
		// libarchive forgets the slash between two entries, so that an entry
		// ends inside a name where it can.
		full := 255
		if i < len(comps)-1 {
			full -= 3
		}
		if len(e)+len(c) > full {
			if n := 255 - len(e); n > 2 && len(c) > 3 {
				n = min(n, len(c)-1)
				e = append(append(e, 1, byte(n-2)), c[2:n]...)
				c = append([]byte{c[0], byte(len(c) - n)}, c[n:]...)
			}
			next()
		}
		e = append(e, c...)
	}
	e[2] = byte(len(e))
	return append(out, e)
}
