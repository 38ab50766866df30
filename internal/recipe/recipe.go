// Package recipe reads Isofiles: how an image is made, written down with the syntax of
// Dockerfiles. An Isofile is data here; what its instructions do is decided elsewhere.
package recipe

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Limits of what is read.
const (
	maxFile  = 4 << 20 // bytes
	maxSteps = 10_000
)

// Recipe is an Isofile.
type Recipe struct {
	File string // its name, for errors
	// Args stand in front of the first stage; FROM can use them.
	Args   []Instruction
	Stages []Stage
}

// Stage is what a FROM begins.
type Stage struct {
	From  Instruction // its Words are the base and perhaps "AS" and a name
	Name  string      // "" without
	Steps []Instruction
}

// Instruction is one instruction as written; variables stand in it.
type Instruction struct {
	Name  string // in capitals
	Flags []Flag // --name=value, in order
	// Words are the arguments, quotes and all; Exact ones, of a JSON array, are taken as
	// they are.
	Words []string
	Exact bool
	// Rest is all behind the flags, as written: the command of RUN.
	Rest string
	Docs []Doc  // here-documents, in order of their words
	Line int    // of the file, from 1
	Text string // the first line as written, for people
}

// Flag is an option of an instruction.
type Flag struct{ Name, Value string }

// Doc is a here-document.
type Doc struct {
	Word   string // the word that announces it, as written: <<EOF
	Name   string // EOF
	Text   string
	Expand bool // variables stand in it: its name is not quoted
}

// Templates reports whether values go into any instruction.
func (r *Recipe) Templates() bool {
	return slices.ContainsFunc(r.Stages, func(s Stage) bool {
		return slices.ContainsFunc(s.Steps, func(i Instruction) bool {
			_, ok := i.Flag("template")
			return ok
		})
	})
}

// Flag returns the last value of a flag.
func (i *Instruction) Flag(name string) (string, bool) {
	for _, f := range slices.Backward(i.Flags) {
		if f.Name == name {
			return f.Value, true
		}
	}
	return "", false
}

// Error is an error with its place in the file.
type Error struct {
	File string
	Line int
	Text string // the line
	Err  error
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d: %v\n    %s", e.File, e.Line, e.Err, e.Text)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrSyntax reports a file that is no Isofile.
var ErrSyntax = errors.New("cannot be read")

// At puts the place of an instruction to an error.
func (r *Recipe) At(i *Instruction, err error) error {
	var there *Error
	if err == nil || errors.As(err, &there) && there.File == r.File {
		return err
	}
	return &Error{r.File, i.Line, i.Text, err}
}

// known are the instructions and the flags that each takes.
var known = map[string][]string{
	"FROM": {}, "ARG": {}, "ENV": {}, "LABEL": {},
	"COPY": {"chmod", "chown", "from", "template"}, "ADD": {"chmod", "chown", "checksum", "template"},
	"RUN":    {"network", "mount"},
	"REMOVE": {}, "RENAME": {}, "MKDIR": {}, "SYMLINK": {}, "CHMOD": {}, "CHOWN": {}, "LAYER": {},
	"VOLID": {}, "VOLSET": {}, "PUBLISHER": {}, "PREPARER": {}, "APPID": {},
	"KARG": {"keep"}, "MENU": {"timeout", "default"}, "ENTRY": {},
	"KICKSTART": {"template"}, "PRESEED": {"template"}, "AUTOINSTALL": {"template"}, "AUTOYAST": {"template"}, "AGAMA": {"template"},
	"IGNITION": {"template"}, "ANSWER": {"template"}, "INITRD": {"template"},
	"MEDIACHECK": {},
}

// Known reports whether there is an instruction of that name.
func Known(name string) bool {
	_, ok := known[name]
	return ok
}

// Parse reads an Isofile. Errors are of type *Error and wrap ErrSyntax.
func Parse(file string, content []byte) (*Recipe, error) {
	r := &Recipe{File: file}
	if len(content) > maxFile {
		return nil, &Error{file, 1, "", fmt.Errorf("%w: more than %d bytes", ErrSyntax, maxFile)}
	}
	list, err := split(file, string(content))
	if err != nil {
		return nil, err
	}
	if len(list) > maxSteps {
		return nil, &Error{file, 1, "", fmt.Errorf("%w: more than %d instructions", ErrSyntax, maxSteps)}
	}
	for k := range list {
		if err := r.take(list[k]); err != nil {
			return nil, &Error{file, list[k].Line, list[k].Text, err}
		}
	}
	if len(r.Stages) == 0 {
		return nil, &Error{file, 1, "", fmt.Errorf("%w: no FROM", ErrSyntax)}
	}
	return r, nil
}

// take adds an instruction to the recipe.
func (r *Recipe) take(i Instruction) error {
	flags, ok := known[i.Name]
	if !ok {
		return fmt.Errorf("%w: unknown instruction %s%s", ErrSyntax, i.Name, nearest(i.Name))
	}
	for _, f := range i.Flags {
		if !slices.Contains(flags, f.Name) {
			return fmt.Errorf("%w: %s has no --%s", ErrSyntax, i.Name, f.Name)
		}
	}
	if len(i.Docs) > 0 && i.Name != "COPY" && i.Name != "ADD" && i.Name != "RUN" {
		return fmt.Errorf("%w: %s takes no here-document", ErrSyntax, i.Name)
	}
	if i.Name == "FROM" {
		return r.from(i)
	}
	if len(i.Words) == 0 && len(i.Flags) == 0 {
		return fmt.Errorf("%w: %s needs arguments", ErrSyntax, i.Name)
	}
	if len(r.Stages) == 0 {
		if i.Name != "ARG" {
			return fmt.Errorf("%w: only ARG may stand in front of FROM", ErrSyntax)
		}
		r.Args = append(r.Args, i)
		return nil
	}
	s := &r.Stages[len(r.Stages)-1]
	s.Steps = append(s.Steps, i)
	return nil
}

func (r *Recipe) from(i Instruction) error {
	s := Stage{From: i}
	switch {
	case len(i.Words) == 3 && strings.EqualFold(i.Words[1], "AS"):
		s.Name = i.Words[2]
	case len(i.Words) != 1:
		return fmt.Errorf("%w: FROM takes an image, or: FROM image AS name", ErrSyntax)
	}
	if s.Name != "" && slices.ContainsFunc(r.Stages, func(o Stage) bool { return o.Name == s.Name }) {
		return fmt.Errorf("%w: there is a stage %q already", ErrSyntax, s.Name)
	}
	r.Stages = append(r.Stages, s)
	return nil
}

// Stage finds a stage by its name or number, among those in front of the n-th.
func (r *Recipe) Stage(name string, n int) (int, bool) {
	for k := range r.Stages[:n] {
		if r.Stages[k].Name == name || fmt.Sprint(k) == name {
			return k, true
		}
	}
	return 0, false
}

// nearest is advice for a word that is nearly an instruction.
func nearest(word string) string {
	for name := range known {
		if near(word, name) {
			return fmt.Sprintf(" (did you mean %s?)", name)
		}
	}
	return ""
}

// near reports whether two words differ by one letter: another, one more, one less, or two
// that changed places.
func near(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) < len(b) {
		return a[i:] == b[i+1:]
	}
	if i == len(a) {
		return false
	}
	return a[i+1:] == b[i+1:] || i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}
