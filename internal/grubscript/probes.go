package grubscript

import (
	"regexp"
	"strings"
)

// options reads those of a command: value names the options that take one, in their
// long form; short ones are listed with theirs. What is left are the arguments.
func (c *call) options(short, value string) (opts map[string][]Word, rest []Word) {
	opts = map[string][]Word{}
	long := func(flag byte) string {
		for _, f := range strings.Fields(short) {
			if f[0] == flag {
				return f[2:]
			}
		}
		return ""
	}
	takes := func(name string) bool { return strings.Contains(" "+value+" ", " "+name+" ") }
	for i := 0; i < len(c.args); i++ {
		w := c.args[i].word
		a := w.String()
		name, at, hasValue := "", 0, false
		switch {
		case a == "--":
			return opts, append(rest, c.words()[i+1:]...)
		case strings.HasPrefix(a, "--"):
			name = a[2:]
			if at = strings.IndexByte(a, '='); at > 0 {
				name, hasValue = a[2:at], true
			}
		case len(a) > 1 && a[0] == '-' && long(a[1]) != "":
			for j := 1; j < len(a)-1; j++ {
				opts[long(a[j])] = append(opts[long(a[j])], nil)
			}
			if name = long(a[len(a)-1]); name == "" {
				rest = append(rest, w)
				continue
			}
		default:
			rest = append(rest, w)
			continue
		}
		switch {
		case hasValue:
			opts[name] = append(opts[name], w.from(at+1))
		case takes(name) && i+1 < len(c.args) && !strings.HasPrefix(c.arg(i+1), "-"):
			i++
			opts[name] = append(opts[name], c.args[i].word)
		default:
			opts[name] = append(opts[name], nil)
		}
	}
	return opts, rest
}

// search looks for a file system by label, UUID or a file, and sets a variable to its
// device.
func search(c *call) status {
	opts, rest := c.options("f:file l:label u:fs-uuid s:set n:no-floppy r:root-dev-only h:hint", "set hint hint-ieee1275 hint-bios hint-baremetal hint-efi hint-arc")
	variable, found := "", opts["set"]
	if found != nil {
		if variable = found[len(found)-1].String(); variable == "" {
			variable = "root"
		}
	}
	if len(rest) == 0 {
		if variable == "" || variable == "root" {
			return failed
		}
		rest, variable = []Word{found[len(found)-1]}, "root"
	}
	kind := ""
	for _, k := range []string{"file", "fs-uuid", "label"} {
		if opts[k] != nil {
			kind = k
		}
	}
	return c.find(kind, rest[0], variable)
}

// searchShort is search with fixed arguments, as small GRUBs have it.
func searchShort(c *call) status {
	kind := map[string]string{"search.file": "file", "search_fs_file": "file", "search.fs_label": "label", "search_label": "label", "search.fs_uuid": "fs-uuid", "search_fs_uuid": "fs-uuid"}[c.name]
	if len(c.args) == 0 {
		return failed
	}
	return c.find(kind, c.args[0].word, c.arg(1))
}

// find sets a variable to the first device that has what is looked for.
func (c *call) find(kind string, what Word, variable string) status {
	if u := what.Unknown(); u != "" {
		return depends(c.line(), false)
	}
	text := what.String()
	for i := range c.fw.Devices {
		d := &c.fw.Devices[i]
		hit := false
		switch kind {
		case "label":
			hit = d.Label != "" && d.Label == text
		case "fs-uuid":
			hit = d.UUID != "" && strings.EqualFold(d.UUID, text)
		case "file":
			_, is := c.stat("(" + d.Name + ")/" + text)
			hit = is == isFile
		}
		if hit {
			if variable != "" {
				c.assign(&Assignment{Name: variable, Value: plain(d.Name), How: c.name, Span: c.span})
			}
			c.searched(kind, what, true)
			return done
		}
	}
	c.searched(kind, what, false)
	return failed
}

// searched keeps what was looked for.
func (c *call) searched(kind string, what Word, found bool) {
	c.remarkOf(Remark{Span: c.span, Text: "looks for a disk with the " + kind + " " + what.String() + ", which this image has not", Search: kind, Value: what, Found: found})
}

// matches is regexp: it sets variables to what fits groups of an expression.
func matches(c *call) status {
	c.regexps = true
	opts, rest := c.options("s:set", "set")
	if len(rest) != 2 {
		return failed
	}
	if u := append(rest[0], rest[1]...).Unknown(); u != "" {
		return depends(c.line(), false)
	}
	re, err := regexp.CompilePOSIX(rest[0].String())
	if err != nil {
		if re, err = regexp.Compile(rest[0].String()); err != nil {
			c.remark(c.span, "an expression that this program cannot read: "+rest[0].String())
			return depends(c.line(), false)
		}
	}
	found := re.FindStringSubmatchIndex(rest[1].String())
	if found == nil {
		return failed
	}
	for _, w := range opts["set"] {
		name, group := w.String(), 1
		if n, rest, ok := strings.Cut(name, ":"); ok {
			name, group = rest, atoi(n)
		}
		if group < 0 || 2*group+1 >= len(found) || found[2*group] < 0 {
			c.machine.unset(name, c.span)
			continue
		}
		c.assign(&Assignment{Name: name, Value: rest[1].cut(found[2*group], found[2*group+1]), How: "regexp", Span: c.span})
	}
	return done
}

