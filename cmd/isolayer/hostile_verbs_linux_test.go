package main

import (
	"archive/tar"
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/isolayer/isolayer/internal/erofs"
	"github.com/isolayer/isolayer/internal/isotest/hostile"
)

// verb is a command that takes an image, as the matrix of hostile images runs it.
type verb struct {
	name string
	args func(c *matrixCase) []string
	// refuses reports whether the command has to refuse what is refused at a stage.
	refuses func(hostile.Stage) bool
	// fine are the exit codes of a run that did not refuse.
	fine []int
	more
}

// more is what only few verbs have.
type more struct {
	reads bool // by its nature it reads all bytes
	each  int  // outside of a soak it runs with every so many-th row, unless 0
	root  bool // it needs root
	// cannot is in errors about images, sound ones too, that the command cannot do with.
	cannot string
	run    func(c *matrixCase, v verb, do command) ended
}

// How many rows pass by verbs: those that start processes, and those that read images as
// other verbs do.
const (
	rarely = 16
	often  = 4
)

// command runs a command line.
type command func(*testing.T, []string) ended

// opens are the stages at which whoever needs the trees refuses.
func opens(s hostile.Stage) bool { return s == hostile.Open || s == hostile.Joliet }

func needsContent(s hostile.Stage) bool { return opens(s) || s == hostile.Content }

func unpacks(s hostile.Stage) bool {
	return needsContent(s) || s == hostile.Unpack || s == hostile.Extract
}

func edits(s hostile.Stage) bool { return needsContent(s) || s == hostile.Edit }

func unpacksAndEdits(s hostile.Stage) bool { return unpacks(s) || edits(s) }

func never(hostile.Stage) bool { return false }

var (
	ok     = []int{exitOK}
	failed = []int{exitFailed} // the twin lacks what the command wants, and is read to find that out
)

// verbs are all commands that take an image; a new one needs a line here.
var verbs = []verb{
	{"info", func(c *matrixCase) []string { return []string{"info", "--json", c.image} }, opens, ok, more{}},
	{"menu", func(c *matrixCase) []string { return []string{"menu", "--json", c.image} }, opens, ok, more{}},
	{"ls", func(c *matrixCase) []string { return []string{"ls", "-R", "--json", c.image} }, opens, ok, more{}},
	{"cat", func(c *matrixCase) []string { return []string{"cat", "--json", c.image, c.file()} }, unpacks, ok, more{}},
	{"extract", func(c *matrixCase) []string { return []string{"extract", "--json", c.image, "-C", c.path("out")} }, unpacks, ok, more{}},
	{"extract --devices", func(c *matrixCase) []string {
		return []string{"extract", "--json", "--devices", "--preserve", "mode,owner", c.image, "-C", c.path("out")}
	}, unpacks, ok, more{each: often, root: true}},
	{"extract --boot", func(c *matrixCase) []string {
		return []string{"extract", "--json", "--boot", c.image, "-C", c.path("boot")}
	}, opens, ok, more{}},
	{"verify", func(c *matrixCase) []string { return []string{"verify", "--json", c.image} }, needsContent, []int{0, 3}, more{}},
	{"verify --base", func(c *matrixCase) []string { return []string{"verify", "--json", c.twin, "--base", c.image} }, opens, []int{0, 3}, more{each: often}},
	{"diff", func(c *matrixCase) []string { return []string{"diff", "--json", c.twin, c.image} }, opens, []int{0, 1}, more{}},
	{"diff --text", func(c *matrixCase) []string { return []string{"diff", "--json", "--text", c.image, c.twin} }, opens, []int{0, 1}, more{each: often}},
	{"build", func(c *matrixCase) []string {
		return []string{"build", "--json", c.image, "--add", c.twin + ":/new/file", "-o", c.path("out.iso")}
	}, edits, ok, more{}},
	{"build --label", func(c *matrixCase) []string {
		return []string{"build", "--json", c.image, "--label", "NEW", "-o", c.path("out.iso")}
	}, edits, ok, more{each: often}},
	{"build --layout", func(c *matrixCase) []string {
		return []string{"build", "--json", c.image, "--layout", "compact", "-o", c.path("out.iso")}
	}, edits, ok, more{each: often}},
	{"build --layer", func(c *matrixCase) []string {
		return []string{"build", "--json", c.image, "--layer", c.layer(), "-o", c.path("out.iso")}
	}, edits, ok, more{each: often}},
	{"build --karg", func(c *matrixCase) []string {
		return []string{"build", "--json", c.image, "--karg", "quiet", "-o", c.path("out.iso")}
	}, opens, failed, more{each: often}},
	{"build --kickstart", func(c *matrixCase) []string {
		return []string{"build", "--json", c.image, "--kickstart", c.text("ks.cfg"), "-o", c.path("out.iso")}
	}, opens, failed, more{each: often}},
	{"build --initrd-add", func(c *matrixCase) []string {
		return []string{"build", "--json", c.image, "--initrd-add", c.text("x"), "-o", c.path("out.iso")}
	}, opens, failed, more{each: often}},
	{"build --in-place", func(c *matrixCase) []string {
		return []string{"build", "--json", c.copy(), "--mkdir", "/new", "--in-place", "--no-undo"}
	}, edits, ok, more{}},
	{"build -f", func(c *matrixCase) []string {
		return []string{"build", "--json", "-f", c.isofile(), "--store", c.path("store"), "-o", c.path("out.iso")}
	}, edits, ok, more{each: often, reads: true}},
	{"layer create", func(c *matrixCase) []string {
		return []string{"layer", "create", "--json", c.twin, c.image, "-o", c.path("layer.tar")}
	}, unpacks, ok, more{}},
	{"layer apply", func(c *matrixCase) []string {
		return []string{"layer", "apply", "--json", c.image, c.layer(), "-o", c.path("out.iso")}
	}, edits, ok, more{each: often}},
	{"master --boot-from", func(c *matrixCase) []string {
		return []string{"master", "-r", "-J", "--json", "--boot-from", c.image, "-o", c.path("out.iso"), c.text("x")}
	}, opens, []int{0, 1}, more{each: often}},
	{"edit", func(c *matrixCase) []string {
		return []string{"edit", "--json", "--workspace-dir", c.dir, "--strategy", "copy", "-o", c.path("out.iso"), c.image, "--", "touch", "new"}
	}, unpacksAndEdits, ok, more{each: rarely, cannot: "file name too long"}},
	{"edit, overlay", func(c *matrixCase) []string {
		return []string{"edit", "--json", "--workspace-dir", c.dir, "--strategy", "overlay", "-o", c.path("out.iso"), c.image, "--", "touch", "new"}
	}, edits, ok, more{each: rarely, root: true}},
	{"edit true", func(c *matrixCase) []string {
		return []string{"edit", "--json", "--workspace-dir", c.dir, "--strategy", "overlay", c.image, "--", "true"}
	}, opens, ok, more{each: rarely, root: true}},
	{"mount, FUSE", func(c *matrixCase) []string {
		return []string{"mount", "--json", "--workspace-dir", c.dir, "--view", "fuse", c.image, c.path("mnt")}
	}, opens, ok, more{each: rarely, root: true, run: mounted}},
	{"mount, EROFS", func(c *matrixCase) []string {
		return []string{"mount", "--json", "--workspace-dir", c.dir, "--view", "erofs", c.image, c.path("mnt")}
	}, opens, ok, more{each: rarely, root: true, run: mounted, cannot: erofs.ErrUnsupported.Error()}},
	{"mount --rw", func(c *matrixCase) []string {
		return []string{"mount", "--json", "--workspace-dir", c.dir, "--rw", c.path("upper"), c.image, c.path("mnt")}
	}, opens, ok, more{each: rarely, root: true, run: mounted}},
	{"md5 check", func(c *matrixCase) []string { return []string{"md5", "check", "--json", c.image} }, never, []int{3}, more{}},
	{"md5 show", func(c *matrixCase) []string { return []string{"md5", "show", "--json", c.image} }, never, []int{3}, more{each: often}},
	{"md5 implant", func(c *matrixCase) []string { return []string{"md5", "implant", "--json", c.copy()} }, never, []int{0, 1}, more{reads: true}},
}

