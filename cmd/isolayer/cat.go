package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/initrd"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
)

func (a *app) catCommand() *cobra.Command {
	var session int
	cmd := &cobra.Command{
		Use:     "cat IMAGE PATH",
		Short:   "Print a file of an image",
		GroupID: "look",
		Long:    "cat prints the content of a file, uncompressed if it is stored by zisofs.\nLinks are not followed.\n@bios, @efi, @catalog, @partN and @system-area are boot equipment; @efi:/PATH\nis a file inside of it, @initrd:/PATH one of the initrd that boot entries name.",
		Example: "  isolayer cat base.iso /isolinux/isolinux.cfg",
		Args:    needArgs("IMAGE", "PATH"),
		RunE:    func(_ *cobra.Command, args []string) error { return a.cat(args[0], args[1], session) },
	}
	jsonErrorsVar(cmd.Flags())
	cmd.Flags().IntVar(&session, "session", 0, "read session `N` of a multi-session image")
	return cmd
}

func (a *app) cat(image, path string, session int) error {
	return a.withTree(image, session, func(base *baseimage.Base, t *tree.Tree) error { return a.catFile(base, t, path) })
}

func (a *app) catFile(base *baseimage.Base, t *tree.Tree, path string) error {
	if number, inside, ok := initrd.InInitrd(path); ok {
		return a.catInitrd(base, number, inside)
	}
	if object, inside, ok := stage.InObject(path); ok {
		return a.catInside(base, object, inside)
	}
	if strings.HasPrefix(path, "@") {
		r, err := base.Object(path)
		if err != nil {
			return err
		}
		return a.copyOut(r, path)
	}
	n, err := t.Lookup(path)
	if err != nil {
		return err
	}
	switch {
	case n.IsDir():
		return hinted{fmt.Errorf("%s %w", n.Path(), tree.ErrIsDir), "isolayer ls lists it"}
	case n.IsLink():
		return hinted{fmt.Errorf("%s is a symbolic link", n.Path()), "it leads to " + n.Link}
	}
	r, size, err := base.Open(n)
	if err != nil {
		return err
	}
	if err := base.Charge(n, size); err != nil {
		return err
	}
	return a.copyOut(io.NewSectionReader(r, 0, size), n.Path())
}

// catInside prints a file of the FAT image that boot equipment is.
func (a *app) catInside(base *baseimage.Base, object, inside string) error {
	img, err := base.FAT(object)
	if err != nil {
		return err
	}
	info, err := img.Stat(inside)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return hinted{fmt.Errorf("%s:/%s %w", object, inside, tree.ErrIsDir), "isolayer ls lists it"}
	}
	m, err := img.Content(inside)
	if err != nil {
		return err
	}
	return a.copyOut(io.NewSectionReader(m, 0, m.Size()), object+":/"+inside)
}

// copyOut prints content, but nothing binary on a terminal.
func (a *app) copyOut(content *io.SectionReader, what string) error {
	if _, ok := terminal(a.out); ok {
		head := make([]byte, min(content.Size(), 4096))
		if _, err := io.ReadFull(content, head); err != nil {
			return err
		}
		if bytes.IndexByte(head, 0) >= 0 {
			return usagef("redirect it to a file, or use isolayer extract", "%s is binary and does not belong on a terminal", what)
		}
		if _, err := content.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
	_, err := io.CopyBuffer(struct{ io.Writer }{a.out}, content, make([]byte, 1<<20))
	return err
}
