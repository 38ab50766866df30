package distro_test

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/distro"
)

// answers are the least that each kind of answer file has to be.
var answers = map[distro.Kind]string{
	distro.Kickstart:   "text\nclearpart --all --initlabel\nautopart\ninstall --firstdisk --overwritevmfs\n",
	distro.Preseed:     "d-i partman/confirm boolean true\n",
	distro.Autoinstall: "#cloud-config\nautoinstall:\n  version: 1\n",
	distro.AutoYaST:    "<?xml version=\"1.0\"?>\n<profile xmlns=\"http://www.suse.com/1.0/yast2ns\"/>\n",
	distro.Agama:       "{\"product\": {\"id\": \"SLES\"}}\n",
	distro.Ignition:    "{\"ignition\": {\"version\": \"3.3.0\"}}\n",
	distro.Answer:      "[global]\nkeyboard = \"de\"\n",
	distro.Unattend:    "<unattend/>\n",
}

func TestRecognise(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range fixtures(t) {
		r := distro.Recognise(f.medium())
		seen[r.ID] = true
		for what, got := range map[string]string{"family": r.ID, "name": r.Name, "version": r.Version, "arch": r.Arch, "kind": r.Kind} {
			if want := f.head[what]; got != want {
				t.Errorf("%s: %s is %q, want %q", f.name, what, got, want)
			}
		}
	}
	for _, f := range distro.Families {
		if !seen[f.Name] {
			t.Errorf("no fixture of %s", f.Name)
		}
	}
}

func TestAnswer(t *testing.T) {
	for _, f := range fixtures(t) {
		m := f.medium()
		r := distro.Recognise(m)
		if no := distro.Kind(f.head["refuses"]); no != "" {
			_, err := r.Answer(m, no, distro.File{Path: "answer", Content: []byte(answers[no])})
			if !errors.Is(err, distro.ErrKind) && !errors.Is(err, errors.ErrUnsupported) || len(err.Error()) < 40 {
				t.Errorf("%s: %s was not refused with a reason: %v", f.name, no, err)
			}
			continue
		}
		kind := distro.Kind(f.head["answer"])
		content := cmp.Or(f.head["content"], answers[kind])
		p, err := r.Answer(m, kind, distro.File{Path: "answer", Content: []byte(content)})
		if err != nil {
			t.Errorf("%s: %v", f.name, err)
			continue
		}
		if got := strings.Join(p.Args, " "); got != f.head["args"] {
			t.Errorf("%s: arguments %q", f.name, got)
		}
		if (p.Unattended != "") != (f.head["unattended"] == "yes") {
			t.Errorf("%s: unattended: %q", f.name, p.Unattended)
		}
		for where, list := range map[string][]distro.File{"to": p.Files, "initrd": p.Initrd} {
			if want := f.head[where]; want != "" && !slices.ContainsFunc(list, func(x distro.File) bool { return x.Path == want && string(x.Content) == content }) {
				t.Errorf("%s: nothing at %s: %v", f.name, want, list)
			}
		}
		// Every other kind is refused, with what it takes instead.
		for _, k := range distro.Kinds {
			if r.Family.Answers[k] == nil {
				if _, err := r.Answer(m, k, distro.File{Path: "x", Content: []byte("x")}); !errors.Is(err, distro.ErrKind) || !strings.Contains(err.Error(), string(kind)) {
					t.Errorf("%s: %s: %v", f.name, k, err)
				}
			}
		}
		if _, err := r.Answer(m, kind, distro.File{Path: "empty"}); !errors.Is(err, distro.ErrAnswer) {
			t.Errorf("%s: an empty file: %v", f.name, err)
		}
	}
}

// TestWrongFile: a file that is certainly none of its kind is reported at once, not by an
// installer an hour later.
func TestWrongFile(t *testing.T) {
	for _, f := range fixtures(t) {
		kind := distro.Kind(f.head["answer"])
		if !slices.Contains([]distro.Kind{distro.Autoinstall, distro.AutoYaST, distro.Ignition, distro.Answer}, kind) {
			continue
		}
		m := f.medium()
		if _, err := distro.Recognise(m).Answer(m, kind, distro.File{Path: "x", Content: []byte("hello: world\n")}); !errors.Is(err, distro.ErrAnswer) {
			t.Errorf("%s: %v", f.name, err)
		}
	}
}

// FuzzRecognise: any text in the files that are looked at gives some answer.
func FuzzRecognise(f *testing.F) {
	for _, x := range fixtures(f) {
		f.Add(x.head["label"], x.files[".disk/info"], x.files[".treeinfo"], x.files["media.1/media"], x.files["boot.cfg"]+x.files[".cd-info"])
	}
	f.Fuzz(func(t *testing.T, label, info, tree, media, rest string) {
		for _, base := range []volume{{"images/install.img": ""}, {"casper/x": ""}, {"live/filesystem.squashfs": ""}, {"LiveOS/x": "", "boot/grub2/grub.cfg": rest}, {".pve-cd-id.txt": ""}, {"arch/version": media}} {
			for name, text := range map[string]string{".disk/info": info, ".treeinfo": tree, ".discinfo": tree, "media.1/media": media, "media.1/products": media, "boot.cfg": rest, ".cd-info": rest} {
				if text != "" {
					base[name] = text
				}
			}
			m := distro.Medium{Volume: base, Label: label}
			r := distro.Recognise(m)
			if r.Family == nil || r.Kind == "" {
				t.Fatalf("%+v", r)
			}
			for k, text := range answers {
				_, _ = r.Answer(m, k, distro.File{Path: "x", Content: []byte(text)})
			}
		}
	})
}
