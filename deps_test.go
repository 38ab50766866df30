package isolayer_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestStartsFast: from 0.0.25 on go-runewidth computes tables of all characters at
// every start, which takes longer than an edit in place.
func TestStartsFast(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "github.com/mattn/go-runewidth").Output()
	if err != nil {
		t.Fatal(err)
	}
	if v := strings.TrimSpace(string(out)); v != "v0.0.24" {
		t.Errorf("go-runewidth is %s; v0.0.24 with mpb v8.13.0 is the last that starts at once", v)
	}
}
