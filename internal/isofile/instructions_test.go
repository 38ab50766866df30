package isofile_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isofile"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/isotest/readback"
	"github.com/isolayer/isolayer/internal/recipe"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/store"
	"github.com/isolayer/isolayer/internal/tree"
	"github.com/isolayer/isolayer/sink"
)

// kit is a context with files, and what builds there.
type kit struct {
	t *testing.T
	*isofile.Builder
	steps []isofile.Progress // that were done in the last build
}

func newKit(t *testing.T, files map[string]string) *kit {
	t.Helper()
	s, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_700_000_000, 0).UTC()
	k := &kit{t: t, Builder: &isofile.Builder{Store: s, Context: t.TempDir(), Options: stage.Options{Epoch: &at}}}
	k.Say = func(p isofile.Progress) {
		if p.Done {
			k.steps = append(k.steps, p)
		}
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	for name, text := range files {
		k.write(name, text)
	}
	return k
}

// write writes a file of the context; one that begins with #! can be run.
func (k *kit) write(name, text string) {
	k.t.Helper()
	p, mode := filepath.Join(k.Context, name), fs.FileMode(0o640)
	if strings.HasPrefix(text, "#!") {
		mode = 0o700
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), mode)); err != nil {
		k.t.Fatal(err)
	}
}

// build builds an Isofile and lists what is in its image.
func (k *kit) build(text string, values map[string]string) (isotest.Manifest, error) {
	k.t.Helper()
	k.steps = nil
	r, err := recipe.Parse(filepath.Join(k.Context, "Isofile"), []byte(text))
	if err != nil {
		return nil, err
	}
	res, err := k.Build(k.t.Context(), r, values)
	if err != nil {
		return nil, err
	}
	out := filepath.Join(k.t.TempDir(), "out.iso")
	_, err = res.WriteFile(k.t.Context(), out, sink.Options{})
	if err = errors.Join(err, res.Close()); err != nil {
		k.t.Fatal(err)
	}
	return readback.Manifest(k.t, out), nil
}

