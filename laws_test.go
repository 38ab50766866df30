package isolayer_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/isolayer/isolayer"

// public are the packages that a stranger can import. A name can be published later, never
// taken back.
var public = []string{"isolayer", "edit", "extent", "extent/sourcetest", "sink"}

// forTests are the packages that only tests import.
var forTests = []string{"isotest", "isotest/hostile", "isotest/readback", "loadertest", "sinktest", "extent/sourcetest", "stage/volumetest", "baseimage/hierarchytest"}

// noun is a package as docs/design.md names it.
func noun(path string) string {
	path = strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
	if path == "" {
		return "isolayer"
	}
	return strings.TrimPrefix(path, "internal/")
}

// list is what go list says of all packages, but for tools: each with those of ours that it
// imports.
func list(t *testing.T) (names []string, imports map[string][]string) {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	imports = map[string][]string{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if strings.HasPrefix(f[0], module+"/tools/") || strings.HasPrefix(f[0], module+"/examples/") {
			continue
		}
		n := noun(f[0])
		names = append(names, n)
		for _, imp := range f[1:] {
			if strings.HasPrefix(imp, module) {
				imports[n] = append(imports[n], noun(imp))
			}
		}
		slices.Sort(imports[n])
	}
	return names, imports
}

// TestImportsOnlyGoDown: a package imports only what stands below it in the list of
// docs/design.md, whose last column says what that is.
func TestImportsOnlyGoDown(t *testing.T) {
	names, imports := list(t)
	text, err := os.ReadFile("docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	var out bytes.Buffer
	for line := range strings.Lines(string(text)) {
		f := strings.Split(line, "|")
		n := ""
		if len(f) == 5 {
			n = strings.Trim(f[1], " `*")
		}
		switch {
		case !slices.Contains(names, n):
		case slices.Contains(forTests, n):
			rows = append(rows, n)
		case n == "cmd/isolayer":
			rows = append(rows, n)
		default:
			rows = append(rows, n)
			f[3] = " " + strings.Join(imports[n], ", ") + " "
			if len(imports[n]) == 0 {
				f[3] = " – "
			}
			if now := strings.Join(f, "|"); now != line {
				if os.Getenv("ISOLAYER_UPDATE") == "" {
					t.Errorf("docs/design.md says of %s that it imports%s; it imports%s", n, strings.Split(line, "|")[3], f[3])
				}
				line = now
			}
		}
		out.WriteString(line)
	}
	for _, n := range names {
		at := slices.Index(rows, n)
		if at < 0 {
			t.Errorf("%s is not in the list of docs/design.md", n)
		}
		for _, imp := range imports[n] {
			if slices.Index(rows, imp) <= at && !slices.Contains(forTests, n) {
				t.Errorf("%s imports %s, which does not stand below it", n, imp)
			}
		}
	}
	if os.Getenv("ISOLAYER_UPDATE") != "" {
		if err := os.WriteFile("docs/design.md", out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPackagesAreDocumented: every package says what it does, in its own name.
func TestPackagesAreDocumented(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{.Name}} {{.Doc}}`, "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		path, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, doc, _ := strings.Cut(rest, " ")
		if name != "main" && !strings.HasPrefix(path, module+"/examples/") && !strings.HasPrefix(doc, "Package "+name+" ") {
			t.Errorf("%s: %q does not say what the package does", path, doc)
		}
	}
}

// TestRationaleIsFound: what code names of RATIONALE.md is there.
func TestRationaleIsFound(t *testing.T) {
	text, err := os.ReadFile("RATIONALE.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if group, ok := strings.CutPrefix(line, "## "); ok && !strings.Contains(group, ": ") && group != "Dependencies\n" {
			t.Errorf("%q stands in no group; sections begin with ###", group)
		}
	}
	found := 0
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || path == "laws_test.go" {
			return err
		}
		code, err := os.ReadFile(path)
		for _, m := range rationale.FindAllSubmatch(code, -1) {
			found++
			if !bytes.Contains(text, fmt.Appendf(nil, "\n### %s\n", m[1])) {
				t.Errorf("%s: RATIONALE.md has no section %q", path, m[1])
			}
		}
		return err
	})
	if err != nil || found < 20 {
		t.Errorf("%d places name a section, %v", found, err)
	}
}

var rationale = regexp.MustCompile(`// See RATIONALE\.md, "(.*)"\.`)

// TestPublicPackages: all packages but these are internal.
func TestPublicPackages(t *testing.T) {
	out, err := exec.Command("go", "list", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		path := strings.TrimSpace(line)
		inside := strings.Contains(path, "/internal/") || strings.Contains(path, "/cmd/") || strings.Contains(path, "/tools/") || strings.Contains(path, "/examples/")
		if !inside && !slices.Contains(public, noun(path)) {
			t.Errorf("%s is public", path)
		}
	}
}

// sources parses the files of a package that are not tests.
func sources(t *testing.T, dir string) (*token.FileSet, map[string]*ast.File) {
	t.Helper()
	fset, files := token.NewFileSet(), map[string]*ast.File{}
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = f
	}
	return fset, files
}

// TestRootIsSmall: the root is a facade.
func TestRootIsSmall(t *testing.T) {
	fset, files := sources(t, ".")
	lines := 0
	for _, f := range files {
		lines += fset.File(f.Pos()).LineCount()
	}
	if len(files) > 10 || lines > 1200 {
		t.Errorf("the root has %d files and %d lines; it may have 10 and 1200", len(files), lines)
	}
}

// TestPublicNamesAreDocumented: every exported name of a public package says what it is, and
// none has a type of an internal package in its signature.
func TestPublicNamesAreDocumented(t *testing.T) {
	for _, n := range public {
		dir := strings.TrimPrefix(n, "isolayer")
		fset, files := sources(t, filepath.Join(".", dir))
		for _, f := range files {
			internal := internalNames(f)
			for _, d := range f.Decls {
				for _, x := range exported(d) {
					if !x.documented {
						t.Errorf("%s: %s has no documentation", fset.Position(x.node.Pos()), x.name)
					}
					for _, used := range selectors(x.node, internal) {
						t.Errorf("%s: %s shows %s, which nobody outside can name", fset.Position(x.node.Pos()), x.name, used)
					}
				}
			}
		}
	}
}

// internalNames are the names by which a file calls internal packages.
func internalNames(f *ast.File) (out []string) {
	for _, i := range f.Imports {
		path := strings.Trim(i.Path.Value, `"`)
		if strings.Contains(path, module+"/internal/") {
			out = append(out, filepath.Base(path))
		}
	}
	return out
}

// publicName is an exported name, with what of it is seen from outside.
type publicName struct {
	name       string
	node       ast.Node
	documented bool
}

func exported(d ast.Decl) (out []publicName) {
	switch x := d.(type) {
	case *ast.FuncDecl:
		if x.Name.IsExported() && (x.Recv == nil || receiverExported(x)) {
			said := x.Doc != nil || x.Recv != nil && slices.Contains([]string{"String", "Error", "Unwrap"}, x.Name.Name)
			out = append(out, publicName{x.Name.Name, x.Type, said})
		}
	case *ast.GenDecl:
		for _, s := range x.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() {
					out = append(out, publicName{s.Name.Name, visible(s.Type), x.Doc != nil || s.Doc != nil || s.Comment != nil})
				}
			case *ast.ValueSpec:
				if s.Names[0].IsExported() {
					out = append(out, publicName{s.Names[0].Name, s.Names[0], x.Doc != nil || s.Doc != nil || s.Comment != nil})
				}
			}
		}
	}
	return out
}

// visible is a type without the fields that nobody sees.
func visible(t ast.Expr) ast.Node {
	s, ok := t.(*ast.StructType)
	if !ok {
		return t
	}
	seen := &ast.FieldList{Opening: s.Fields.Opening}
	for _, f := range s.Fields.List {
		if len(f.Names) == 0 || f.Names[0].IsExported() {
			seen.List = append(seen.List, f)
		}
	}
	return seen
}

func receiverExported(f *ast.FuncDecl) bool {
	t := f.Recv.List[0].Type
	if p, ok := t.(*ast.StarExpr); ok {
		t = p.X
	}
	id, ok := t.(*ast.Ident)
	return ok && id.IsExported()
}

// selectors are the names of packages in a node.
func selectors(n ast.Node, packages []string) (out []string) {
	ast.Inspect(n, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := s.X.(*ast.Ident); ok && slices.Contains(packages, id.Name) {
				out = append(out, id.Name+"."+s.Sel.Name)
			}
		}
		return true
	})
	return out
}

