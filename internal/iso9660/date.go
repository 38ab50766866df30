package iso9660

import (
	"fmt"
	"strconv"
	"sync"
	"time"
)

// maxZone is the largest time offset, in 15-minute units: ±13 h. Readers ignore others.
const maxZone = 52

// zones are the offsets from -maxZone to maxZone, made once: every record has a date.
var zones = sync.OnceValue(func() (z [2*maxZone + 1]*time.Location) {
	for i := range z {
		z[i] = time.FixedZone("", (i-maxZone)*15*60)
	}
	z[maxZone] = time.UTC
	return z
})

func zone(b byte) *time.Location {
	q := int(int8(b))
	if q < -maxZone || q > maxZone || q == 0 {
		return time.UTC
	}
	return zones()[q+maxZone]
}

// date7 decodes the date of a directory record (ECMA-119 9.1.5). A date that is
// unspecified or no date at all gives the zero time.
func date7(b []byte) time.Time {
	if b[1] < 1 || b[1] > 12 || b[2] < 1 || b[2] > 31 || b[3] > 23 || b[4] > 59 || b[5] > 60 {
		return time.Time{}
	}
	return time.Date(1900+int(b[0]), time.Month(b[1]), int(b[2]), int(b[3]), int(b[4]), int(b[5]), 0, zone(b[6]))
}

// The first and the last time of a directory record and of Rock Ridge's time stamps.
var (
	firstTime = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(2155, 12, 31, 23, 59, 59, 0, time.UTC)
)

// RecordTime is the time that a record can hold, of the years 1900 to 2155, which is
// nearest to t. ok reports whether that is t, to a second; the zero time, for none, is held.
func RecordTime(t time.Time) (held time.Time, ok bool) {
	switch {
	case t.IsZero():
		return t, true
	case t.Before(firstTime):
		return firstTime, false
	case t.After(lastTime.Add(time.Second - 1)):
		return lastTime, false
	}
	return t, true
}

// putDate7 encodes t in UTC, or the time next to it that the format holds.
func putDate7(b []byte, t time.Time) {
	clear(b[:7])
	if t.IsZero() {
		return
	}
	t, _ = RecordTime(t.UTC())
	b[0] = byte(t.Year() - 1900)
	b[1], b[2] = byte(t.Month()), byte(t.Day())
	b[3], b[4], b[5] = byte(t.Hour()), byte(t.Minute()), byte(t.Second())
}

// Date17 is a date of a volume descriptor: sixteen digits and a zone (ECMA-119 8.4.26.1).
type Date17 []byte

// NewDate17 encodes t in UTC, to hundredths of a second. It holds the years 1 to 9999:
// another one becomes the nearest.
func NewDate17(t time.Time) Date17 {
	t = t.UTC()
	switch {
	case t.Year() > 9999:
		t = time.Date(9999, 12, 31, 23, 59, 59, 990_000_000, time.UTC)
	case t.Year() < 1:
		t = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return Date17(fmt.Sprintf("%04d%02d%02d%02d%02d%02d%02d\x00", t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond()/1e7))
}

// Time decodes the date; an unspecified or malformed one gives the zero time.
func (d Date17) Time() time.Time {
	var v [7]int
	for i, f := range [7][2]int{{0, 4}, {4, 6}, {6, 8}, {8, 10}, {10, 12}, {12, 14}, {14, 16}} {
		n, err := strconv.ParseUint(string(d[f[0]:f[1]]), 10, 16)
		if err != nil {
			return time.Time{}
		}
		v[i] = int(n)
	}
	if v[1] < 1 || v[1] > 12 || v[2] < 1 || v[2] > 31 {
		return time.Time{}
	}
	return time.Date(v[0], time.Month(v[1]), v[2], v[3], v[4], v[5], v[6]*1e7, zone(d[16]))
}

// UUID returns the digits grouped as boot loaders and udev write them, "" for
// a date that is not specified.
func (d Date17) UUID() string {
	for _, c := range d[:16] {
		if c < '0' || c > '9' {
			return ""
		}
	}
	s := string(d[:16])
	if s == "0000000000000000" {
		return ""
	}
	return s[:4] + "-" + s[4:6] + "-" + s[6:8] + "-" + s[8:10] + "-" + s[10:12] + "-" + s[12:14] + "-" + s[14:]
}
