package hostile

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Program is a hostile image as a list of changes to a base, in bytes that a fuzzer can
// change: the base, one byte for each fix-up, and operations of eight bytes each. Every
// sequence of bytes is a program.
//
// An operation is done to the image as the ones before left it. Fix-ups then make what
// depends on the changed bytes agree with them again (lengths, checksums, path tables,
// copies), so that a change is not lost behind the first check; each may be left out, or
// done wrong.
type Program []byte

// maxOps bounds what one program does.
const maxOps = 12

// Op is what an operation does.
type Op byte

// The operations. Fields are found by their number, modulo how many the image has.
const (
	Set    Op = iota // a field gets a value
	Add              // a value is added to a field
	Copy             // a field gets the bytes of another one
	Over             // a structure is written over another one
	Insert           // a copy of a structure is put in front of another one
	Cut              // a structure is taken out, and what is behind it moves up
	ops
)

// Values that operations choose from by Like; others are made from the image.
var values = []uint64{0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 33, 34, 64, 127, 128, 254, 255, 256, 2047, 2048, 2049, 32767, 65535, 65536, 1 << 20, 1<<31 - 1, 1 << 31, 1<<32 - 2048, 1<<32 - 1, 1<<63 - 1, 1 << 63, 1<<64 - 1}

// Kinds of values.
const (
	Raw   = iota // the number itself
	Like         // one of values
	Block        // the block of a structure
	Near         // so much more than the image has blocks
	kinds
)

// Step is an operation in readable form.
type Step struct {
	Op    Op
	Field int  // number of the field that is changed
	Kind  byte // of the value
	// Twins is 2 for the little-endian number only, 3 for the big-endian one only, else
	// both. Where entries are put in or taken out, the record's length follows unless it
	// is 3.
	Twins byte
	Value uint32 // or the number of the other field
}

// Encode makes a program; fixups holds a byte for each, as many as there are.
func Encode(base int, fixups []byte, steps ...Step) Program {
	p := Program{byte(base)}
	p = append(p, make([]byte, len(fixes))...)
	copy(p[1:], fixups)
	for _, s := range steps {
		p = append(p, byte(s.Op), byte(s.Field), byte(s.Field>>8), s.Kind<<2|s.Twins)
		p = binary.LittleEndian.AppendUint32(p, s.Value)
	}
	return p
}

// AllFixups are the bytes that let every fix-up be done, and done right.
func AllFixups() []byte { return Repeat(len(fixes), []byte{1}) }

// steps decodes the operations.
func (p Program) steps() (out []Step) {
	if len(p) < 1+len(fixes) {
		return nil
	}
	for b := p[1+len(fixes):]; len(b) >= 8 && len(out) < maxOps; b = b[8:] {
		out = append(out, Step{Op(b[0]) % ops, int(b[1]) | int(b[2])<<8, b[3] >> 2 % kinds, b[3] & 3, binary.LittleEndian.Uint32(b[4:])})
	}
	return out
}

// Base is the number of the base that the program changes, of n.
func (p Program) Base(n int) int {
	if len(p) == 0 {
		return 0
	}
	return int(p[0]) % n
}

// Run makes the image, of the base that the program names.
func (p Program) Run(bases []Base) Image {
	m := append(Image(nil), bases[p.Base(len(bases))].Image...)
	for _, s := range p.steps() {
		dissect(m).do(s)
	}
	for i, f := range fixes {
		if 1+i < len(p) && p[1+i] > 0 {
			f.fix(m, p[1+i])
		}
	}
	return m
}

// String says what the program does, for whoever makes a row of it.
func (p Program) String() string {
	bases := Bases()
	base := bases[p.Base(len(bases))]
	m := append(Image(nil), base.Image...)
	var b strings.Builder
	fmt.Fprintf(&b, "%s:", base.Name)
	for _, s := range p.steps() {
		a := dissect(m)
		if f, other := a.at(s.Field), a.at(int(s.Value)); f != nil {
			fmt.Fprintf(&b, " %s %s", [...]string{"set", "add", "copy", "over", "insert", "cut"}[s.Op], a.name(f))
			if s.Op < Copy {
				fmt.Fprintf(&b, " %#x (twins %d)", a.value(s), s.Twins)
			} else if s.Op < Cut {
				fmt.Fprintf(&b, " from %s", a.name(other))
			}
			b.WriteString(";")
		}
		a.do(s)
	}
	for i, f := range fixes {
		if 1+i < len(p) && p[1+i] > 0 {
			fmt.Fprintf(&b, " %s:%d", f.name, p[1+i])
		}
	}
	return b.String()
}

