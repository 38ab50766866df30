package loadertest

import (
	"fmt"
	"path"
	"strings"
)

// sysgen makes a configuration of SYSLINUX out of files that include one another.
type sysgen struct {
	*generator
	dir     string
	labels  []string
	written []string // written so far
	depth   int
}

func (g *generator) syslinux(dir string) {
	s := &sysgen{generator: g, dir: dir}
	n := 1 + g.r.IntN(5)
	for i := range n {
		s.labels = append(s.labels, pick(g.r, "linux", "install", "live", "Text", "rescue", "memtest", "local")+pick(g.r, "", "", fmt.Sprint(i), "-gui"))
	}
	name := path.Join(dir, "isolinux.cfg")
	s.written = append(s.written, "isolinux.cfg")
	var b strings.Builder
	s.head(&b)
	s.body(&b, s.labels)
	if g.one(3) {
		s.head(&b)
	}
	text := b.String()
	if g.one(8) {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	g.files[name] = []byte(text)
}

// key writes a keyword as people do.
func (s *sysgen) key(k string) string {
	switch s.r.IntN(4) {
	case 0:
		return strings.ToUpper(k)
	case 1:
		return strings.ToUpper(k[:1]) + k[1:]
	}
	return k
}

func (s *sysgen) line(b *strings.Builder, key, rest string) {
	indent := pick(s.r, "", "", "  ", "\t")
	sep := pick(s.r, " ", " ", "  ", "\t")
	tail := ""
	if s.one(40) { // which counts
		tail = " "
	}
	b.WriteString(indent + s.key(key) + sep + rest + tail + "\n")
}

// head writes what stands outside of labels.
func (s *sysgen) head(b *strings.Builder) {
	menu := pick(s.r, "menu.c32", "vesamenu.c32", "menu.c32")
	if s.one(4) {
		b.WriteString("# a comment\n\n")
	}
	if s.one(2) {
		s.line(b, pick(s.r, "ui", "default", "ui"), menu)
	}
	if s.one(2) {
		s.line(b, "default", s.command())
	}
	if s.one(3) {
		s.line(b, "prompt", pick(s.r, "0", "1", "0"))
	}
	if !s.one(5) {
		s.line(b, "timeout", pick(s.r, "0", "10", "20", "50", "1"))
	}
	if s.one(12) {
		s.line(b, "totaltimeout", pick(s.r, "10", "30"))
	}
	if s.one(6) {
		s.line(b, "ontimeout", s.command())
	}
	if s.one(12) {
		s.line(b, "onerror", s.command())
	}
	if s.one(8) {
		s.line(b, "append", s.words(1))
	}
	if s.one(4) {
		s.line(b, "menu title", "A title")
	}
	if s.one(20) {
		s.line(b, pick(s.r, "menu hidden", "menu shiftkey", "allowoptions 0", "implicit 0", "noescape 1", "nohalt 1", "menu autoboot in #", "menu background x.png", "serial 0 115200", "menu master passwd x"), "")
	}
	if s.one(8) {
		s.files["f1.txt"] = []byte("Press F1\n")
		s.line(b, "f1", "f1.txt")
		s.line(b, "display", "f1.txt")
	}
}

// command is a command line: a label, a file, with arguments or without.
func (s *sysgen) command() string {
	c := pick(s.r, s.labels...)
	switch s.r.IntN(12) {
	case 0:
		c = s.kernel()
	case 1:
		c = "nolabel"
	case 2:
		c = strings.ToUpper(c)
	case 3:
		c = "menu.c32"
	}
	if s.one(4) {
		c += " " + s.words(1+s.r.IntN(2))
	}
	return c
}

// body writes labels, some of them in submenus and included files.
func (s *sysgen) body(b *strings.Builder, labels []string) {
	s.depth++
	defer func() { s.depth-- }()
	for len(labels) > 0 {
		switch {
		case s.depth < 3 && s.one(7):
			n := 1 + s.r.IntN(len(labels))
			s.submenu(b, labels[:n])
			labels = labels[n:]
			continue
		case s.depth < 4 && s.one(5):
			n := 1 + s.r.IntN(len(labels))
			s.include(b, labels[:n])
			labels = labels[n:]
			continue
		case s.one(12):
			s.line(b, "menu separator", "")
		}
		s.label(b, labels[0])
		labels = labels[1:]
	}
}

func (s *sysgen) submenu(b *strings.Builder, labels []string) {
	s.line(b, "menu begin", pick(s.r, "", "sub", "more"))
	if s.one(2) {
		s.line(b, "menu title", "Submenu")
	}
	if s.one(4) {
		s.line(b, "menu default", "")
	}
	if s.one(6) {
		s.line(b, "menu start", "")
	}
	if s.one(5) {
		s.line(b, "timeout", pick(s.r, "10", "20"))
	}
	s.body(b, labels)
	if s.one(2) {
		s.line(b, "label", "back")
		s.line(b, pick(s.r, "menu exit", "menu quit", "menu goto .top"), "")
		if s.one(3) {
			s.line(b, "menu default", "")
		}
	}
	s.line(b, "menu end", "")
}

func (s *sysgen) include(b *strings.Builder, labels []string) {
	s.n++
	name := fmt.Sprintf(pick(s.r, "txt%d.cfg", "menu%d.cfg", "adtxt%d.cfg"), s.n)
	var in strings.Builder
	if s.one(3) {
		s.head(&in)
	}
	s.body(&in, labels)
	if s.one(40) { // round and round
		s.line(&in, "include", pick(s.r, s.written...))
	}
	s.written = append(s.written, name)
	s.files[path.Join(s.dir, name)] = []byte(in.String())
	ref := pick(s.r, name, "/"+path.Join(s.dir, name), name)
	s.line(b, pick(s.r, "include", "include", "menu include"), ref+pick(s.r, "", "", "", " Sub menu"))
	if s.one(12) {
		s.line(b, "include", "missing.cfg")
	}
}

func (s *sysgen) label(b *strings.Builder, label string) {
	s.line(b, "label", label)
	if s.one(2) {
		s.line(b, "menu label", "^"+strings.ToUpper(label)+" entry")
	}
	if s.one(5) {
		s.line(b, "menu default", "")
	}
	if s.one(15) {
		s.line(b, pick(s.r, "menu hide", "menu disable", "menu indent 1", "menu passwd x"), "")
	}
	if s.one(6) {
		b.WriteString("text help\n default nothing\n label none\nendtext\n")
	}
	s.what(b)
	if s.one(20) {
		s.line(b, pick(s.r, "menu default", "timeout 20", "ontimeout "+label, "default "+label, "say hello"), "")
	}
	b.WriteString(pick(s.r, "", "\n"))
}

// what writes what a label starts.
func (s *sysgen) what(b *strings.Builder) {
	k := s.kernel()
	switch s.r.IntN(14) {
	case 0:
		s.line(b, "localboot", pick(s.r, "-1", "0xffff"))
		return
	case 1:
		s.line(b, "com32", "chain.c32")
		s.line(b, "append", "hd0")
		return
	case 2:
		s.config(b)
		return
	case 3:
		s.line(b, "kernel", "/gone")
		return
	case 4:
		s.line(b, "com32", "linux.c32")
		s.line(b, "append", k+" "+s.words(2))
		return
	case 5: // beside the loader
		k = "vmlinuz" + fmt.Sprint(s.r.IntN(2))
		s.files[path.Join(s.dir, k)] = nil
	case 6:
		k += " " + s.words(1) // arguments behind the kernel
	}
	s.line(b, pick(s.r, "kernel", "linux", "kernel", "kernel"), k)
	switch s.r.IntN(6) {
	case 0:
	case 1:
		s.line(b, "append", "-")
	case 2:
		s.line(b, "append", s.words(1))
		s.line(b, "initrd", s.initrd()+pick(s.r, "", ","+s.initrd()))
	default:
		s.line(b, "append", pick(s.r, "", "initrd="+s.initrd()+" ")+s.words(1+s.r.IntN(3))+pick(s.r, "", " quiet", " --- quiet", "  two  blanks", ` a="b c"`))
	}
	if s.one(15) {
		s.line(b, "append", s.words(1)) // once more
	}
}

// config writes a label that leads to another configuration.
func (s *sysgen) config(b *strings.Builder) {
	s.n++
	name := fmt.Sprintf("other%d.cfg", s.n)
	var in strings.Builder
	s.head(&in)
	s.label(&in, "other")
	dir := pick(s.r, s.dir, s.dir, "other")
	if _, ok := s.files[path.Join(dir, name)]; ok {
		return
	}
	s.files[path.Join(dir, name)] = []byte(in.String())
	s.line(b, "config", "/"+path.Join(dir, name)+pick(s.r, "", " /"+dir))
}
