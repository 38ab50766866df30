package loadertest

import (
	"fmt"
	"strings"
)

// grubgen makes a grub.cfg, with what it reads besides.
type grubgen struct {
	*generator
	dir   string
	label string
	depth int
	vars  []string // that hold arguments
	funcs []string
	paths []string // names of entries, for defaults
}

func (g *generator) grub(l Loader, label string) {
	s := &grubgen{generator: g, dir: "boot/grub", label: label}
	var b strings.Builder
	s.preamble(&b)
	n := 1 + g.r.IntN(4)
	var menu strings.Builder
	s.entries(&menu, n, "")
	if g.one(6) {
		b.WriteString(menu.String())
		s.settings(&b)
	} else {
		s.settings(&b)
		b.WriteString(menu.String())
	}
	g.files["boot/grub/grub.cfg"] = []byte(b.String())
}

// quoted writes a value in one of the ways.
func (s *grubgen) quoted(v string) string {
	switch s.r.IntN(4) {
	case 0:
		return `"` + v + `"`
	case 1:
		return "'" + v + "'"
	case 2:
		if len(v) > 2 && !strings.ContainsAny(v, " $&|;<>{}") {
			return v[:1] + `"` + v[1:2] + `"` + v[2:]
		}
	}
	if strings.ContainsAny(v, " $&|;<>{}\t") {
		return `"` + v + `"`
	}
	return v
}

// preamble writes what stands in front: variables, functions, conditions, other files.
func (s *grubgen) preamble(b *strings.Builder) {
	for range s.r.IntN(5) {
		s.statement(b, "")
	}
}

func (s *grubgen) newVar() string {
	s.n++
	v := fmt.Sprintf(pick(s.r, "args%d", "linux_append%d", "v%d"), s.n)
	s.vars = append(s.vars, v)
	return v
}

// statement writes one that decides nothing by itself but what others read.
func (s *grubgen) statement(b *strings.Builder, indent string) {
	s.depth++
	defer func() { s.depth-- }()
	w := func(format string, args ...any) { fmt.Fprintf(b, indent+format+"\n", args...) }
	switch k := s.r.IntN(14); {
	case k < 3:
		v := s.newVar()
		w("%s%s=%s", pick(s.r, "set ", ""), v, s.quoted(s.words(1+s.r.IntN(2))))
	case k == 3 && len(s.vars) > 0:
		v := pick(s.r, s.vars...)
		w("set %s=\"$%s %s\"", pick(s.r, v, s.newVar()), v, s.word())
	case k == 4 && s.depth < 3:
		w("%s %s; then", pick(s.r, "if"), s.condition())
		s.statement(b, indent+"  ")
		if s.one(2) {
			if s.one(3) {
				w("elif %s; then", s.condition())
				s.statement(b, indent+"  ")
			}
			w("else")
			s.statement(b, indent+"  ")
		}
		w("fi")
	case k == 5 && s.depth < 2:
		s.n++
		f := fmt.Sprintf("load%d", s.n)
		s.funcs = append(s.funcs, f)
		w("function %s {", f)
		w("  linux %s $1 %s $2", s.kernel(), pick(s.r, `"$@"`, "$@", "$#", "$*", s.word()))
		w("}")
	case k == 6 && s.depth < 2:
		s.n++
		name := fmt.Sprintf("part%d.cfg", s.n)
		var in strings.Builder
		s.statement(&in, "")
		s.statement(&in, "")
		s.files[s.dir+"/"+name] = []byte(in.String())
		w("%s %s/%s", pick(s.r, "source", ".", "source"), pick(s.r, "$prefix", "${prefix}", "/"+s.dir), name)
	case k == 7:
		v := s.newVar()
		w("for x in %s; do", s.words(1+s.r.IntN(3)))
		w("  set %s=\"$%s ${x}\"", v, v)
		w("done")
	case k == 8:
		w("%s", pick(s.r, "insmod gzio", "insmod all_video", "terminal_output console", "loadfont unicode", "# a comment; { not", "true", "insmod nosuchmodule", "export x", "set color_normal=white/black", "nosuchcommand a b"))
	case k == 9:
		w("search --no-floppy --set=root %s", pick(s.r, "--label '"+s.label+"'", "-l "+s.quoted(s.label), "--file /"+s.dir+"/grub.cfg", "-f /boot/grub/grub.cfg", "--file /nothing"))
	case k == 10:
		s.grubenv()
		w("load_env")
	case k == 11:
		w("set default=%s", s.quoted(fmt.Sprint(s.r.IntN(3))))
	case k == 12 && len(s.vars) > 0:
		w("%s", pick(s.r, "unset "+s.vars[0], "export "+s.vars[0], "regexp --set=1:"+s.newVar()+` '([a-z]+)' "$`+s.vars[0]+`"`))
	case k == 13 && s.one(20): // which the language does not have
		w("%s", pick(s.r, "set a=1 && set b=2", "false || set c=3"))
	default:
		w("%s", pick(s.r, "set timeout=1", "timeout=2", "set gfxmode=auto", "set x=1; set y=2", "menu_color_normal=cyan/blue"))
	}
}

