package main

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// commandLine runs a command line in this process.
func commandLine(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, words bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &out, &words)
	return code, out.String(), words.String()
}

// isofileFolder is the current directory of a test: an image and files to put into it.
func isofileFolder(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string][]byte{
		"base.iso": fixture(t), "installer.iso": installer(t), "ks.cfg": []byte("text\n"), "pre.cfg": []byte("d-i x y z\n"),
		"dir/one": []byte("1"), "dir/sub/two words": []byte("2"), "dir/[odd]*": []byte("3"), `q"$x\y`: []byte("4"), "-dash": []byte("5"),
	} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("SOURCE_DATE_EPOCH", "1000000000")
	t.Setenv("ISOLAYER_STORE", filepath.Join(t.TempDir(), "store"))
}

// TestIsofilePlaces: every flag of build is an instruction, or refused by its name, or no
// matter of the image. A new flag fails here until that is decided.
func TestIsofilePlaces(t *testing.T) {
	isofileFolder(t)
	says := map[string][2]string{ // a value, and what the Isofile has then
		"add": {"ks.cfg", "COPY ks.cfg /ks.cfg"}, "rm": {"/docs", "REMOVE /docs"}, "mv": {"/docs:/d", "RENAME /docs /d"}, "ln": {"a:/b", "SYMLINK a /b"},
		"mkdir": {"/x", "MKDIR /x"}, "chmod": {"600:/link", "CHMOD 600 /link"}, "chown": {"1:2:/link", "CHOWN 1:2 /link"}, "layer": {"ks.cfg", "LAYER ks.cfg"},
		"karg": {"a=b c", `KARG "a=b c"`}, "karg-keep": {"-quiet", "KARG --keep -quiet"}, "label": {"A B", `VOLID "A B"`},
		"menu-timeout": {"-1", "MENU --timeout=-1"}, "default": {"my entry", `MENU --default="my entry"`}, "add-entry": {"T T:a b", `ENTRY "T T" a b`},
		"kickstart": {"ks.cfg", "KICKSTART ks.cfg"}, "preseed": {"ks.cfg", "PRESEED ks.cfg"}, "autoinstall": {"ks.cfg", "AUTOINSTALL ks.cfg"},
		"autoyast": {"ks.cfg", "AUTOYAST ks.cfg"}, "agama": {"ks.cfg", "AGAMA ks.cfg"}, "ignition": {"ks.cfg", "IGNITION ks.cfg"}, "answer": {"ks.cfg", "ANSWER ks.cfg"},
		"initrd-add": {"ks.cfg:/etc/x", "INITRD ks.cfg /etc/x"},
		"volset":     {"V", "VOLSET V"}, "publisher": {"P", "PUBLISHER P"}, "preparer": {"P", "PREPARER P"}, "app-id": {"", `APPID ""`}, "media-check": {"strip", "MEDIACHECK strip"},
	}
	values := map[string]string{
		"no-boot": "uefi", "resign": "KEY", "uuid": "new", "place": "end", "layout": "compact", "wipe": "false", "preserve": "mode", "session": "1",
		"strategy": "copy", "mastering": "xorriso", "upper": "dir", "workspace-dir": "dir", "unattend": "ks.cfg", "entry-karg": "T: a", "as-entry": "T",
	}
	a := &app{}
	left := maps.Clone(places)
	a.buildCommand().Flags().VisitAll(func(f *pflag.Flag) {
		delete(left, f.Name)
		arg := "--" + f.Name
		if v, ok := values[f.Name]; ok {
			arg += "=" + v
		}
		switch places[f.Name] {
		case 0:
			t.Errorf("--%s: what an Isofile has of it is not decided", f.Name)
		case instructed:
			x, ok := says[f.Name]
			code, out, words := commandLine(t, "build", "base.iso", "--"+f.Name+"="+x[0], "--print-isofile")
			if !ok || code != 0 || out != "FROM base.iso\n"+x[1]+"\n" {
				t.Errorf("--%s: %d, %s%s, want %s", f.Name, code, out, words, x[1])
			}
		case beside, unsaid:
			code, out, words := commandLine(t, "build", "base.iso", arg, "--print-isofile")
			if code != exitUsage || out != "" || !strings.Contains(words, "--"+f.Name) {
				t.Errorf("%s: %d, %s%s, want a refusal", arg, code, out, words)
			}
		}
	})
	delete(left, "limits")
	delete(left, "help")
	for name := range left {
		t.Errorf("--%s is no flag of build", name)
	}
}

