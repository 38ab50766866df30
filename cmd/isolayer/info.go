package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/distro"
	"github.com/isolayer/isolayer/internal/initrd"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/stage"
)

func (a *app) infoCommand() *cobra.Command {
	var asJSON bool
	var session int
	cmd := &cobra.Command{
		Use:     "info IMAGE",
		Short:   "Show volume, trees and boot equipment of an image",
		GroupID: "look",
		Long:    "info shows what an image is: its volume, its directory trees, how it boots, and\nwhether isolayer can rebuild it. No file content is read.",
		Example: "  isolayer info base.iso",
		Args:    needArgs("IMAGE"),
		RunE:    func(_ *cobra.Command, args []string) error { return a.info(args[0], session, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().IntVar(&session, "session", 0, "show session `N` of a multi-session image")
	return cmd
}

// imageInfo is what info prints.
type imageInfo struct {
	Path       string              `json:"path"`
	Size       int64               `json:"size"`
	Volume     volumeInfo          `json:"volume"`
	Trees      []treeInfo          `json:"trees"`
	Release    *distro.Release     `json:"distro"`
	Initrds    []string            `json:"initrds,omitempty"`
	UDF        bool                `json:"udf"`
	Sessions   []iso9660.Session   `json:"sessions"`
	MediaCheck string              `json:"media_check,omitempty"`
	Boots      []boot.Way          `json:"boots"`
	Programs   []baseimage.Program `json:"efi_programs,omitempty"`
	Boot       *boot.Equipment     `json:"boot"`
	Objects    []*boot.Object      `json:"boot_objects,omitempty"`
	Options    []string            `json:"mkisofs_options,omitempty"`
	Rebuild    bool                `json:"can_be_rebuilt"`
	Reasons    []string            `json:"reasons,omitempty"`
	Warnings   []string            `json:"warnings,omitempty"`
}

type volumeInfo struct {
	ID          string `json:"id"`
	UUID        string `json:"uuid,omitempty"`
	Size        int64  `json:"size"`
	System      string `json:"system,omitempty"`
	Set         string `json:"set,omitempty"`
	Publisher   string `json:"publisher,omitempty"`
	Preparer    string `json:"preparer,omitempty"`
	Application string `json:"application,omitempty"`
	Created     string `json:"created,omitempty"`
	Modified    string `json:"modified,omitempty"`
}

type treeInfo struct {
	Hierarchy   string `json:"hierarchy"`
	RockRidge   bool   `json:"rock_ridge"`
	JolietLevel int    `json:"joliet_level,omitempty"`
	Directories int    `json:"directories"`
	Files       int    `json:"files"`
	Links       int    `json:"links"`
	Bytes       int64  `json:"bytes"`
}

func (a *app) info(path string, session int, asJSON bool) (err error) {
	base, err := a.openBase(path, session)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	i, err := inspect(base)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(a.out, i)
	}
	_, err = fmt.Fprint(a.out, i.text())
	return err
}

func inspect(base *baseimage.Base) (imageInfo, error) {
	img := base.Image()
	p := img.Primary()
	i := imageInfo{Path: base.Path(), Size: base.Size(), UDF: img.UDF(), Sessions: img.Sessions(), Boot: base.Boot()}
	i.Volume = volumeInfo{
		ID: p.VolumeID(), UUID: p.Modified().UUID(), Size: int64(p.SpaceSize()) * iso9660.BlockSize, System: p.SystemID(), Set: p.VolumeSetID(),
		Publisher: p.Publisher(), Preparer: p.Preparer(), Application: p.Application(), Created: date(p.Created()), Modified: date(p.Modified()),
	}
	for _, h := range iso9660.Hierarchies {
		t, err := inspectTree(img, h)
		if err != nil {
			return i, err
		}
		if t != nil {
			i.Trees = append(i.Trees, *t)
		}
	}
	var err error
	if i.Release, err = stage.Release(base); err != nil {
		return i, err
	}
	if i.Initrds, err = initrd.Initrds(base); err != nil {
		i.Warnings = append(i.Warnings, err.Error())
	}
	i.MediaCheck = img.MediaCheck()
	i.Boots, i.Objects = i.Boot.Ways(), i.Boot.Objects()
	i.Programs = base.Programs()
	if o := i.Boot.Options(base.Path()); len(o) > 0 {
		i.Options = append([]string{fmt.Sprintf("-V '%s'", i.Volume.ID), fmt.Sprintf("--modification-date='%s'", strings.ReplaceAll(i.Volume.UUID, "-", ""))}, o...)
	}
	i.Reasons = base.Refusals()
	i.Rebuild = len(i.Reasons) == 0
	i.Warnings = append(i.Warnings, img.Warnings()...)
	for _, f := range i.Boot.Findings {
		i.Warnings = append(i.Warnings, f.String())
	}
	for _, err := range img.Missing() {
		i.Warnings = append(i.Warnings, err.Error())
	}
	return i, nil
}

func date(d iso9660.Date17) string {
	t := d.Time()
	if t.IsZero() {
		return ""
	}
	return t.Format("2006-01-02 15:04:05 -0700")
}

func inspectTree(img *iso9660.Image, h iso9660.Hierarchy) (*treeInfo, error) {
	root, err := img.Tree(h)
	if root == nil {
		return nil, err
	}
	rr, err := img.RockRidge(h)
	if err != nil {
		return nil, err
	}
	t := &treeInfo{Hierarchy: h.String(), RockRidge: rr, JolietLevel: img.Descriptor(h).Joliet()}
	for e := range root.Walk() {
		switch e.StMode() & iso9660.ModeType {
		case iso9660.ModeDir:
			t.Directories++
		case iso9660.ModeSymlink:
			t.Links++
		default:
			t.Files++
			t.Bytes += e.ContentSize()
		}
	}
	return t, nil
}

// text is the info for people.
func (i imageInfo) text() string {
	var b strings.Builder
	row := func(label, format string, args ...any) {
		if s := fmt.Sprintf(format, args...); s != "" {
			fmt.Fprintf(&b, "%-12s %s\n", label, plain(s))
		}
	}
	row("Image", "%s, %s (%d bytes)", i.Path, size(i.Size), i.Size)
	row("Volume", "%s", i.Volume.ID)
	if i.Release.Family != distro.Generic {
		row("Distribution", "%s", i.Release)
	}
	row("UUID", "%s", i.Volume.UUID)
	row("Created", "%s", i.Volume.Created)
	row("Application", "%s", i.Volume.Application)
	row("Publisher", "%s", i.Volume.Publisher)
	row("Preparer", "%s", i.Volume.Preparer)
	for _, t := range i.Trees {
		kind := ""
		switch {
		case t.RockRidge:
			kind = " with Rock Ridge"
		case t.JolietLevel > 0:
			kind = fmt.Sprintf(" level %d", t.JolietLevel)
		}
		row("Tree", "%s%s: %d directories, %d files, %d links, %s", t.Hierarchy, kind, t.Directories, t.Files, t.Links, size(t.Bytes))
	}
	if i.UDF {
		row("Tree", "UDF, not read")
	}
	if len(i.Sessions) > 1 {
		for n, s := range i.Sessions {
			seen := ""
			if s.Active {
				seen = ", the one that readers see"
			}
			row("Session", "%d: from block %d, %s%s", n+1, s.Start, s.VolumeID, seen)
		}
	}
	row("Boots", "%s", waysText(i.Boots, i.Programs))
	for _, p := range i.Programs {
		row("EFI program", "%s (%s): %s", p.Path, p.Machine, programText(p))
	}
	for _, l := range i.Boot.Describe() {
		label, rest, ok := strings.Cut(l, ": ")
		if !ok || len(label) > 12 {
			label, rest = "Boot", l
		}
		row(label, "%s", rest)
	}
	for _, o := range i.Objects {
		row("Object", "%s", objectText(o))
	}
	for n, name := range i.Initrds {
		number := ""
		if n > 0 {
			number = strconv.Itoa(n + 1)
		}
		row("Initrd", "@initrd%s: %s", number, name)
	}
	row("Media check", "%s", i.MediaCheck)
	if i.Rebuild {
		row("Rebuild", "possible")
	} else {
		row("Rebuild", "not yet: %s", strings.Join(i.Reasons, " "))
	}
	for _, w := range i.Warnings {
		row("Warning", "%s", w)
	}
	for n, o := range i.Options {
		if n == 0 {
			row("Made by", "xorriso -as mkisofs %s \\", o)
		} else if n == len(i.Options)-1 {
			row("", "  %s", o)
		} else {
			row("", "  %s \\", o)
		}
	}
	return b.String()
}

// waysText says on what the image boots.
func waysText(ways []boot.Way, programs []baseimage.Program) string {
	if len(ways) == 0 {
		return "from nothing that a PC starts"
	}
	var media []string
	by := map[string][]string{}
	for _, w := range ways {
		if by[w.Medium] == nil {
			media = append(media, w.Medium)
		}
		what := w.By
		for _, p := range programs {
			if w.Medium == "CD" && w.Firmware == "UEFI" && w.Object != nil && strings.HasPrefix(p.Path, w.Object.Name+":") {
				what = programText(p)
				break
			}
		}
		by[w.Medium] = append(by[w.Medium], w.Firmware+": "+what)
	}
	for i, m := range media {
		media[i] = fmt.Sprintf("from %s (%s)", m, strings.Join(by[m], "; "))
	}
	return strings.Join(media, ", ")
}

// objectText names boot equipment and where it is.
func objectText(o *boot.Object) string {
	where := "no directory lists it"
	switch {
	case o.Path != "":
		where = o.Path
	case o.Appended:
		where = "behind the file system"
	}
	return fmt.Sprintf("%s: %s at block %d, %s", o.Name, size(o.Len), o.Off/iso9660.BlockSize, where)
}

// programText says what an EFI program is and who signed it.
func programText(p baseimage.Program) string {
	what := strings.Join(p.Components, " + ")
	if what == "" {
		what = "a program that names no parts"
	}
	switch {
	case len(p.Signers) == 0:
		what += ", not signed"
	case !p.Intact:
		what += ", changed since it was signed by " + strings.Join(p.Signers, " and ")
	default:
		what += ", signed by " + strings.Join(p.Signers, " and ")
	}
	return what
}
