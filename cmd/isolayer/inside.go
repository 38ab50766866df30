package main

import (
	"fmt"
	"io/fs"
	"path"

	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/stage"
)

// lsInside lists what is in the FAT image that boot equipment is.
func (a *app) lsInside(base *baseimage.Base, p string, o lsOptions) error {
	object, inside, ok := stage.InObject(p)
	if !ok {
		object, inside = p, "."
	}
	img, err := base.FAT(object)
	if err != nil {
		return err
	}
	files, err := inList(img, inside, o.recursive)
	if err != nil {
		return err
	}
	if o.asJSON {
		out := make([]listed, 0, len(files))
		for _, f := range files {
			out = append(out, f.describe(object))
		}
		return printJSON(a.out, out)
	}
	for _, f := range files {
		shown := path.Base(f.path)
		if o.recursive || f.path == inside {
			shown = object + ":/" + f.path
		}
		if o.long {
			when := f.info.ModTime().UTC().Format("2006-01-02 15:04")
			shown = fmt.Sprintf("%s %11d %s %s", f.info.Mode(), f.size(), when, name(shown))
		} else {
			shown = name(shown)
		}
		if _, err := fmt.Fprintln(a.out, shown); err != nil {
			return err
		}
	}
	return nil
}

// inFile is a file or directory of a FAT image.
type inFile struct {
	path string
	info fs.FileInfo
}

// size is the length of a file, 0 of a directory.
func (f inFile) size() int64 {
	if f.info.IsDir() {
		return 0
	}
	return f.info.Size()
}

func (f inFile) describe(object string) listed {
	l := listed{Path: object + ":/" + f.path, Type: "file", Mode: fmt.Sprintf("%04o", f.info.Mode().Perm()), Size: f.size()}
	if f.info.IsDir() {
		l.Type = "directory"
	}
	if t := f.info.ModTime(); !t.IsZero() {
		l.Time = t.UTC().Format("2006-01-02T15:04:05Z")
	}
	return l
}

// inList returns what ls shows of top: itself, what is in it, or all below it.
func inList(img *fat.Image, top string, recursive bool) (out []inFile, err error) {
	top, isDir, err := img.Lookup(top)
	if err != nil {
		return nil, err
	}
	err = fs.WalkDir(img, top, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == top && isDir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		out = append(out, inFile{p, info})
		if d.IsDir() && !recursive {
			return fs.SkipDir
		}
		return nil
	})
	return out, err
}

// inside writes a file or directory of the FAT image that boot equipment is.
func (x *extractor) inside(p string) error {
	object, inside, _ := stage.InObject(p)
	img, err := x.base.FAT(object)
	if err != nil {
		return err
	}
	top, _, err := img.Lookup(inside)
	if err != nil {
		return err
	}
	if err := fs.WalkDir(img, top, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			x.total += info.Size()
		}
		return err
	}); err != nil {
		return err
	}
	if err := x.dir.FS(img, top, path.Base(top)); err != nil {
		return fmt.Errorf("extract %s:/%w", object, err)
	}
	return nil
}