// write makes a file for the command.
func (c *matrixCase) write(name string, b []byte) string {
	if err := os.WriteFile(c.path(name), b, 0o644); err != nil {
		c.t.Fatal(err)
	}
	return c.path(name)
}

func (c *matrixCase) text(name string) string { return c.write(name, []byte("text\n")) }

// layer makes a layer of one file.
func (c *matrixCase) layer() string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "new", Mode: 0o644, Size: 5, Typeflag: tar.TypeReg}); err != nil {
		c.t.Fatal(err)
	}
	if _, err := w.Write([]byte("text\n")); err != nil {
		c.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		c.t.Fatal(err)
	}
	return c.write("given.tar", b.Bytes())
}

// isofile makes an Isofile that changes the image.
func (c *matrixCase) isofile() string {
	if err := os.Symlink(c.image, c.path("base.iso")); err != nil {
		c.t.Fatal(err)
	}
	return c.write("Isofile", []byte("FROM base.iso\nMKDIR /new\nCOPY <<END /new/file\ntext\nEND\n"))
}

// start runs the command.
func (v verb) start(c *matrixCase, do command) ended {
	if v.run != nil {
		return v.run(c, v, do)
	}
	return do(c.t, v.args(c))
}

// TestVerbs: no command that takes an image is missing in the matrix.
func TestVerbs(t *testing.T) {
	elsewhere := map[string]string{
		"boot": "hands the image to QEMU without reading it",
	}
	takes := regexp.MustCompile(`\b(IMAGE|BASE|A B|-boot-from)\b`)
	var look func(c *cobra.Command, name string)
	look = func(c *cobra.Command, name string) {
		for _, sub := range c.Commands() {
			look(sub, strings.TrimSpace(name+" "+sub.Name()))
		}
		if !takes.MatchString(c.Use) && !c.DisableFlagParsing || elsewhere[name] != "" {
			return
		}
		if !slices.ContainsFunc(verbs, func(v verb) bool { return strings.HasPrefix(v.name+" ", name+" ") }) {
			t.Errorf("%s takes an image and is not in the matrix", name)
		}
	}
	look((&app{}).root(), "")
}