// listed is a manifest as lines.
func listed(m isotest.Manifest) (lines []string) {
	for p, e := range m {
		line := fmt.Sprintf("%s %c%o", p, e.Type, e.Perm)
		if e.UID+e.GID > 0 {
			line += fmt.Sprintf(" %d:%d", e.UID, e.GID)
		}
		if e.Link != "" {
			line += " -> " + e.Link
		}
		if e.Type == 'f' {
			line += fmt.Sprintf(" %d", e.Size)
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// tarOf is an archive of one file in a directory, and a link.
func tarOf(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := errors.Join(
		w.WriteHeader(&tar.Header{Name: "t/", Typeflag: tar.TypeDir, Mode: 0o750}),
		w.WriteHeader(&tar.Header{Name: "t/f", Typeflag: tar.TypeReg, Mode: 0o640, Uid: 7, Size: 3}),
	)
	if err == nil {
		_, err = w.Write([]byte("abc"))
	}
	if err = errors.Join(err, w.WriteHeader(&tar.Header{Name: "t/l", Typeflag: tar.TypeSymlink, Linkname: "f", Mode: 0o777}), w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var files = map[string]string{
	"all/x": "x", "left.log/x": "x",
	"ks.cfg": "text\n", "run.sh": "#!/bin/sh\n", "dir/one": "1", "dir/sub/two": "22", "dir/skip.log": "x", "tmpl": "host {{name}}\n",
	".isoignore": "# comment\n**/*.log\nall\nleft.tar\n!dir/keep.log\n", "dir/keep.log": "kept",
}

// TestInstructions: what each instruction leaves in an image that was empty.
func TestInstructions(t *testing.T) {
	k := newKit(t, files)
	k.write("a.tar", tarOf(t))
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"file", "COPY ks.cfg /", []string{"ks.cfg f644 5"}},
		{"program", "COPY run.sh /bin/r", []string{"bin d755", "bin/r f755 10"}},
		{"directory", "COPY dir /d", []string{"d d755", "d/keep.log f644 4", "d/one f644 1", "d/sub d755", "d/sub/two f644 2"}},
		{"mode and owner", "COPY --chmod=0600 --chown=3:4 ks.cfg /", []string{"ks.cfg f600 3:4 5"}},
		{"several", "COPY ks.cfg run.sh /in/", []string{"in d755", "in/ks.cfg f644 5", "in/run.sh f755 10"}},
		{"pattern", "COPY *.cfg /", []string{"ks.cfg f644 5"}},
		{"document", "COPY <<EOF /doc\nof $ARG0\nEOF", []string{"doc f644 4"}},
		{"template", "COPY --template tmpl /host", []string{"host f644 10"}},
		{"template in a document", "COPY --template <<EOF /host\n{{name}}\nEOF", []string{"host f644 5"}},
		{"archive", "ADD a.tar /d", []string{"d d755", "d/t d750", "d/t/f f640 7:0 3", "d/t/l l777 -> f"}},
		{"archive, mode and owner", "ADD --chmod=0711 --chown=1:2 a.tar /", []string{"t d711 1:2", "t/f f711 1:2 3", "t/l l777 1:2 -> f"}},
		{"archive as it is", "COPY a.tar /", []string{"a.tar f644 3072"}},
		{"variables", "ARG A=x\nENV B=$A-y\nMKDIR /$B", []string{"x-y d755"}},
		{"tree", "COPY dir/sub /s\nRENAME /s /t\nSYMLINK t/two /l\nCHMOD 0400 /t/two\nCHOWN 1:2 /t/two\nREMOVE /nothing*", nil},
		{"attributes", "COPY dir/sub /s\nRENAME /s /t\nSYMLINK t/two /l\nCHMOD 0400 /t/two\nCHOWN 1:2 /t/two", []string{"l l777 -> t/two", "t d755", "t/two f400 1:2 2"}},
	} {
		m, err := k.build("FROM scratch\n"+c.text+"\n", map[string]string{"name": "node"})
		if c.want == nil {
			if !errors.Is(err, stage.ErrNoMatch) || !strings.Contains(err.Error(), "Isofile:7") {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if d := cmp.Diff(c.want, listed(m)); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
}

// TestStages: a stage that nothing needs is not built; what comes from others has their
// attributes unless flags say others; stages that begin with the same one do not meet.
func TestStages(t *testing.T) {
	k := newKit(t, files)
	const common = "FROM scratch AS a\nMKDIR /1\nMKDIR /2\nCOPY --chmod=0711 ks.cfg /x/k\nFROM scratch AS never\nRUN false\nFROM a AS b\nMKDIR /b\nFROM a AS c\nMKDIR /c\n"
	m, err := k.build(common+"FROM scratch\nCOPY --from=a /x /y\nCOPY --from=a --chmod=0600 --chown=1:2 /x/k /z\nCOPY --from=b / /fb\nCOPY --from=c / /fc\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"fb d755", "fb/1 d755", "fb/2 d755", "fb/b d755", "fb/x d755", "fb/x/k f711 5",
		"fc d755", "fc/1 d755", "fc/2 d755", "fc/c d755", "fc/x d755", "fc/x/k f711 5",
		"y d755", "y/k f711 5", "z f600 1:2 5",
	}
	if d := cmp.Diff(want, listed(m)); d != "" {
		t.Error(d)
	}
}

// TestRunTimes: what a command makes has the epoch, whenever it ran.
func TestRunTimes(t *testing.T) {
	k := newKit(t, nil)
	k.Run = func(_ context.Context, c isofile.RunCommand) ([]tree.Edit, func() error, error) {
		if want := []string{"/bin/sh", "-e", "-c", "make it"}; !slices.Equal(c.Args, want) || !slices.Equal(c.Env, []string{"A=1"}) || c.Network {
			t.Errorf("ran %+v", c)
		}
		a := tree.Attr{Mode: iso9660.ModeRegular | 0o600, ModTime: time.Now()}
		return []tree.Edit{tree.Put{Path: "/made", Attr: a, Source: extent.Memory("made", []byte("x"))}}, nil, nil
	}
	m, err := k.build("FROM scratch\nENV A=1\nRUN make it\n", nil)
	if err != nil || m["made"].MTime != k.Options.Epoch.Unix() || m["made"].Perm != 0o600 {
		t.Errorf("made: %+v, %v", m["made"], err)
	}
}

// TestPinned: a base of another digest than FROM pins is refused.
func TestPinned(t *testing.T) {
	k := newKit(t, nil)
	if _, err := k.build("FROM scratch\n", nil); err != nil {
		t.Fatal(err)
	}
	img, err := build.Sample(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	base := filepath.Join(k.Context, "base.iso")
	if _, err := img.WriteFile(t.Context(), base, sink.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.build("FROM base.iso@sha256:"+isotest.SHA256File(t, base)+"\n", nil); err != nil {
		t.Errorf("its own digest: %v", err)
	}
	if _, err := k.build("FROM base.iso@sha256:"+strings.Repeat("0", 64)+"\n", nil); !errors.Is(err, isofile.ErrBaseDigest) {
		t.Errorf("another digest: %v", err)
	}
}

// TestRefused: errors name the line, and what is wrong.
func TestRefused(t *testing.T) {
	k := newKit(t, files)
	k.write("a.tar", tarOf(t))
	k.write("left.tar", tarOf(t))
	for text, want := range map[string]error{
		"COPY all /":                     nil, // .isoignore names it
		"ADD left.tar /":                 nil, // … likewise
		"COPY left.* /":                  nil, // … likewise
		"COPY --template --from=x /a /b": recipe.ErrSyntax,
		"ADD --template a.tar /":         recipe.ErrSyntax,
		"ADD --template --checksum=sha256:" + strings.Repeat("0", 64) + " https://e.org/x /": recipe.ErrSyntax,
		"ADD --checksum=sha256:" + strings.Repeat("0", 64) + " ks.cfg /":                     recipe.ErrSyntax,
		"ADD --checksum=sha256:" + strings.Repeat("0", 64) + " <<EOF /x\nEOF":                recipe.ErrSyntax,
		"COPY ../x /":                                isofile.ErrOutside,
		"COPY nothing /":                             fs.ErrNotExist,
		"COPY dir/skip.log /":                        nil,
		"COPY ks.cfg run.sh /into":                   recipe.ErrSyntax,
		"COPY --chmod=u+w ks.cfg /":                  recipe.ErrSyntax,
		"COPY --template ks.cfg tmpl /":              nil, // several without a slash is said first
		"COPY --template tmpl /x":                    nil, // no value
		"RUN true":                                   errors.ErrUnsupported,
		"ADD https://example.com/x /":                recipe.ErrSyntax,
		"CHMOD 9 /x":                                 recipe.ErrSyntax,
		"CHOWN root /x":                              recipe.ErrSyntax,
		"MEDIACHECK maybe":                           recipe.ErrSyntax,
		"VOLID a b":                                  recipe.ErrSyntax,
		"MENU --timeout=soon":                        recipe.ErrSyntax,
		"COPY --from=nobody /x /":                    fs.ErrNotExist,
		"COPY ks.cfg \"\"":                           recipe.ErrSyntax,
		"LAYER ks.cfg":                               nil,
		"ADD --checksum=sha256:00 https://e.org/x /": nil,
	} {
		_, err := k.build("FROM scratch\n"+text+"\n", nil)
		if err == nil || want != nil && !errors.Is(err, want) || !strings.Contains(err.Error(), "Isofile:2") {
			t.Errorf("%s: %v, want %v in line 2", text, err, want)
		}
	}
}

// TestCached: an instruction is carried out again where its inputs changed, with all behind
// it, and the image is the same as with nothing kept.
func TestCached(t *testing.T) {
	const text = "FROM scratch\nMKDIR /first\nCOPY dir /d\nMKDIR /last\n"
	k := newKit(t, files)
	cached := func() string {
		var s strings.Builder
		for _, p := range k.steps {
			s.WriteByte(map[bool]byte{true: 'c', false: '-'}[p.Cached])
		}
		return s.String()
	}
	for _, c := range []struct {
		what, name, content, want string
	}{
		{"new", "", "", "----"},
		{"nothing changed", "", "", "-ccc"},
		{"a file that is left out", "dir/skip.log", "other", "-ccc"},
		{"a file beside", "ks.cfg", "other", "-ccc"},
		{"content", "dir/one", "2", "-c--"},
		{"content as it was", "dir/one", "1", "-ccc"},
		{"one more", "dir/three", "3", "-c--"},
	} {
		if c.name != "" {
			k.write(c.name, c.content)
			later := time.Now().Add(time.Duration(len(c.what)) * time.Second) // digests of files are kept by their times
			if err := os.Chtimes(filepath.Join(k.Context, c.name), later, later); err != nil {
				t.Fatal(err)
			}
		}
		m, err := k.build(text, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := cached(); got != c.want {
			t.Errorf("%s: cached %s, want %s", c.what, got, c.want)
		}
		k.NoCache = true
		again, err := k.build(text, nil)
		k.NoCache = false
		if err != nil || m.Diff(again) != "" || cached() != "----" {
			t.Errorf("%s: with nothing kept: %s %s %v", c.what, cached(), m.Diff(again), err)
		}
	}
}

// TestCachedWords: instructions of other words are others.
func TestCachedWords(t *testing.T) {
	k := newKit(t, nil)
	for _, dir := range []string{"a", "b"} {
		m, err := k.build("FROM scratch\nMKDIR /"+dir+"\n", nil)
		if err != nil || !slices.Equal(listed(m), []string{dir + " d755"}) {
			t.Errorf("%s: %v, %v", dir, listed(m), err)
		}
	}
}
