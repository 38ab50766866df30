package iso9660

import (
	"fmt"

	"github.com/isolayer/isolayer/internal/fault"
)

// Area is a continuation area of a system use field (SUSP 5.1).
type Area struct {
	Off  int64 // byte offset in the image
	Data []byte
}

// Raw is a directory record with its continuation areas, in chain order, all
// exactly as found.
type Raw struct {
	Off    int64 // byte offset of the record in the image
	Record Record
	Areas  []Area
}

// SystemUseEntry is one entry of a system use field: signature, length,
// version, data (SUSP 4.1).
type SystemUseEntry []byte

// Sig returns the signature.
func (e SystemUseEntry) Sig() string { return string(e[:2]) }

// area calls f for each entry of a system use area that starts at byte off of
// the image. Parsing ends, as other readers do, at the first thing that is no
// entry. f returns false to stop.
func (w *warnings) area(b []byte, off int64, f func(e SystemUseEntry, off int64) error) error {
	for i := 0; len(b)-i >= 4; {
		e, n := b[i:], int(b[i+2])
		at := off + int64(i)
		switch {
		case e[0] == 0 && n == 0: // padding
			return nil
		case n == 0:
			w.add(at, "system use entry", "length", errorf(ErrFormat, "0"))
			return nil
		case !signature(e[0]) || !signature(e[1]):
			w.add(at, "system use entry", "signature", errorf(ErrFormat, "%q", string(e[:2])))
			return nil
		case n < 4:
			return fault.At(at, "system use entry "+string(e[:2]), "length", errorf(ErrFormat, "%d", n))
		case n > len(e):
			w.add(at, "system use entry "+string(e[:2]), "length", errorf(ErrFormat, "%d bytes, %d are left", n, len(e)))
			return nil
		}
		if string(e[:2]) == "ST" {
			return nil
		}
		if err := f(SystemUseEntry(e[:n]), at); err != nil {
			return err
		}
		i += n
	}
	return nil
}

func signature(c byte) bool { return c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' }

// systemUse calls f for every entry of the record's system use field except CE,
// skipping the first bytes and following the continuation areas, and stores those in raw.
func (t *walker) systemUse(raw *Raw, skip int, f func(e SystemUseEntry, off int64) error) error {
	su := raw.Record.SystemUse()
	off := raw.Off + int64(len(raw.Record)-len(su))
	if skip > 0 {
		if skip > len(su) {
			return nil
		}
		su, off = su[skip:], off+int64(skip)
	}
	total := int64(0)
	for hop := int64(0); ; hop++ {
		var next *Area
		err := t.warn.area(su, off, func(e SystemUseEntry, at int64) error {
			if e.Sig() != "CE" {
				return f(e, at)
			}
			if next != nil {
				return fault.At(at, "continuation area CE", "", errorf(ErrFormat, "a second one in the same area"))
			}
			a, err := t.continuation(e, at)
			next = a
			return err
		})
		if err != nil || next == nil {
			return err
		}
		for _, a := range raw.Areas {
			if next.Off < a.Off+int64(len(a.Data)) && a.Off < next.Off+int64(len(next.Data)) {
				return fault.At(off, "continuation area CE", "location", errorf(ErrLoop, "bytes at %d are read twice", next.Off))
			}
		}
		if total += int64(len(next.Data)); hop >= t.budget.Areas || total > t.budget.AreaBytes {
			return fault.At(off, "continuation area CE", "", errorf(ErrLimit, "more than %d areas or %d bytes", t.budget.Areas, t.budget.AreaBytes))
		}
		raw.Areas = append(raw.Areas, *next)
		su, off = next.Data, next.Off
	}
}

// continuation reads the area that a CE entry describes (SUSP 5.1); nil for an empty one.
func (t *walker) continuation(e SystemUseEntry, at int64) (*Area, error) {
	const name = "continuation area CE"
	if len(e) < 28 {
		return nil, fault.At(at, name, "length", errorf(ErrFormat, "%d", len(e)))
	}
	block, _ := both32(e[4:])
	start, _ := both32(e[12:])
	length, _ := both32(e[20:])
	if length == 0 {
		t.warn.add(at, name, "length", errorf(ErrFormat, "0"))
		return nil, nil
	}
	if int64(length) > t.budget.AreaBytes {
		return nil, fault.At(at, name, "length", errorf(ErrRange, "%d bytes", length))
	}
	off := LBA(block).Offset() + int64(start)
	if int64(start)+int64(length) > BlockSize {
		t.warn.add(at, name, "", errorf(ErrFormat, "crosses its block"))
	}
	data, err := t.readMeta(off, int64(length))
	if err != nil {
		return nil, fault.At(at, name, "location", err)
	}
	return &Area{off, data}, nil
}

// warnings collects tolerated faults, the first of each place and at most maxWarnings.
type warnings struct {
	list []FormatError
	more int
}

const maxWarnings = 100

func (w *warnings) add(off int64, structure, field string, err error) {
	if w == nil { // what is decoded again was complained about
		return
	}
	if len(w.list) == maxWarnings {
		w.more++
		return
	}
	w.list = append(w.list, *fault.At(off, structure, field, err))
}

// Warnings returns the oddities that were tolerated while reading, one line each.
func (w *warnings) lines() []string {
	var out []string
	for i := range w.list {
		out = append(out, w.list[i].Error())
	}
	if w.more > 0 {
		out = append(out, fmt.Sprintf("and %d more", w.more))
	}
	return out
}
