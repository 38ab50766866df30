package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/bootcfg"
)

// editFlag adds a step to a list that all edit flags share, so that edits
// happen in the order of the command line.
type editFlag struct {
	steps *[]edit.Step
	kind  string
	parse func(string) (edit.Step, error)
}

func (f editFlag) String() string { return "" }

func (f editFlag) Type() string { return f.kind }

func (f editFlag) Set(s string) error {
	step, err := f.parse(s)
	if err == nil {
		*f.steps = append(*f.steps, step)
	}
	return err
}

// addEditFlags defines the edit flags.
func addEditFlags(flags *pflag.FlagSet, steps *[]edit.Step) {
	add := func(name, kind, usage string, parse func(string) (edit.Step, error)) {
		flags.Var(editFlag{steps, kind, parse}, name, usage)
	}
	add("add", "SRC[:DST]", "put a file or directory tree into the image; DST/ is the directory it goes into (default /)", parseAdd)
	add("rm", "PATH", "remove a file or directory tree; * and ** match names", func(s string) (edit.Step, error) {
		return edit.Remove{Pattern: s}, insideObject(s)
	})
	add("mv", "OLD:NEW", "rename a file or directory", func(s string) (edit.Step, error) {
		old, to, ok := splitSpec(s)
		if !ok {
			return nil, wantSlash("OLD:NEW", "NEW", s)
		}
		return edit.Move{Old: old, New: to}, notObject(to)
	})
	add("ln", "TARGET:PATH", "make a symbolic link at PATH", func(s string) (edit.Step, error) {
		target, p, ok := splitSpec(s)
		if !ok {
			return nil, wantSlash("TARGET:PATH", "PATH", s)
		}
		return edit.Link{Target: target, Path: p}, notObject(p)
	})
	add("mkdir", "PATH", "make a directory", func(s string) (edit.Step, error) {
		return edit.Mkdir{Path: s}, insideObject(s)
	})
	add("chmod", "MODE:PATH", "set permission bits, octal", func(s string) (edit.Step, error) {
		mode, p, ok := splitFirst(s)
		bits, err := edit.ParseMode(mode)
		if !ok || err != nil || p == "" {
			return nil, wantMode(s)
		}
		return edit.Chmod{Mode: bits, Path: p}, notObject(p)
	})
	add("chown", "UID:GID:PATH", "set the owner, by number", parseChown)
	add("layer", "FILE", "apply an OCI layer: tar, plain or compressed with gzip or zstd", func(s string) (edit.Step, error) {
		return edit.Layer{Path: s}, nil
	})
	addBootFlags(add)
	addAnswerFlags(add)
}

// addBootFlags defines those that change what is booted, in every boot file.
func addBootFlags(add func(name, kind, usage string, parse func(string) (edit.Step, error))) {
	kargs := func(keep bool) func(string) (edit.Step, error) {
		return func(s string) (edit.Step, error) {
			_, err := bootcfg.ParseKarg(s)
			return edit.Kargs{Args: []string{s}, Keep: keep}, err
		}
	}
	add("karg", "ARG", "kernel argument of every boot entry: N=V sets N, +N=V adds one more, -N or -N=V removes; xen:ARG is one of the hypervisor", kargs(false))
	add("karg-keep", "ARG", "likewise, for the installed system: behind ---", kargs(true))
	add("entry-karg", "TITLE:ARG", "kernel argument of the boot entries of that title, label, id or number from 0", parseEntryKarg)
	add("label", "VOLID", "new volume id, also in every boot file that looks for the old one", func(s string) (edit.Step, error) {
		if s == "" {
			return nil, errors.New("a label has 1 to 32 characters")
		}
		return edit.Label{ID: s}, nil
	})
	add("menu-timeout", "SECONDS", "start the default entry after so long; 0 at once, -1 never", func(s string) (edit.Step, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < -1 || n > 1<<20 {
			return nil, fmt.Errorf("want a number of seconds, or -1")
		}
		return edit.MenuTimeout{Seconds: n}, nil
	})
	add("default", "ENTRY", "make a boot entry the default one, by label, id, title or number from 0", func(s string) (edit.Step, error) {
		return edit.DefaultEntry{Name: s}, nil
	})
	add("add-entry", "TITLE[:ARGS]", "put a copy of the default boot entry behind it, with ARGS as --karg takes them; what starts by itself stays", parseEntry)
}

// parseEntryKarg reads a title and, behind its colon, one argument.
func parseEntryKarg(s string) (edit.Step, error) {
	i := strings.LastIndex(s, ": ")
	if i < 0 {
		i = strings.Index(s, ":")
	}
	if i < 0 {
		return nil, fmt.Errorf("want TITLE:ARG, such as 'Install: console=ttyS0'")
	}
	k := edit.EntryKargs{Name: strings.TrimSpace(s[:i]), Args: []string{strings.TrimSpace(s[i+1:])}}
	if k.Name == "" || k.Args[0] == "" {
		return nil, fmt.Errorf("want TITLE:ARG, such as 'Install: console=ttyS0'")
	}
	_, err := bootcfg.ParseKarg(k.Args[0])
	return k, err
}

// parseEntry reads a title and, behind the first colon, arguments that blanks part.
func parseEntry(s string) (edit.Step, error) {
	title, args, _ := strings.Cut(s, ":")
	e := edit.AddEntry{Title: strings.TrimSpace(title), Args: strings.Fields(args)}
	if e.Title == "" {
		return nil, fmt.Errorf("want TITLE or TITLE:ARGS")
	}
	for _, a := range e.Args {
		if _, err := bootcfg.ParseKarg(a); err != nil {
			return nil, err
		}
	}
	return e, nil
}

func parseAdd(s string) (edit.Step, error) {
	src, dst, ok := splitSpec(s)
	if !ok {
		if err := otherSpec(s); err != nil {
			return nil, err
		}
	}
	return edit.Add{Source: src, Dest: dst}, nil
}

func parseChown(s string) (edit.Step, error) {
	uid, rest, _ := splitFirst(s)
	gid, p, _ := splitFirst(rest)
	o, err := edit.ParseOwner(uid + ":" + gid)
	if err != nil || p == "" {
		return nil, fmt.Errorf("want UID:GID:PATH, such as 0:0:/ks.cfg")
	}
	return edit.Chown{UID: o.UID, GID: o.GID, Path: p}, notObject(p)
}

// notObject refuses the names of what no directory lists, which can be replaced only.
func notObject(p string) error {
	if strings.HasPrefix(p, "@") && strings.Contains(p, ":/") {
		return fmt.Errorf("%s: in boot equipment files can be added, replaced and removed only", p)
	}
	if strings.HasPrefix(p, "@") {
		return fmt.Errorf("%s: boot equipment can be replaced only, with --add FILE:%s", p, p)
	}
	return nil
}

// insideObject refuses boot equipment, but not what is in it.
func insideObject(p string) error {
	if strings.HasPrefix(p, "@") && strings.Contains(p, ":/") {
		return nil
	}
	return notObject(p)
}
