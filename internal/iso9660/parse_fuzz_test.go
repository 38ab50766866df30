package iso9660

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/isolayer/isolayer/internal/isotest/hostile"
)

// watched runs f and ends the process if an input takes longer than any may. Go's
// fuzzer has no bound of its own that would tell.
func watched(t *testing.T, input []byte, f func()) {
	t.Helper()
	timer := time.AfterFunc(10*time.Second, func() { panic(errors.New("takes too long: " + string(input))) })
	defer timer.Stop()
	f()
}

// FuzzEntries takes the bytes of one system use area.
func FuzzEntries(f *testing.F) {
	for _, b := range [][]byte{
		join(sp(0), px(ModeDir), nm("x")), sl(1, 0, "to"), entry("SL", []byte{0, 0, 255}, []byte("to")), entry("TF", []byte{0xff}, repeat17()),
		ce(1, 2, 3), entry("ER", []byte{255, 255, 255, 1}), at("CL", 1), entry("ZF", []byte("pz"), []byte{4, 15}, pair32(9)), []byte("PX\x01\x01"),
	} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4096 {
			return
		}
		watched(t, b, func() {
			var warn warnings
			p := rrParser{warn: &warn}
			a := &p.a
			last, n := int64(-1), 0
			err := warn.area(b, 0, func(e SystemUseEntry, off int64) error {
				if off <= last || len(e) < 4 || int(off)+len(e) > len(b) {
					t.Fatalf("an entry of %d bytes at %d, after %d", len(e), off, last)
				}
				last, n = off, n+1
				return p.entry(e, off)
			})
			if err == nil {
				err = p.finish(0)
			}
			if err == nil && (len(a.name) > maxName || len(a.Link) > maxLink) || n > len(b)/4 {
				t.Fatalf("%d entries, a name of %d and a link of %d bytes", n, len(a.name), len(a.Link))
			}
		})
	})
}

func repeat17() []byte { return bytes.Repeat([]byte("2"), 7*17) }

// FuzzRecord takes the bytes from a record to the end of its block.
func FuzzRecord(f *testing.F) {
	for _, r := range [][]byte{aTxt(), inDir(), file("X.;1", 1, 5), rec("\x00", 1, BlockSize, 2), file("", 0, 0), {1, 0}} {
		f.Add(r)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 || len(b) > BlockSize || b[0] == 0 {
			return
		}
		var r Record
		var err error
		if r, err = checkRecord(padded(b), 0); err != nil {
			return
		}
		name := isoName(r)
		if checkName([]byte(name)) == nil && (name == "" || name == "." || name == ".." || bytes.ContainsAny([]byte(name), "/\x00")) {
			t.Fatalf("%q is taken for a name", name)
		}
		if len(r.ID())+len(r.SystemUse()) > len(r)-recordFixed {
			t.Fatalf("%d bytes of identifier and %d of system use in %d", len(r.ID()), len(r.SystemUse()), len(r))
		}
		r.Time()
	})
}

// padded is at least as long as the fixed part of a record: blocks are.
func padded(b []byte) []byte {
	return append(bytes.Clone(b), make([]byte, max(0, recordFixed+1-len(b)))...)
}

// FuzzZisofs takes a compressed file.
func FuzzZisofs(f *testing.F) {
	head := func(size uint32, words, log byte) []byte {
		return join(zisofsMagic, le32(size), []byte{words, log, 0, 0})
	}
	f.Add(uint32(100), byte(15), join(head(100, 4, 15), le32(24), le32(24)))
	f.Add(uint32(100), byte(15), join(head(100, 4, 15), le32(24), le32(16)))
	f.Add(uint32(1<<31), byte(17), head(1<<31, 4, 17))
	for _, r := range hostile.Rows {
		if r.ID == "Z4 data" {
			f.Add(uint32(100), byte(15), []byte(r.Image()[hostile.AtChain*BlockSize:][:64]))
		}
	}
	f.Fuzz(func(t *testing.T, size uint32, log byte, stored []byte) {
		if len(stored) > 8192 || log < 15 || log > 17 {
			return
		}
		watched(t, stored, func() {
			z := &Zisofs{Size: int64(size), header: 16, blockLog: int(log)}
			r, err := newZisofsReader(z, io.NewSectionReader(bytes.NewReader(stored), 0, int64(len(stored))), 0)
			if err != nil {
				return
			}
			if len(r.starts) > len(stored) {
				t.Fatalf("%d bytes of pointers from %d", len(r.starts), len(stored))
			}
			p := make([]byte, 1000)
			for _, off := range []int64{0, 1<<log - 500, int64(size) - 500, int64(size)} {
				if off >= 0 {
					_, _ = r.ReadAt(p, off) // an error is as good
				}
			}
		})
	})
}

// FuzzDates takes the two kinds of dates.
func FuzzDates(f *testing.F) {
	f.Add([]byte("2026112309054577\x04"))
	f.Add([]byte{126, 11, 23, 9, 5, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 17 {
			return
		}
		d := Date17(b[:17])
		if at := d.Time(); !at.IsZero() && (at.Year() < -1 || at.Year() > 10001) {
			t.Fatalf("%q is %v", b[:17], at)
		}
		d.UUID()
		if at := date7(b[:7]); !at.IsZero() && (at.Year() < 1899 || at.Year() > 2157) {
			t.Fatalf("%v is %v", b[:7], at)
		}
	})
}
