package hostile

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestRows proves each row by the bytes that make it: testdata/rows.txt is what a
// reviewer reads. ISOLAYER_UPDATE=1 writes it anew.
func TestRows(t *testing.T) {
	var b strings.Builder
	seen := map[string]bool{}
	for _, r := range Rows {
		if seen[r.ID] {
			t.Errorf("two rows %s", r.ID)
		}
		seen[r.ID] = true
		if (r.Kind == None) != (r.Stage == Nobody) && r.Stage != Noted {
			t.Errorf("%s: kind %q at stage %d", r.ID, r.Kind, r.Stage)
		}
		if r.Big {
			continue
		}
		changes := r.Changes()
		if len(changes) == 0 && r.Grow == 0 {
			t.Errorf("%s is its twin", r.ID)
		}
		fmt.Fprintf(&b, "%s: %s\n", r.ID, r.What)
		for i, c := range changes {
			if i == 4 {
				fmt.Fprintf(&b, "\tand %d more\n", len(changes)-i)
				break
			}
			fmt.Fprintf(&b, "\t%v\n", c)
		}
	}
	const golden = "testdata/rows.txt"
	if os.Getenv("ISOLAYER_UPDATE") != "" {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, []byte(b.String())) {
		t.Errorf("the rows are not those of %s", golden)
	}
}
