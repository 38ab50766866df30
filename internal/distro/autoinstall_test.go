package distro_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/isolayer/isolayer/internal/distro"
)

// autoinstallOf is what Ubuntu's installer gets of an answer file.
func autoinstallOf(t *testing.T, text string) (string, error) {
	t.Helper()
	m := distro.Medium{Volume: volume{"casper/install-sources.yaml": "", ".disk/info": "Ubuntu-Server 24.04 LTS \"Noble Numbat\" - Release amd64"}}
	p, err := distro.Recognise(m).Answer(m, distro.Autoinstall, distro.File{Path: "user-data", Content: []byte(text)})
	if err != nil {
		return "", err
	}
	return string(p.Files[0].Content), nil
}

// TestUserData: what cloud-init takes reaches it as it is, with the first line that it
// goes by; what is the installer's own file is put below its key.
func TestUserData(t *testing.T) {
	const plain = "#cloud-config\nautoinstall:\n  version: 1\n"
	mime := "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"xx\"\n\n--xx\nContent-Type: text/x-shellscript\n\n#!/bin/sh\n" +
		"--xx\nContent-Type: text/cloud-config\n\nautoinstall:\n  version: 1\n--xx--\n"
	base64 := "Content-Type: multipart/mixed; boundary=\"xx\"\nMIME-Version: 1.0\n\n--xx\nContent-Type: text/cloud-config\nContent-Transfer-Encoding: base64\n\nI2Nsb3VkLWNvbmZpZwphdXRvaW5zdGFsbDoKICB2ZXJz\naW9uOiAxCg==\n--xx--\n"
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = w.Write([]byte(plain))
	_ = w.Close()
	for name, c := range map[string]struct{ in, want string }{
		"as it should be":         {plain, plain},
		"no first line":           {"autoinstall:\n  version: 1\n", plain},
		"a byte order mark":       {"\xef\xbb\xbf" + plain, plain},
		"line ends of Windows":    {"#cloud-config\r\nautoinstall:\r\n  version: 1\r\n", "#cloud-config\r\nautoinstall:\r\n  version: 1\r\n"},
		"a quoted key":            {"\"autoinstall\":\n  version: 1\n", "#cloud-config\n\"autoinstall\":\n  version: 1\n"},
		"JSON":                    {`{"autoinstall": {"version": 1}}`, "#cloud-config\n" + `{"autoinstall": {"version": 1}}`},
		"comments first":          {"# ours\n" + plain, "#cloud-config\n# ours\n" + plain},
		"a template":              {"## template: jinja\n#cloud-config\nautoinstall:\n  version: 1\n  x: {{ y }}\n", "## template: jinja\n#cloud-config\nautoinstall:\n  version: 1\n  x: {{ y }}\n"},
		"a template without line": {"## template: jinja\nautoinstall: {version: 1}\n", "## template: jinja\n#cloud-config\nautoinstall: {version: 1}\n"},
		"several parts":           {mime, mime},
		"parts in base64":         {base64, base64},
		"compressed":              {zipped.String(), zipped.String()},
		"an archive":              {"#cloud-config-archive\n- type: text/cloud-config\n", "#cloud-config-archive\n- type: text/cloud-config\n"},
	} {
		if got, err := autoinstallOf(t, c.in); err != nil || got != c.want {
			t.Errorf("%s: %q (%v), want %q", name, got, err, c.want)
		}
	}
	for name, text := range map[string]string{
		"other user data": "#cloud-config\npackages: [vim]\n", "a script": "#!/bin/sh\necho autoinstall:\n", "no YAML": "hello\tworld: [\n",
		"parts without": strings.ReplaceAll(mime, "autoinstall:", "packages:"), "a cut part": mime[:90], "bad gzip": zipped.String()[:20],
	} {
		if got, err := autoinstallOf(t, text); !errors.Is(err, distro.ErrAnswer) {
			t.Errorf("%s was taken: %q (%v)", name, got, err)
		}
	}
}

// TestBareAutoinstall: the installer's own file, whatever its shape, means the same below
// the key.
func TestBareAutoinstall(t *testing.T) {
	for name, text := range map[string]string{
		"plain":             "version: 1\nidentity:\n  hostname: n17\nlate-commands:\n- |\n  echo one\n    two\n- echo three\n",
		"a document":        "---\nversion: 1\nsource: {id: x}\n",
		"JSON":              "{\"version\": 1,\n\"identity\": {\n\"hostname\": \"n17\"}\n}\n",
		"folded":            "version: 1\nx: >-\n  one\n  two\n\n  three\n",
		"quoted over lines": "version: 1\nx: \"one\n  two\"\n",
	} {
		got, err := autoinstallOf(t, text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var whole struct {
			Autoinstall map[string]any `yaml:"autoinstall"`
		}
		var alone map[string]any
		if err := errors.Join(yaml.Unmarshal([]byte(got), &whole), yaml.Unmarshal([]byte(text), &alone)); err != nil {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
		a, errA := yaml.Marshal(whole.Autoinstall)
		b, errB := yaml.Marshal(alone)
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s:\n%s\nis not\n%s", name, a, b)
		}
		if !strings.HasPrefix(got, "#cloud-config\n") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// FuzzUserData: any text is taken or refused.
func FuzzUserData(f *testing.F) {
	for _, s := range []string{"#cloud-config\nautoinstall:\n", "## template: jinja\n", "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\n--x--", "\x1f\x8b", "version: 1\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := autoinstallOf(t, text); err == nil && len(got) == 0 {
			t.Error("nothing left")
		}
	})
}