// large are the packages that may have more than 2,500 lines: formats, and the command.
var large = []string{"cmd/isolayer", "iso9660", "layout", "verify", "menu", "grubscript", "boot", "fat", "bootcfg", "workspace"}

// manyMethods are the types that had more than 25 methods before that was a law, with how
// many they may have: none gets more.
var manyMethods = map[string]int{
	"cmd/isolayer.app": 107, "boot.Equipment": 71, "boot.relocator": 26, "bootcfg.File": 43, "fat.Image": 35, "grubscript.machine": 64,
	"iso9660.Image": 30, "iso9660.Descriptor": 31, "layout.planner": 62, "layout.hierarchy": 43, "master/scan.scan": 28, "menu.Edit": 38,
	"verify.checker": 57, "workspace.Workspace": 34, "workspace.capture": 37, "sink.plain": 26,
}

// TestPackagesAreSmall: nothing is merely moved from one heap to another.
func TestPackagesAreSmall(t *testing.T) {
	names, _ := list(t)
	for _, n := range names {
		dir := filepath.Join("internal", n)
		switch {
		case n == "isolayer":
			dir = "."
		case slices.Contains(public, n), n == "cmd/isolayer":
			dir = n
		case slices.Contains(forTests, n):
			continue
		}
		fset, files := sources(t, dir)
		lines, methods := 0, map[string]int{}
		for _, f := range files {
			lines += fset.File(f.Pos()).LineCount()
			for _, d := range f.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok {
					continue
				}
				if long := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line; long > 80 {
					t.Errorf("%s: %s has %d lines", fset.Position(fn.Pos()), fn.Name.Name, long)
				}
				if fn.Recv != nil {
					methods[receiver(fn)]++
				}
			}
		}
		if lines > 2500 && !slices.Contains(large, n) {
			t.Errorf("%s has %d lines", n, lines)
		}
		for of, count := range methods {
			if most := max(25, manyMethods[n+"."+of]); count > most {
				t.Errorf("%s.%s has %d methods; it may have %d", n, of, count, most)
			}
		}
	}
}

func receiver(f *ast.FuncDecl) string {
	t := f.Recv.List[0].Type
	if p, ok := t.(*ast.StarExpr); ok {
		t = p.X
	}
	if x, ok := t.(*ast.IndexExpr); ok {
		t = x.X
	}
	return fmt.Sprint(t)
}

// TestBuildStartsNoProgram: of what Build uses, only the packages of steps that say so can
// start programs.
func TestBuildStartsNoProgram(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./internal/build").Output()
	if err != nil {
		t.Fatal(err)
	}
	may := []string{"pkgrepo", "refresh"} // by RefreshRepo, and by a signing key
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if strings.HasPrefix(f[0], module) && slices.Contains(f, "os/exec") && !slices.Contains(may, noun(f[0])) {
			t.Errorf("%s starts programs", f[0])
		}
	}
}