// TestIsofileOfCommandLine: the Isofile of a command line makes the same bytes.
func TestIsofileOfCommandLine(t *testing.T) {
	isofileFolder(t)
	anywhere := [][]string{
		{"--add", "ks.cfg"},
		{"--add", "ks.cfg:/x/y"},
		{"--add", "dir"},
		{"--add", "dir:/into/"},
		{"--add", "./dir/.:/merged"},
		{"--add", `q"$x\y`},
		{"--add", "-dash:/new dir/"},
		{"--mkdir", "/made", "--add", "ks.cfg:/made"},
		{"--mkdir", "/m2", "--mv", "/m2:/m3", "--add", "ks.cfg:/m3"},
		{"--ln", "ks.cfg:/a link"},
		{"--add", "dir/[odd]*"},
		{"--publisher", `A "quoted" $x \`},
		{"--app-id", ""},
		{"--volset", "x y"},
		{"--media-check", "implant"},
		{"--label", "NEW LABEL"},
	}
	own := map[string][][]string{
		"base.iso": {
			{"--rm", "/packages/*debug*"}, {"--mv", "/docs:/papers"}, {"--chmod", "600:/config.cfg"}, {"--chown", "1:2:/config.cfg"}, {"--rm", "link"}, {"--add", "ks.cfg:/packages"},
		},
		"installer.iso": {
			{"--karg", "console=ttyS0", "--karg", "-vga", "--karg-keep", "+a=b"},
			{"--menu-timeout", "7"},
			{"--add-entry", "Rescue me:rescue"},
			{"--initrd-add", "dir:/etc/dir"},
			{"--preseed", "pre.cfg"},
			{"--default", "install"},
			{"--karg", `x="a b"`},
		},
	}
	random := rand.New(rand.NewPCG(16, 2))
	compared := 0
	for n := range 16 {
		image := []string{"base.iso", "installer.iso"}[n%2]
		choice := slices.Concat(anywhere, own[image])
		random.Shuffle(len(choice), func(i, j int) { choice[i], choice[j] = choice[j], choice[i] })
		args := []string{"build", image}
		for _, more := range choice[:1+random.IntN(4)] {
			args = append(args, more...)
		}
		want := fmt.Sprintf("want-%d.iso", n)
		if code, _, words := commandLine(t, append(args, "-o", want)...); code != 0 {
			if code, out, _ := commandLine(t, append(args, "--print-isofile")...); code == 0 && os.WriteFile("Isofile", []byte(out), 0o644) == nil {
				if code, _, _ := commandLine(t, "build", "-f", "Isofile", "-o", "x.iso"); code == 0 {
					t.Errorf("%q is refused (%s), its Isofile is not", args, words)
				}
			}
			continue
		}
		sameIsofile(t, args, want)
		compared++
	}
	if compared < 12 {
		t.Errorf("only %d command lines were compared", compared)
	}
}

func sameIsofile(t *testing.T, args []string, want string) {
	t.Helper()
	code, isofile, words := commandLine(t, append(args, "--print-isofile")...)
	if code != 0 {
		t.Errorf("%q: %s", args, words)
		return
	}
	if err := os.WriteFile("Isofile", []byte(isofile), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, words := commandLine(t, "build", "-f", "Isofile", "-o", "have.iso"); code != 0 {
		t.Errorf("%q: its Isofile\n%s%s", args, isofile, words)
		return
	}
	a, err := os.ReadFile(want)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("have.iso")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		_, differ, _ := commandLine(t, "diff", want, "have.iso")
		t.Errorf("%q: its Isofile makes another image:\n%s%s", args, isofile, differ)
	}
}
