package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// caseFields are the lines that every script in testdata/cases begins with; docs/cases.md
// is the table of them.
var caseFields = []string{"source", "symptom", "kind", "before", "after"}

// TestCases replays public bug reports and how-tos: what people tried with other programs,
// or with this one, must come out right, or be refused for its reason.
func TestCases(t *testing.T) {
	if testing.Short() {
		t.Skip("a hundred scripts")
	}
	testscript.Run(t, testscript.Params{Dir: "testdata/cases", Setup: func(e *testscript.Env) error {
		e.Setenv("HOME", home(e))
		return nil
	}})
}

// TestCasesTable: docs/cases.md lists every script of testdata/cases with what it says of
// itself. ISOLAYER_UPDATE=1 writes the page anew.
func TestCasesTable(t *testing.T) {
	scripts, err := filepath.Glob("testdata/cases/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	const intro = `# Public cases

Bug reports and how-tos about other programs and about this one, replayed. Each is a
script in ` + "`cmd/isolayer/testdata/cases`" + ` that ` + "`make test`" + ` runs. "Before" is what isolayer
did on 2026-11-28. Made from the scripts: ` + "`ISOLAYER_UPDATE=1 go test -run TestCasesTable ./cmd/isolayer`" + `.

| case | source | symptom | kind | before | after |
|---|---|---|---|---|---|
`
	page := new(strings.Builder)
	page.WriteString(intro)
	for _, script := range scripts {
		fields, err := caseHeader(script)
		if err != nil {
			t.Error(err)
			continue
		}
		fmt.Fprintf(page, "| %s | %s |\n", strings.TrimSuffix(filepath.Base(script), ".txtar"), strings.Join(fields, " | "))
	}
	const path = "../../docs/cases.md"
	if os.Getenv("ISOLAYER_UPDATE") != "" {
		if err := os.WriteFile(path, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != page.String() {
		t.Error("docs/cases.md is not what the scripts say; ISOLAYER_UPDATE=1 writes it")
	}
}

// caseHeader returns the values of caseFields at the beginning of a script.
func caseHeader(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var values []string
	for line := range strings.Lines(string(text)) {
		if len(values) == len(caseFields) {
			return values, nil
		}
		key := caseFields[len(values)]
		value, ok := strings.CutPrefix(line, "# "+key+": ")
		if !ok {
			break
		}
		values = append(values, strings.ReplaceAll(strings.TrimSpace(value), "|", `\|`))
	}
	return nil, fmt.Errorf("%s: line %d must be \"# %s: ...\"", path, len(values)+1, caseFields[len(values)])
}
