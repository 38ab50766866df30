package loadertest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// filled returns the medium with stand-ins in place of its empty files: initrds where the
// name says so, kernels else. Each has its path as its name.
func (m Medium) filled() Medium {
	files := map[string][]byte{}
	for name, b := range m.Files {
		if len(b) == 0 {
			b = standIn(name)
		}
		files[name] = b
	}
	m.Files = files
	return m
}

func standIn(name string) []byte {
	base := strings.ToLower(path.Base(name))
	switch {
	case strings.HasPrefix(base, "initr"), strings.HasSuffix(base, ".img"), strings.HasSuffix(base, ".gz"):
		return Initrd(name)
	case strings.HasSuffix(base, ".bin"), strings.HasSuffix(base, ".bs"):
		return Sector(name)
	}
	return Kernel(name)
}

// Format writes a medium of texts and stand-ins, with what a loader did with it, as an archive
// to read and to keep.
func Format(m Medium, out *Outcome) []byte {
	a := txtar.Archive{Comment: fmt.Appendf(nil, "loader: %s\nlabel: %s\ndir: %s\n", m.Loader, m.Label, m.Dir)}
	if out != nil {
		a.Comment = fmt.Appendf(a.Comment, "started: %v\nkernel: %s\ncommand: %s\ninitrd: %s\n", out.Started, out.Kernel, out.Command, strings.Join(out.Initrd, " "))
	}
	for _, name := range slices.Sorted(maps.Keys(m.Files)) {
		a.Files = append(a.Files, txtar.File{Name: name, Data: m.Files[name]})
	}
	return txtar.Format(&a)
}

// Parse reads what [Format] wrote.
func Parse(b []byte) (m Medium, out Outcome) {
	a := txtar.Parse(b)
	m.Files = map[string][]byte{}
	for l := range strings.Lines(string(a.Comment)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(l, "\n"), ": ")
		switch key {
		case "loader":
			m.Loader = Loader(value)
		case "label":
			m.Label = value
		case "dir":
			m.Dir = value
		case "started":
			out.Started = value == "true"
		case "kernel":
			out.Kernel = value
		case "command":
			out.Command = value
		case "initrd":
			out.Initrd = strings.Fields(value)
		}
	}
	for _, f := range a.Files {
		m.Files[f.Name] = f.Data
	}
	return m, out
}

// Random returns a medium with a configuration that real ones could be made of. The same
// numbers give the same medium.
func Random(l Loader, r *rand.Rand) Medium {
	g := &generator{r: r, files: map[string][]byte{}}
	m := Medium{Loader: l, Label: pick(r, "MEDIUM", "Install_CD", "a label", "ISO-1.0"), Patience: 15 * time.Second}
	switch l {
	case ISOLINUX:
		m.Dir = pick(r, "isolinux", "boot/isolinux", "isolinux")
		g.syslinux(m.dir())
	case GRUB, GRUBEFI:
		g.grub(l, m.Label)
	case GRUBLegacy:
		g.legacy()
	case SystemBoot:
		g.systemd()
	case REFInd:
		g.refind()
	}
	m.Files = g.files
	return m
}

// generator makes one configuration.
type generator struct {
	r     *rand.Rand
	files map[string][]byte
	n     int // of names given out
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// one reports true once in n times.
func (g *generator) one(n int) bool { return g.r.IntN(n) == 0 }

// word is an argument that nothing else has.
func (g *generator) word() string {
	g.n++
	return fmt.Sprintf(pick(g.r, "a%d", "opt.x%d=1", "root=live:CDLABEL=v%d", "key%d=a,b", "q%d", "-%d", "url%d=http://h/p?x=1"), g.n)
}

func (g *generator) words(n int) string {
	var out []string
	for range n {
		out = append(out, g.word())
	}
	return strings.Join(out, " ")
}

// kernel adds a kernel and returns its path from the root of the volume.
func (g *generator) kernel() string {
	name := pick(g.r, "live/vmlinuz", "casper/vmlinuz", "images/linux", "boot/x86_64/linux26", "install.amd/vmlinuz") + fmt.Sprint(g.r.IntN(3))
	g.files[name] = nil
	return "/" + name
}

func (g *generator) initrd() string {
	name := pick(g.r, "live/initrd%d", "casper/initrd%d.lz", "images/initrd%d.img")
	name = fmt.Sprintf(name, g.r.IntN(3))
	g.files[name] = nil
	return "/" + name
}
