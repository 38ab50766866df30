package isolayer_test

import (
	"os"
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

// TestModulesForTests: the modules that go.mod says are for tests alone are in no program,
// and all others are.
func TestModulesForTests(t *testing.T) {
	used := map[string]bool{}
	for _, system := range []string{"linux", "windows"} {
		cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./cmd/isolayer")
		cmd.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			used[strings.TrimSpace(line)] = true
		}
	}
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	tests, seen := false, 0
	for line := range strings.Lines(string(text)) {
		switch f := strings.Fields(line); {
		case strings.HasPrefix(line, "//"):
			tests = strings.TrimSpace(line) == "// Tests only."
		case line == ")\n":
			tests = false
		case len(f) == 2 && strings.HasPrefix(line, "\t"):
			if seen++; used[f[0]] == tests {
				t.Errorf("%s: for tests alone: %t; in the program: %t", f[0], tests, used[f[0]])
			}
		}
	}
	if seen < 15 {
		t.Errorf("go.mod was read as %d modules", seen)
	}
}