// Fields counts the fields of an image.
func Fields(m Image) int { return len(dissect(m).fields) }

func (a *anatomy) at(i int) *Field {
	if len(a.fields) == 0 {
		return nil
	}
	return &a.fields[i%len(a.fields)]
}

func (a *anatomy) name(f *Field) string {
	p := a.parts[f.Part]
	return fmt.Sprintf("%s at %d, %s", p.Kind, p.Off, f.Name)
}

// value is the number that a step puts in.
func (a *anatomy) value(s Step) uint64 {
	switch s.Kind {
	case Like:
		return values[s.Value%uint32(len(values))]
	case Block:
		return uint64(a.parts[s.Value%uint32(len(a.parts))].Off / BlockSize)
	case Near:
		return uint64(int64(len(a.m)/BlockSize) + int64(int8(s.Value)))
	}
	return uint64(s.Value)
}

// do does one operation.
func (a *anatomy) do(s Step) {
	f := a.at(s.Field)
	if f == nil {
		return
	}
	other := a.at(int(s.Value))
	switch s.Op {
	case Set:
		a.put(f, a.value(s), s.Twins)
	case Add:
		a.put(f, a.get(f)+uint64(int64(int8(s.Value))), s.Twins)
	case Copy:
		n := min(f.Size, other.Size)
		copy(a.m[f.Off:f.Off+n], append([]byte(nil), a.m[other.Off:other.Off+n]...))
		if f.Twin {
			a.put(f, a.get(f), s.Twins)
		}
	case Over:
		to, from := a.parts[f.Part], a.parts[other.Part]
		copy(a.m[to.Off:to.room], append([]byte(nil), a.m[from.Off:from.Off+from.n]...))
	case Insert:
		a.insert(a.parts[f.Part], a.parts[other.Part], s.Twins)
	case Cut:
		at := a.parts[f.Part]
		n := min(at.n, at.room-at.Off) // an earlier step may have said more
		copy(a.m[at.Off:at.room], a.m[at.Off+n:at.room])
		clear(a.m[at.room-n : at.room])
		a.lengthen(at, -n, s.Twins)
	}
}

// insert puts a copy of a part in front of another one.
func (a *anatomy) insert(to, from Part, twins byte) {
	b := append([]byte(nil), a.m[from.Off:from.Off+from.n]...)
	if to.Off+len(b) > to.room {
		return
	}
	copy(a.m[to.Off+len(b):to.room], append([]byte(nil), a.m[to.Off:to.room]...))
	copy(a.m[to.Off:], b)
	a.lengthen(to, len(b), twins)
}

// lengthen lets a record that an entry was put into, or taken out of, tell its length.
func (a *anatomy) lengthen(p Part, n int, twins byte) {
	if p.record > 0 && twins != 3 {
		if l := int(a.m[p.record]) + n; l > 0 && l < 256 {
			a.m[p.record] = byte(l)
		}
	}
}

func (a *anatomy) get(f *Field) (v uint64) {
	b := a.m[f.Off : f.Off+min(f.Size, 8)]
	for i := range b {
		if f.Big {
			v = v<<8 | uint64(b[i])
		} else {
			v |= uint64(b[i]) << (8 * i)
		}
	}
	return v
}

// put writes a number; a text gets its bytes, again and again.
func (a *anatomy) put(f *Field, v uint64, twins byte) {
	b := a.m[f.Off : f.Off+f.Size]
	for i := range b {
		switch {
		case f.Twin && twins == 3:
		case f.Big:
			b[len(b)-1-i] = byte(v >> (8 * i))
		default:
			b[i] = byte(v >> (8 * (i % 8)))
		}
	}
	if f.Twin && twins != 2 {
		b = a.m[f.Off+f.Size : f.Off+2*f.Size]
		for i := range b {
			b[len(b)-1-i] = byte(v >> (8 * i))
		}
	}
}

// Values counts the values that Like chooses from.
func Values() int { return len(values) }

// FieldOf is the number of the first field of that name in a part of that kind.
func FieldOf(m Image, kind, name string) int {
	a := dissect(m)
	for i, f := range a.fields {
		if a.parts[f.Part].Kind == kind && f.Name == name {
			return i
		}
	}
	panic("internal error: no " + kind + " with a " + name)
}
