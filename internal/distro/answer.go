package distro

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/edit"
)

// Kind is a kind of answer file.
type Kind = edit.AnswerKind

// The kinds.
const (
	Kickstart   = edit.Kickstart
	Preseed     = edit.Preseed
	Autoinstall = edit.Autoinstall
	AutoYaST    = edit.AutoYaST
	Agama       = edit.Agama
	Ignition    = edit.Ignition
	Answer      = edit.Answer
	Unattend    = edit.Unattend
)

// Kinds are all of them.
var Kinds = []Kind{Kickstart, Preseed, Autoinstall, AutoYaST, Agama, Ignition, Answer, Unattend}

// Rule says what becomes of an answer file for an image.
type Rule func(m Medium, r *Release, answer File) (Plan, error)

// File is a file with its content.
type File struct {
	Path    string // in the tree; of an answer file its own name
	Content []byte
}

// Plan is what makes an installer read an answer file.
type Plan struct {
	Files  []File // into the tree
	Initrd []File // into the initrd of every entry
	Area   []File // into the area of CoreOS, as an archive
	Args   []string
	Always bool // the installer reads the file whatever entry starts it
	// Unattended says that the installer will not ask before it overwrites disks, and
	// why.
	Unattended string
	Notes      []string
}

// Errors that callers tell apart.
var (
	// ErrKind reports an answer file that the installer of the image does not read.
	ErrKind = errors.New("reads no")
	// ErrAnswer reports an answer file that is none.
	ErrAnswer = errors.New("is not an answer file of that kind")
)

// Answer says what to do with an answer file.
func (r *Release) Answer(m Medium, kind Kind, answer File) (Plan, error) {
	rule := r.Family.Answers[kind]
	if rule == nil {
		return Plan{}, r.wrongKind(kind, r.reads())
	}
	if len(answer.Content) == 0 {
		return Plan{}, fmt.Errorf("%s %w: it is empty", answer.Path, ErrAnswer)
	}
	return rule(m, r, answer)
}

// places are where rules put answer files.
var places = map[Kind][]string{
	Kickstart: {"/ks.cfg", "/isolinux/ks.cfg"}, Preseed: {"/preseed.cfg"}, Autoinstall: {"/nocloud/user-data"}, AutoYaST: {"/autoinst.xml", "/autoinst.xml.erb"},
	Agama: {"/autoinst.json", "/autoinst.jsonnet", "/autoinst.sh", "/autoinst.xml"}, Answer: {"/answer.toml"},
}

// Places lists all of those, sorted.
func Places() (out []string) {
	for _, list := range places {
		out = append(out, list...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Placed is an answer file that lies where an installer would look for one.
type Placed struct {
	Path string
	Kind Kind
	Plan Plan // what putting it there by its own step would do
}

// Placed lists the answer files at their places that overwrite disks without asking; fresh
// says which files are to be looked at.
func (r *Release) Placed(m Medium, fresh func(path string) bool) (out []Placed) {
	for _, k := range Kinds {
		for _, p := range places[k] {
			if r.Family.Answers[k] == nil || !fresh(p) {
				continue
			}
			text, err := m.Read(p, 16<<20)
			if err != nil || len(text) == 0 {
				continue
			}
			if plan, err := r.Family.Answers[k](m, r, File{p, text}); err == nil && plan.Unattended != "" {
				out = append(out, Placed{p, k, plan})
			}
		}
	}
	return out
}

// reads says which answer files the image takes.
func (r *Release) reads() string {
	var out []string
	for _, k := range r.takes() {
		out = append(out, string(k))
	}
	switch {
	case r.Family == Generic:
		return "its installer, if it has one, is not known"
	case len(out) == 0:
		return "it has no installer that reads one"
	}
	return "it takes " + strings.Join(out, ", ")
}

// takes are the kinds of answer files that the image takes.
func (r *Release) takes() (out []Kind) {
	for _, k := range Kinds {
		if k != Unattend && r.Family.Answers[k] != nil {
			out = append(out, k)
		}
	}
	return out
}

// KindError reports an answer file that the installer of the image does not read. It wraps
// ErrKind.
type KindError struct {
	Release *Release
	Kind    Kind
	Takes   []Kind // what it reads instead
	why     string
}

func (e *KindError) Error() string {
	return fmt.Sprintf("%s %v %s file; %s", e.Release, ErrKind, e.Kind, e.why)
}

// Unwrap implements errors.Unwrap.
func (e *KindError) Unwrap() error { return ErrKind }

func (r *Release) wrongKind(kind Kind, why string) error {
	takes := slices.DeleteFunc(r.takes(), func(k Kind) bool { return k == kind })
	return &KindError{r, kind, takes, why}
}

// refused is a rule for a kind that cannot be done, with the reason.
func refused(reason string) Rule {
	return func(_ Medium, r *Release, _ File) (Plan, error) {
		return Plan{}, fmt.Errorf("%s: %s: %w", r, reason, errors.ErrUnsupported)
	}
}

// only is an error for a release of the family that does not read the file.
func only(r *Release, kind Kind, why string, kinds ...string) error {
	if slices.Contains(kinds, r.Kind) {
		return nil
	}
	return r.wrongKind(kind, why)
}

// commands are the first words of the lines of a text that are no comments.
func commands(text []byte) (out []string) {
	for l := range strings.Lines(string(text)) {
		if f := strings.Fields(l); len(f) > 0 && !strings.HasPrefix(f[0], "#") {
			out = append(out, f[0])
		}
	}
	return out
}
