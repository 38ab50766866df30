package iso9660

import (
	"testing"
	"time"
)

var (
	stamp  = []byte{126, 11, 23, 9, 5, 45, 0}
	moment = time.Date(2026, 11, 23, 9, 5, 45, 0, time.UTC)
)

// Entries that writers cut short are read as far as they go, and edits still reach them.
func TestShortEntries(t *testing.T) {
	later := time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)
	long := append([]byte("2026112309054500"), 0)
	cases := []struct {
		name  string
		su    []byte
		mode  uint32
		time  time.Time // as read
		timed bool      // SetTime is read back
	}{
		{"TF of three times, the last zone missing", join(px(ModeRegular|0o600), nm("x"), entry("TF", []byte{0x0e}, stamp, stamp, stamp[:6])), 0o600, moment, true},
		{"TF of one time without zone", join(px(ModeRegular|0o600), nm("x"), entry("TF", []byte{2}, stamp[:6])), 0o600, moment, true},
		{"TF in long form without zone", join(px(ModeRegular|0o600), nm("x"), entry("TF", []byte{0x82}, long[:16])), 0o600, moment, true},
		{"TF cut in its second time", join(px(ModeRegular|0o600), nm("x"), entry("TF", []byte{0x0e}, stamp, stamp[:3])), 0o600, moment, true},
		{"TF with creation only", join(px(ModeRegular|0o600), nm("x"), entry("TF", []byte{1}, stamp)), 0o600, time.Time{}, false},
		{"PX without group", join(entry("PX", pair32(ModeRegular|0o640), pair32(1), pair32(7)), nm("x")), 0o640, time.Time{}, false},
		{"no PX", join(nm("x"), entry("TF", []byte{2}, stamp)), 0, moment, true},
		{"RE of five bytes", join(px(ModeRegular|0o600), nm("x"), entry("RE", []byte{0})), 0o600, time.Time{}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := newImage()
			m.Dir(atRoot, atRoot, sp(0), nil, rec("X.;1", 0, 0, 0, c.su))
			e := only(t, m)
			if e.Name() != "x" || e.Attributes().Mode&0o7777 != c.mode || !e.Attributes().Modified.Equal(c.time) {
				t.Errorf("%q %o %s", e.Name(), e.Attributes().Mode, e.Attributes().Modified)
			}
			d := e.Raws()[0].Draft(0)
			d.SetTime(later)
			d.SetOwner(ModeRegular|0o751, 8, 9)
			again := newImage()
			again.Dir(atRoot, atRoot, sp(0), nil, d.Record)
			got := only(t, again)
			if got.Attributes().Mode != ModeRegular|0o751 || got.Attributes().UID != 8 || got.Attributes().GID != 9 {
				t.Errorf("after SetOwner: %o %d %d", got.Attributes().Mode, got.Attributes().UID, got.Attributes().GID)
			}
			if c.timed && !got.ModTime().Equal(later) {
				t.Errorf("after SetTime: %s", got.ModTime())
			}
		})
	}
}

// only is the one entry of the root.
func only(t *testing.T, m image) *Entry {
	t.Helper()
	img, err := open(m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	root, err := img.Tree(Primary)
	if err != nil {
		t.Fatal(err)
	}
	if len(root.Children()) != 1 {
		t.Fatal("children:", len(root.Children()))
	}
	return root.Children()[0]
}

// SP is found wherever a writer puts it, and other entries do without it.
func TestFindSP(t *testing.T) {
	xa := make([]byte, 14)
	for _, c := range []struct {
		name string
		dot  []byte
		skip int // in the file's record
	}{
		{"first", sp(0), 0},
		{"behind XA", join(xa, sp(14)), 14},
		{"behind something odd", join([]byte("abc"), sp(3)), 3},
		{"behind PX", join(px(ModeDir|0o755), sp(0)), 0},
		{"behind RR and PX, to skip two", join(entry("RR", []byte{0x81}), px(ModeDir|0o755), sp(2)), 2},
		{"none, TF instead", entry("TF", []byte{2}, stamp), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newImage()
			m.Dir(atRoot, atRoot, c.dot, nil, rec("X.;1", 0, 0, 0, make([]byte, c.skip), px(ModeRegular|0o600), nm("long name")))
			if e := only(t, m); e.Name() != "long name" {
				t.Errorf("%q", e.Name())
			}
		})
	}
}
