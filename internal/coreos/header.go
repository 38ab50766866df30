package coreos

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/bootcfg"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
)

// areaHeader is what images of CoreOS of up to 2021 have at the end of the system area:
// where in the image the areas are that coreos-installer writes to. Later ones say in
// files where in files they are.
type areaHeader struct {
	Ignition span // of the Ignition config
	Size     int64
	Args     []int64 // areas of that size for kernel arguments
	defaults int64   // one with those that "iso kargs reset" gives the others, 0 without
}

// span is a part of an image.
type span struct{ Off, Len int64 }

// The header: 72 bytes about kernel arguments, 24 about the config.
const (
	kargsHeaderSize    = 72
	ignitionHeaderSize = 24
	maxKargsArea       = 2048 // that coreos-installer takes
)

// AreaHeader reads the header, nil without one.
func AreaHeader(b *baseimage.Base) *areaHeader {
	head := make([]byte, kargsHeaderSize+ignitionHeaderSize)
	if n, _ := b.Source().ReadAt(head, 16*iso9660.BlockSize-int64(len(head))); n < len(head) {
		return nil
	}
	h, found := &areaHeader{}, false
	number := func(at int) int64 { return int64(binary.LittleEndian.Uint64(head[at:])) }
	within := func(off, n int64) bool {
		return off > 0 && n > 0 && n <= b.Source().Size() && off <= b.Source().Size()-n
	}
	if bytes.HasPrefix(head[kargsHeaderSize:], []byte("coreiso+")) && within(number(80), number(88)) {
		h.Ignition, found = span{number(80), number(88)}, true
	}
	if h.Size = number(8); bytes.HasPrefix(head, []byte("coreKarg")) && h.Size <= maxKargsArea {
		if within(number(16), h.Size) {
			h.defaults = number(16)
		}
		for at := 24; at < kargsHeaderSize && within(number(at), h.Size); at += 8 {
			h.Args, found = append(h.Args, number(at)), true
		}
	}
	if !found {
		return nil
	}
	return h
}

// InPlace is new text of a file as the base's with some bytes changed, so that it stays at
// its address, if the header has an address in the file and the length is the same. nil
// for other files.
func InPlace(s *stage.Stage, n *tree.Node, text []byte) (extent.Source, error) {
	h := AreaHeader(s.Base)
	if h == nil || n == nil {
		return nil, nil
	}
	base, err := s.Base.Merged()
	if err != nil {
		return nil, err
	}
	was := base.Exact(stage.Slashless(n.Path()))
	if was == nil || len(was.Content()) != 1 || was.Size() != int64(len(text)) {
		return nil, nil
	}
	off := was.Content()[0].LBA.Offset()
	named := false
	for _, at := range append([]int64{h.defaults}, h.Args...) {
		named = named || off <= at && at < off+was.Size()
	}
	if !named {
		return nil, nil
	}
	old := make([]byte, len(text))
	if got, err := s.Base.Source().ReadAt(old, off); got < len(old) {
		return nil, fmt.Errorf("read %s: %w", n.Path(), err)
	}
	from, to := 0, len(text)
	for from < to && old[from] == text[from] {
		from++
	}
	for to > from && old[to-1] == text[to-1] {
		to--
	}
	p := extent.Patched{Src: s.Base.Source(), Off: off, Len: was.Size()}
	if from < to {
		p.Patches = []extent.Extent{extent.BytesOf(int64(from), text[from:to])}
	}
	m, err := p.Map()
	if err != nil {
		return nil, err
	}
	return extent.Compose(n.Path(), m), nil
}

// RelabelDefaults brings the label in line in the arguments that coreos-installer resets
// an image to: in kargs.json, or in an area that the header names.
func RelabelDefaults(s *stage.Stage, old, label string) error {
	if err := relabelKargsFile(s, old, label); err != nil {
		return err
	}
	h := AreaHeader(s.Base)
	if h == nil || h.defaults == 0 {
		return nil
	}
	base, err := s.Base.Merged()
	if err != nil {
		return err
	}
	name, at := Lies(base, h.defaults)
	n := s.Tree.Exact(stage.Slashless(name))
	if name == "" || n == nil || n.Size() > bootcfg.MaxSize {
		return nil
	}
	text, err := s.Reader().Read(n.Path(), bootcfg.MaxSize)
	if err != nil || int64(len(text)) < at+h.Size {
		return err
	}
	area := text[at : at+h.Size]
	now, count, err := RelabelArgs(bytes.TrimRight(area, "#"), old, label)
	if err != nil || count == 0 {
		return err
	}
	if len(now) > len(area) {
		return fmt.Errorf("%s: %w", n.Path(), bootcfg.ErrRoom)
	}
	now = append(now, bytes.Repeat([]byte("#"), len(area)-len(now))...)
	text = slices.Concat(text[:at], now, text[at+h.Size:])
	src, err := InPlace(s, n, text)
	if err != nil {
		return err
	}
	if src == nil {
		src = fat.Bytes(text)
	}
	s.Changed(n.Path(), "label", count)
	return s.Put(n.Path(), n.Attr, src)
}

// relabelKargsFile changes the label in the arguments that kargs.json has for default,
// and no other byte of it.
func relabelKargsFile(s *stage.Stage, old, label string) error {
	found, dir, err := s.Reader().Lookup("coreos/kargs.json")
	if err != nil || dir {
		return nil
	}
	text, err := s.Reader().Read(found, bootcfg.MaxSize)
	if err != nil {
		return err
	}
	var info struct {
		Default string `json:"default"`
	}
	if json.Unmarshal(text, &info) != nil {
		return nil // nobody can use it
	}
	now, count, err := RelabelArgs([]byte(info.Default), old, label)
	if err != nil || count == 0 {
		return err
	}
	from, to := plainJSON(info.Default), plainJSON(string(now))
	if bytes.Count(text, from) != 1 {
		s.Warn("/" + found + " goes on to have the old label in the arguments that coreos-installer resets the image to")
		return nil
	}
	n, err := s.Tree.Lookup(found)
	if err != nil {
		return err
	}
	s.Changed(n.Path(), "label", count)
	return s.Put(n.Path(), n.Attr, fat.Bytes(bytes.Replace(text, from, to, 1)))
}

// plainJSON writes a string as JSON has it where nothing is escaped without need.
func plainJSON(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // of a string
	return bytes.TrimSpace(b.Bytes())
}

// RelabelArgs changes the label in a text of kernel arguments.
func RelabelArgs(args []byte, old, label string) ([]byte, int, error) {
	f, err := bootcfg.Parse(bootcfg.Parm, args)
	if err != nil {
		return nil, 0, err
	}
	n, err := f.Relabel(old, label)
	return f.Bytes(), n, err
}

// AreaArgs are the arguments in an area; false for one that holds something else.
func AreaArgs(area, pad, end string) (string, bool) {
	args := strings.TrimSpace(strings.TrimRight(strings.TrimRight(area, pad), end))
	return args, !strings.ContainsAny(args, "\n{}#\x00")
}

// Lies is the path of the file at a place of the image, and where in it that is.
func Lies(t *tree.Tree, at int64) (name string, off int64) {
	_ = t.Walk(func(n *tree.Node) error {
		for _, s := range n.Content() {
			if from := s.LBA.Offset(); n.IsRegular() && from <= at && at < from+s.Size {
				name, off = n.Path(), at-from
			}
		}
		return nil
	})
	return name, off
}