// loadEnv reads a grubenv.
func loadEnv(c *call) status {
	opts, only := c.options("f:file s:skip-sig", "file")
	name := c.text("prefix") + "/grubenv"
	if f := opts["file"]; f != nil && f[0] != nil {
		name = f[0].String()
	}
	p, text, is := c.read(name)
	if is == unsure {
		c.remark(c.span, "reads variables of another disk: "+p.String())
	}
	if is != isFile || !strings.HasPrefix(string(text), envHead) {
		return failed
	}
	src := newFile(p.device, p.path, text)
	for pos, line := range envLines(string(text)) {
		n, value, ok := strings.Cut(line, "=")
		if !ok || len(only) > 0 && !contains(only, n) {
			continue
		}
		span := Span{src, pos, pos + len(line)}
		at := Span{src, pos + len(n) + 1, pos + len(line)}
		c.assign(&Assignment{Name: n, Value: Word{{Text: unescape(value), Span: at}}, How: "load_env", Span: span, Written: at})
	}
	return done
}

const envHead = "# GRUB Environment Block\n"

// envLines yields the lines behind the head, with where they begin.
func envLines(text string) func(func(int, string) bool) {
	return func(yield func(int, string) bool) {
		pos := len(envHead)
		for line := range strings.Lines(text[pos:]) {
			bare := strings.TrimSuffix(line, "\n")
			if strings.HasPrefix(bare, "#") {
				pos += len(line)
				continue
			}
			if !yield(pos, bare) {
				return
			}
			pos += len(line)
		}
	}
}

func contains(words []Word, s string) bool {
	for _, w := range words {
		if w.String() == s {
			return true
		}
	}
	return false
}

// loopback makes a device of an image file, whose content is not looked at.
func loopback(c *call) status {
	opts, rest := c.options("d:delete", "")
	if opts["delete"] != nil || len(rest) < 2 {
		return done
	}
	if _, is := c.stat(rest[1].String()); is == absent {
		return failed
	}
	c.loops[rest[0].String()] = &Device{Name: rest[0].String()}
	return done
}

// probe says what a device is.
func probe(c *call) status {
	opts, rest := c.options("s:set d:driver p:partmap f:fs u:fs-uuid l:label", "set")
	if len(rest) == 0 {
		return failed
	}
	value := Word{{Unknown: c.line(), Text: "<probe>"}}
	if d := c.device(strings.Trim(rest[0].String(), "()")); d != nil {
		switch {
		case opts["label"] != nil && d.Label != "":
			value = plain(d.Label)
		case opts["fs-uuid"] != nil && d.UUID != "":
			value = plain(d.UUID)
		}
	}
	if s := opts["set"]; s != nil && s[0] != nil {
		c.assign(&Assignment{Name: s[0].String(), Value: value, How: "probe", Span: c.span})
	}
	return done
}

// sleep waits; nobody presses a key meanwhile.
func sleep(c *call) status {
	_, rest := c.options("v:verbose i:interruptible", "")
	if len(rest) > 0 {
		c.out.seconds += number(rest[0].String())
	}
	return done
}

func cpuid(c *call) status {
	if c.fw.CPU == "x86_64" {
		return done // GRUB itself runs in long mode
	}
	return depends(c.line(), true)
}

// loadfont succeeds where the file is.
func loadfont(c *call) status {
	for _, name := range c.texts() {
		if !strings.ContainsAny(name, "/(+") {
			name = c.text("prefix") + "/fonts/" + name + ".pf2"
		}
		if _, is := c.stat(name); is == absent {
			return failed
		}
	}
	return done
}

// fileThere succeeds where the file of the last argument is.
func fileThere(c *call) status {
	if len(c.args) == 0 {
		return done
	}
	if _, is := c.stat(c.arg(len(c.args) - 1)); is == absent {
		return failed
	}
	return done
}

func insmod(c *call) status {
	for _, name := range c.texts() {
		c.regexps = c.regexps || name == "regexp"
	}
	return done
}

// terminal depends on the machine where it is to show graphics.
func terminal(c *call) status {
	for _, name := range c.texts() {
		if name == "gfxterm" || name == "serial" {
			return depends(c.line(), true)
		}
	}
	return done
}

// count adds to a number in a variable or takes from it.
func count(c *call) status {
	if len(c.args) == 0 {
		return failed
	}
	n := number(c.text(c.arg(0)))
	if c.name == "increment" {
		n++
	} else {
		n--
	}
	c.assign(&Assignment{Name: c.arg(0), Value: plain(itoa(n)), How: c.name, Span: c.span})
	return done
}

// translate is tr of newer GRUBs: letters of a text become others.
func translate(c *call) status {
	opts, rest := c.options("s:set U:upcase D:downcase", "set upcase downcase")
	value := ""
	switch up, down := opts["upcase"], opts["downcase"]; {
	case up != nil:
		value = strings.ToUpper(up[0].String())
	case down != nil:
		value = strings.ToLower(down[0].String())
	case len(rest) == 3:
		value = mapLetters(rest[2].String(), rest[0].String(), rest[1].String())
	default:
		return failed
	}
	if s := opts["set"]; s != nil && s[0] != nil {
		c.assign(&Assignment{Name: s[0].String(), Value: plain(value), How: "tr", Span: c.span})
	}
	return done
}

func mapLetters(s, from, to string) string {
	out := []byte(s)
	for i, b := range out {
		if n := strings.IndexByte(from, b); n >= 0 && n < len(to) {
			out[i] = to[n]
		}
	}
	return string(out)
}
