package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/cpio"
	"github.com/isolayer/isolayer/internal/initrd"
)

// lsInitrd lists what is in an initrd.
func (a *app) lsInitrd(base *baseimage.Base, number int, inside string, o lsOptions) error {
	i, _, err := initrd.Initrd(base, number)
	if err != nil {
		return err
	}
	top, err := i.Find(inside)
	if err != nil {
		return err
	}
	var out []listed
	for _, e := range i.Entries() {
		below := e.Name != top.Name && (top.Name == "" || strings.HasPrefix(e.Name, top.Name+"/"))
		if e == top && !top.IsDir() || below && (o.recursive || path.Dir(e.Name) == path.Dir(path.Join(top.Name, "x"))) {
			out = append(out, initrdEntry(e))
		}
	}
	slices.SortFunc(out, func(a, b listed) int { return strings.Compare(a.Path, b.Path) })
	if o.asJSON {
		return printJSON(a.out, out)
	}
	for _, l := range out {
		shown := path.Base(l.Path)
		if o.recursive || !top.IsDir() {
			shown = l.Path
		}
		shown = name(shown)
		if o.long {
			shown = fmt.Sprintf("%-7s %s %5d %5d %11d %s %s", l.Type, l.Mode, l.UID, l.GID, l.Size, strings.Replace(l.Time[:16], "T", " ", 1), shown)
			if l.Target != "" {
				shown += " -> " + name(l.Target)
			}
		}
		if _, err := fmt.Fprintln(a.out, shown); err != nil {
			return err
		}
	}
	return nil
}

func initrdEntry(e *cpio.Entry) listed {
	l := listed{Path: "/" + e.Name, Type: "device", Mode: fmt.Sprintf("%04o", e.Mode&0o7777), UID: uint32(e.UID), GID: uint32(e.GID), Size: e.Size, Target: e.Link}
	switch {
	case e.IsDir():
		l.Type = "dir"
	case e.IsRegular():
		l.Type = "file"
	case e.IsLink():
		l.Type = "link"
	}
	l.Time = e.ModTime.UTC().Format("2006-01-02T15:04:05Z")
	return l
}

// catInitrd prints a file of an initrd.
func (a *app) catInitrd(base *baseimage.Base, number int, inside string) error {
	i, file, err := initrd.Initrd(base, number)
	if err != nil {
		return err
	}
	e, err := i.Find(inside)
	if err != nil {
		return err
	}
	if e.IsDir() {
		return hinted{fmt.Errorf("/%s %w", e.Name, cpio.ErrIsDir), "isolayer ls lists it"}
	}
	if _, ok := terminal(a.out); !ok {
		return i.Copy(a.out, e)
	}
	if e.Size > 1<<20 {
		return fmt.Errorf("%s:/%s is too large for a terminal: %w", file, e.Name, fs.ErrInvalid)
	}
	var b bytes.Buffer
	if err := i.Copy(&b, e); err != nil {
		return err
	}
	return a.copyOut(io.NewSectionReader(bytes.NewReader(b.Bytes()), 0, int64(b.Len())), "/"+e.Name)
}