func (s *grubgen) grubenv() {
	text := "# GRUB Environment Block\n"
	if s.one(2) {
		text += fmt.Sprintf("saved_entry=%d\n", s.r.IntN(3))
	}
	if s.one(3) {
		text += "next_entry=1\n"
	}
	text += "kernelopts=" + s.words(2) + "\n"
	s.vars = append(s.vars, "kernelopts")
	s.files[s.dir+"/grubenv"] = []byte(text + strings.Repeat("#", 1024-len(text)))
}

func (s *grubgen) condition() string {
	v := "nothing"
	if len(s.vars) > 0 {
		v = pick(s.r, s.vars...)
	}
	return pick(s.r,
		`[ "$grub_platform" = "efi" ]`, `[ "${grub_platform}" == "pc" ]`, "[ $grub_cpu = x86_64 ]", "[ x$grub_platform != xefi ]",
		"true", "false", "! true", "! [ -e /nothing ]", "[ -f /boot/grub/grub.cfg ]", "[ -s $prefix/grubenv ]", "test -d /boot",
		`[ -n "$`+v+`" ]`, `[ -z "${`+v+`}" ]`, `[ "$`+v+`" = "" ]`, `[ x$feature_timeout_style = xy ]`, "[ 2 -gt 1 -a 1 -eq 1 ]", "[ 1 -gt 2 -o 10 -ge 9 ]",
		"loadfont nofont", `[ "$feature_menuentry_id" = y ] && true`, `[ a \< b ]`, "[ ! -e /boot/grub/x ]", `[ "${saved_entry}" ]`)
}

// entries writes n entries; the path is that of the submenus around them.
func (s *grubgen) entries(b *strings.Builder, n int, path string) {
	s.depth++
	defer func() { s.depth-- }()
	indent := strings.Repeat("  ", s.depth-1)
	for i := range n {
		if s.depth < 3 && s.one(6) {
			s.submenu(b, i, path)
			continue
		}
		title, opts := s.name(i)
		s.paths = append(s.paths, path+title, path+fmt.Sprint(i))
		cond := s.one(8)
		if cond {
			fmt.Fprintf(b, "%sif %s; then\n", indent, s.condition())
		}
		fmt.Fprintf(b, "%smenuentry %s %s{\n", indent, s.title(title), opts)
		s.block(b, indent+"  ")
		fmt.Fprintf(b, "%s}\n", indent)
		if cond {
			fmt.Fprintf(b, "%sfi\n", indent)
		}
	}
}

func (s *grubgen) title(t string) string {
	if !strings.ContainsAny(t, `'$`) && s.one(2) {
		return pick(s.r, `"`, `$"`) + t + `"`
	}
	return "'" + t + "'"
}

// name returns a title, and options with an id or without.
func (s *grubgen) name(i int) (title, opts string) {
	title = pick(s.r, "Install", "Try it", "Live (text)", "Boot > more", "Install", "Rescue & co") + pick(s.r, "", "", fmt.Sprint(" ", i))
	if s.one(3) {
		s.n++
		id := fmt.Sprintf(pick(s.r, "id-%d", "%dth", "live%d"), s.n)
		opts += pick(s.r, "--id ", "--id=", "$menuentry_id_option ") + s.quoted(id) + " "
		s.paths = append(s.paths, id)
	}
	if s.one(3) {
		opts += pick(s.r, "--class os ", "--class gnu-linux --class gnu ", "--hotkey=k ", "--unrestricted ", "--users '' ")
	}
	if s.one(8) {
		opts += s.word() + " "
	}
	return title, opts
}

func (s *grubgen) submenu(b *strings.Builder, i int, path string) {
	title, opts := s.name(i)
	indent := strings.Repeat("  ", s.depth-1)
	s.paths = append(s.paths, path+title, path+fmt.Sprint(i))
	fmt.Fprintf(b, "%ssubmenu %s %s{\n", indent, s.title(title), opts)
	below := path + strings.ReplaceAll(pick(s.r, title, fmt.Sprint(i)), ">", ">>") + ">"
	if s.one(4) {
		fmt.Fprintf(b, "%s  set %s=%s\n", indent, pick(s.r, "default", "timeout", "x"), pick(s.r, "0", "1"))
	}
	s.entries(b, 1+s.r.IntN(3), below)
	fmt.Fprintf(b, "%s}\n", indent)
}

