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

// TestBases: a program of fix-ups alone changes nothing, since all agrees already, and
// one that breaks a checksum is made right by the fix-up.
func TestBases(t *testing.T) {
	bases := Bases()
	for i, b := range bases {
		if n := Fields(b.Image); n < 60 {
			t.Errorf("%s: only %d fields are found", b.Name, n)
		}
		got := Encode(i, AllFixups()).Run(bases)
		if !bytes.Equal(got, b.Image) {
			r := Row{twin: func(Image) Image { return b.Image }, make: func(Image) Image { return got }}
			t.Errorf("%s: fix-ups change %v", b.Name, r.Changes())
		}
	}
}

// TestPrograms: every field can be changed in every way, and the program says how.
func TestPrograms(t *testing.T) {
	bases := Bases()
	for i, b := range bases {
		for f := 0; f < Fields(b.Image); f += 3 {
			p := Encode(i, []byte{byte(f)}, Step{Op: Op(f) % ops, Field: f, Kind: byte(f % kinds), Value: uint32(f * 7)})
			if p.Run(bases); !strings.HasPrefix(p.String(), b.Name+": ") {
				t.Errorf("%q", p)
			}
			if p := Encode(i, nil, Step{Op: Set, Field: f, Value: 0x7b7b7b7b}); bytes.Equal(p.Run(bases), b.Image) {
				t.Errorf("%s changes nothing", p)
			}
		}
	}
}
