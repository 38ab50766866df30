package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isolayer/isolayer"
	"github.com/isolayer/isolayer/iso9660"
	"github.com/isolayer/isolayer/tree"
)

// buildIsofile does what build does with an Isofile: bakes it, or prints that of the
// command line. It tells whether that is all.
func (a *app) buildIsofile(cmd *cobra.Command, args []string, o *buildOptions) (done bool, err error) {
	given := cmd.Flags().Changed
	if o.file == "" {
		for _, flag := range []string{"tag", "set", "values", "build-arg", "secret", "no-cache", "verify-base", "manifest"} {
			if given(flag) {
				return true, usagef("name the Isofile: -f Isofile", "--%s goes with -f", flag)
			}
		}
		if len(args) == 0 {
			return true, usagef("usage: "+cmd.UseLine(), "BASE is missing")
		}
		if o.print {
			options, err := o.optionsFor(given)
			if err != nil {
				return true, err
			}
			return true, a.printIsofile(args[0], *o, options)
		}
		return false, nil
	}
	switch {
	case len(args) > 0:
		return true, usagef("FROM names the base", "both -f and BASE")
	case len(o.steps) > 0:
		return true, usagef("put them into the Isofile; --print-isofile shows how", "-f with edits")
	case o.inPlace || o.undo:
		return true, usagef("make a new image with -o", "-f does not change an image in place")
	case o.output == "" && o.tag == "" && !o.dryRun:
		return true, usagef("name the new image: -o custom.iso, or only keep its layers: -t NAME:TAG", "-o is missing")
	}
	options, err := o.optionsFor(given)
	if err != nil {
		return true, err
	}
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	return true, a.bake(ctx, *o, options)
}

// optionsFor are the library's options where -o may be missing.
func (o *buildOptions) optionsFor(given func(string) bool) (isolayer.Options, error) {
	if o.output == "" {
		p := *o
		p.output = "out.iso"
		return p.options(given)
	}
	return o.options(given)
}

// quote makes a word of an Isofile out of a text.
func quote(s string) string {
	if s != "" && !strings.ContainsAny(s, " \t\"'\\$`#") && !strings.HasPrefix(s, "[") && !strings.HasPrefix(s, "--") && !strings.HasPrefix(s, "<<") {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`).Replace(s) + `"`
}

// errNoIsofile reports a step that an Isofile has no instruction for.
var errNoIsofile = errors.New("no instruction of an Isofile does that")

// printIsofile prints the Isofile that does what a command line does.
func (a *app) printIsofile(base string, o buildOptions, options isolayer.Options) error {
	var out strings.Builder
	fmt.Fprintf(&out, "FROM %s\n", quote(base))
	for _, s := range o.steps {
		line, err := a.isofileLine(base, s)
		if err != nil {
			return err
		}
		out.WriteString(line + "\n")
	}
	for _, f := range []struct {
		field iso9660.Field
		name  string
	}{{iso9660.FieldVolumeSet, "VOLSET"}, {iso9660.FieldPublisher, "PUBLISHER"}, {iso9660.FieldPreparer, "PREPARER"}, {iso9660.FieldApplication, "APPID"}} {
		if text, ok := options.Fields[f.field]; ok {
			fmt.Fprintf(&out, "%s %s\n", f.name, quote(text))
		}
	}
	if o.mediaCheck != "auto" {
		fmt.Fprintf(&out, "MEDIACHECK %s\n", o.mediaCheck)
	}
	_, err := fmt.Fprint(a.out, out.String())
	return err
}

// isofileLine is the instruction for a step.
func (a *app) isofileLine(base string, s isolayer.Step) (string, error) {
	words := func(name string, args ...string) string {
		for _, x := range args {
			name += " " + quote(x)
		}
		return name
	}
	switch s := s.(type) {
	case isolayer.Add:
		return a.copyLine(base, s)
	case isolayer.Remove:
		return words("REMOVE", s.Pattern), nil
	case isolayer.Move:
		return words("RENAME", s.Old, s.New), nil
	case isolayer.Link:
		return words("SYMLINK", s.Target, s.Path), nil
	case isolayer.Mkdir:
		return words("MKDIR", s.Path), nil
	case isolayer.Chmod:
		return words("CHMOD", strconv.FormatUint(uint64(s.Mode), 8), s.Path), nil
	case isolayer.Chown:
		return words("CHOWN", fmt.Sprintf("%d:%d", s.UID, s.GID), s.Path), nil
	case isolayer.Layer:
		return words("LAYER", s.Path), nil
	case isolayer.Label:
		return words("VOLID", s.ID), nil
	case isolayer.Kargs:
		name := "KARG"
		if s.Keep {
			name += " --keep"
		}
		return words(name, s.Args...), nil
	case isolayer.MenuTimeout:
		return fmt.Sprintf("MENU --timeout=%d", s.Seconds), nil
	case isolayer.DefaultEntry:
		return "MENU --default=" + quote(s.Name), nil
	case isolayer.AddEntry:
		return words("ENTRY", append([]string{s.Title}, s.Args...)...), nil
	}
	return "", fmt.Errorf("%s: %w", s, errNoIsofile)
}

// copyLine is the instruction for --add: COPY takes what a directory holds, and the
// destination is spelled out.
func (a *app) copyLine(base string, s isolayer.Add) (string, error) {
	dest := s.Dest
	name := filepath.Base(filepath.Clean(s.Source))
	switch {
	case dest == "":
		dest = "/" + name
	case strings.HasSuffix(dest, "/"):
		dest = path.Join(dest, name)
	case !strings.HasPrefix(dest, "@") && !isDirectory(s.Source):
		err := a.withTree(base, 0, func(_ *isolayer.Base, t *tree.Tree) error {
			if n, err := t.Lookup(dest); err == nil && n.IsDir() {
				dest = path.Join(dest, name)
			}
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	return "COPY " + quote(filepath.ToSlash(s.Source)) + " " + quote(dest), nil
}

func isDirectory(p string) bool {
	info, err := os.Stat(p)
	return err == nil && info.IsDir()
}