// block writes what an entry does.
func (s *grubgen) block(b *strings.Builder, indent string) {
	w := func(format string, args ...any) { fmt.Fprintf(b, indent+format+"\n", args...) }
	if s.one(6) {
		s.statement(b, indent)
	}
	if s.one(8) {
		w("echo %s", pick(s.r, "'Loading ...'", `"a $root"`, "x"))
	}
	switch s.r.IntN(16) {
	case 0:
		w("linux /gone %s", s.words(1))
	case 1:
		if len(s.funcs) > 0 {
			w("%s %s", pick(s.r, s.funcs...), s.arguments())
			break
		}
		w("true")
	case 2:
		s.n++
		name := fmt.Sprintf("other%d.cfg", s.n)
		in := &grubgen{generator: s.generator, dir: s.dir, label: s.label, depth: 1}
		var text strings.Builder
		in.settings(&text)
		in.entries(&text, 1+s.r.IntN(2), "")
		s.files[s.dir+"/"+name] = []byte(text.String())
		w("configfile %s/%s", pick(s.r, "$prefix", "/"+s.dir), name)
		return
	case 3:
		w("%s", pick(s.r, "exit", "chainloader (hd0)+1", "false"))
		return
	case 4:
		w("if %s; then", s.condition())
		w("  linux %s %s", s.kernel(), s.arguments())
		w("else")
		w("  linux %s %s", s.kernel(), s.arguments())
		w("fi")
	default:
		w("%s %s%s %s", pick(s.r, "linux", "linux", "linux", "linux"), pick(s.r, "", "", "($root)"), s.kernel(), s.arguments())
	}
	if s.one(2) {
		w("initrd %s%s", s.initrd(), pick(s.r, "", " "+s.initrd()))
	}
	if s.one(10) {
		w("%s", pick(s.r, "boot", "true", "false", "initrd /gone"))
	}
}

// arguments writes those of a kernel.
func (s *grubgen) arguments() string {
	var out []string
	for range s.r.IntN(5) {
		v := "undefined"
		if len(s.vars) > 0 {
			v = pick(s.r, s.vars...)
		}
		out = append(out, pick(s.r, s.word(), s.word(), s.words(2), `"`+s.words(2)+`"`, "'"+s.words(2)+"'", "$"+v, `"${`+v+`}"`, "${"+v+"}x", `a\ b`, `\$x`, `"q\"q"`, `"\$y"`, `'$z'`,
			"$nothing", "quiet", "splash", "---", `"x=$grub_platform"`, "ro;", `back\\slash`, "c=\"d e\"f", `$"tr"`, "u=é", "\\;", "x#y"))
		if out[len(out)-1] == "ro;" {
			break
		}
	}
	tail := pick(s.r, "", "", "", " # a comment", " \\\n    more")
	if len(out) > 0 && out[len(out)-1] == "ro;" {
		tail = ""
	}
	return strings.Join(out, pick(s.r, " ", " ", "  ", "\t")) + tail
}

// settings writes the default, the timeout and the fallback.
func (s *grubgen) settings(b *strings.Builder) {
	w := func(format string, args ...any) { fmt.Fprintf(b, format+"\n", args...) }
	set := pick(s.r, "set ", "set ", "")
	if !s.one(3) {
		d := fmt.Sprint(s.r.IntN(4))
		if len(s.paths) > 0 && s.one(2) {
			d = pick(s.r, s.paths...)
		}
		if s.one(8) {
			d = pick(s.r, "nothing", "", "1 ", "0>0", "0>1", "1>0", "-1", "2x", "saved", "id-1")
		}
		w("%sdefault=%s", set, s.safe(d))
	}
	if s.one(8) {
		s.grubenv()
		w("load_env%s", pick(s.r, "", " saved_entry", " --file $prefix/grubenv"))
		w("if [ -n \"$saved_entry\" ]; then set default=\"${saved_entry}\"; fi")
	}
	if !s.one(7) {
		w("%stimeout=%s", set, pick(s.r, "0", "1", "2", "-1", "0", "1", `"1"`, "1s", ""))
	}
	if s.one(6) {
		w("%stimeout_style=%s", set, pick(s.r, "menu", "hidden", "countdown"))
	}
	if s.one(5) {
		f := fmt.Sprint(s.r.IntN(3))
		if len(s.paths) > 0 && s.one(2) {
			f = pick(s.r, s.paths...)
		}
		w("%sfallback=%s", set, s.safe(f+pick(s.r, "", " 0", " 1")))
	}
}

func (s *grubgen) safe(v string) string {
	if strings.ContainsAny(v, "<>&|;(){} ") || v == "" {
		return pick(s.r, `"`, `"`) + v + `"`
	}
	return s.quoted(v)
}
