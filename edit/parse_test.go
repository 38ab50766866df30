package edit_test

import (
	"testing"

	"github.com/isolayer/isolayer/edit"
)

func TestParseMode(t *testing.T) {
	for s, want := range map[string]int64{
		"0644": 0o644, "755": 0o755, "0": 0, "7777": 0o7777, "00007777": 0o7777,
		"": -1, "10000": -1, "8": -1, "-1": -1, "+7": -1, "0o7": -1, "u+x": -1, "7 ": -1, "0x1": -1, "1_0": -1,
	} {
		got, err := edit.ParseMode(s)
		if want < 0 != (err != nil) || err == nil && int64(got) != want {
			t.Errorf("%q: %o, %v", s, got, err)
		}
	}
}

func TestParseOwner(t *testing.T) {
	for s, want := range map[string]edit.Owner{"0:0": {}, "1000:7": {UID: 1000, GID: 7}, "4294967295:1": {UID: 1<<32 - 1, GID: 1}} {
		if got, err := edit.ParseOwner(s); err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", ":", "1", "1:", ":1", "1:2:3", "root:root", "-1:0", "4294967296:0", "0x1:0", " 1:1"} {
		if got, err := edit.ParseOwner(s); err == nil {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
}
