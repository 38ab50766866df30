package isolayer

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/bootcfg"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// areaHeader is what images of CoreOS of up to 2021 have at the end of the system area:
// where in the image the areas are that coreos-installer writes to. Later ones say in
// files where in files they are.
type areaHeader struct {
	ignition span // of the Ignition config
	size     int64
	args     []int64 // areas of that size for kernel arguments
	defaults int64   // one with those that "iso kargs reset" gives the others, 0 without
}

// span is a part of an image.
type span struct{ off, len int64 }

// The header: 72 bytes about kernel arguments, 24 about the config.
const (
	kargsHeaderSize    = 72
	ignitionHeaderSize = 24
	maxKargsArea       = 2048 // that coreos-installer takes
)

// areaHeader reads the header, nil without one.
func (b *Base) areaHeader() *areaHeader {
	head := make([]byte, kargsHeaderSize+ignitionHeaderSize)
	if n, _ := b.src.ReadAt(head, 16*iso9660.BlockSize-int64(len(head))); n < len(head) {
		return nil
	}
	h, found := &areaHeader{}, false
	number := func(at int) int64 { return int64(binary.LittleEndian.Uint64(head[at:])) }
	within := func(off, n int64) bool { return off > 0 && n > 0 && n <= b.src.Size() && off <= b.src.Size()-n }
	if bytes.HasPrefix(head[kargsHeaderSize:], []byte("coreiso+")) && within(number(80), number(88)) {
		h.ignition, found = span{number(80), number(88)}, true
	}
	if h.size = number(8); bytes.HasPrefix(head, []byte("coreKarg")) && h.size <= maxKargsArea {
		if within(number(16), h.size) {
			h.defaults = number(16)
		}
		for at := 24; at < kargsHeaderSize && within(number(at), h.size); at += 8 {
			h.args, found = append(h.args, number(at)), true
		}
	}
	if !found {
		return nil
	}
	return h
}

// inPlace is new text of a file as the base's with some bytes changed, so that it stays at
// its address, if the header has an address in the file and the length is the same. nil
// for other files.
func (s *stage) inPlace(n *tree.Node, text []byte) (extent.Source, error) {
	h := s.base.areaHeader()
	if h == nil || n == nil {
		return nil, nil
	}
	base, err := s.base.merged()
	if err != nil {
		return nil, err
	}
	was := base.Exact(slashless(n.Path()))
	if was == nil || len(was.Content) != 1 || was.Size() != int64(len(text)) {
		return nil, nil
	}
	off := was.Content[0].LBA.Offset()
	named := false
	for _, at := range append([]int64{h.defaults}, h.args...) {
		named = named || off <= at && at < off+was.Size()
	}
	if !named {
		return nil, nil
	}
	old := make([]byte, len(text))
	if got, err := s.base.src.ReadAt(old, off); got < len(old) {
		return nil, fmt.Errorf("read %s: %w", n.Path(), err)
	}
	from, to := 0, len(text)
	for from < to && old[from] == text[from] {
		from++
	}
	for to > from && old[to-1] == text[to-1] {
		to--
	}
	whole, err := extent.New([]extent.Extent{extent.CopyOf(0, s.base.src, off, was.Size())})
	if err != nil {
		return nil, err
	}
	if from < to {
		if whole, err = whole.Overlay([]extent.Extent{extent.BytesOf(int64(from), text[from:to])}); err != nil {
			return nil, err
		}
	}
	return extent.Compose(n.Path(), whole), nil
}

// relabelDefaults brings the label in line in the arguments that coreos-installer resets
// an image to: in kargs.json, or in an area that the header names.
func (s *stage) relabelDefaults(old, label string) error {
	if err := s.relabelKargsFile(old, label); err != nil {
		return err
	}
	h := s.base.areaHeader()
	if h == nil || h.defaults == 0 {
		return nil
	}
	base, err := s.base.merged()
	if err != nil {
		return err
	}
	name, at := lies(base, h.defaults)
	n := s.tree.Exact(slashless(name))
	if name == "" || n == nil || n.Size() > bootcfg.MaxSize {
		return nil
	}
	text, err := s.reader().Read(n.Path(), bootcfg.MaxSize)
	if err != nil || int64(len(text)) < at+h.size {
		return err
	}
	area := text[at : at+h.size]
	now, count, err := relabelArgs(bytes.TrimRight(area, "#"), old, label)
	if err != nil || count == 0 {
		return err
	}
	if len(now) > len(area) {
		return fmt.Errorf("%s: %w", n.Path(), bootcfg.ErrRoom)
	}
	now = append(now, bytes.Repeat([]byte("#"), len(area)-len(now))...)
	text = slices.Concat(text[:at], now, text[at+h.size:])
	src, err := s.inPlace(n, text)
	if err != nil {
		return err
	}
	if src == nil {
		src = fat.Bytes(text)
	}
	s.changed(n.Path(), "label", count)
	return s.put(n.Path(), n.Attr, src)
}

// relabelKargsFile changes the label in the arguments that kargs.json has for default,
// and no other byte of it.
func (s *stage) relabelKargsFile(old, label string) error {
	found, dir, err := s.reader().Lookup("coreos/kargs.json")
	if err != nil || dir {
		return nil
	}
	text, err := s.reader().Read(found, bootcfg.MaxSize)
	if err != nil {
		return err
	}
	var info struct {
		Default string `json:"default"`
	}
	if json.Unmarshal(text, &info) != nil {
		return nil // nobody can use it
	}
	now, count, err := relabelArgs([]byte(info.Default), old, label)
	if err != nil || count == 0 {
		return err
	}
	from, to := plainJSON(info.Default), plainJSON(string(now))
	if bytes.Count(text, from) != 1 {
		s.warn("/" + found + " goes on to have the old label in the arguments that coreos-installer resets the image to")
		return nil
	}
	n, err := s.tree.Lookup(found)
	if err != nil {
		return err
	}
	s.changed(n.Path(), "label", count)
	return s.put(n.Path(), n.Attr, fat.Bytes(bytes.Replace(text, from, to, 1)))
}

// plainJSON writes a string as JSON has it where nothing is escaped without need.
func plainJSON(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // of a string
	return bytes.TrimSpace(b.Bytes())
}

// relabelArgs changes the label in a text of kernel arguments.
func relabelArgs(args []byte, old, label string) ([]byte, int, error) {
	f, err := bootcfg.Parse(bootcfg.Parm, args)
	if err != nil {
		return nil, 0, err
	}
	n, err := f.Relabel(old, label)
	return f.Bytes(), n, err
}

// checkHeader looks whether what the header names is where it says: the config's area in
// the same file, and areas of arguments with what they had, or with arguments and what
// fills them up.
func (b *books) checkHeader() error {
	h := b.s.base.areaHeader()
	if h == nil {
		return nil
	}
	if h.ignition.len > 0 {
		was, from := lies(b.base, h.ignition.off)
		is, to := lies(b.tree, h.ignition.off)
		if n := b.tree.Exact(slashless(is)); was != "" && (was != is || from != to || n == nil || n.Size() < to+h.ignition.len) {
			return fmt.Errorf("%s, which the system area names: %w", was, ErrReserved)
		}
	}
	first := ""
	for _, at := range h.args {
		was, from := lies(b.base, at)
		is, to := lies(b.tree, at)
		old, now := make([]byte, h.size+1), make([]byte, h.size+1) // and what follows
		if n, err := b.s.base.src.ReadAt(old, at); int64(n) < h.size {
			return fmt.Errorf("read the area at %d: %w", at, err)
		}
		if n, err := b.res.Map.ReadAt(now, at); int64(n) < h.size && at+h.size <= b.res.Map.Size() {
			return fmt.Errorf("read the area at %d: %w", at, err)
		} // what lies behind the end is zeros
		if _, ok := areaArgs(string(old[:h.size]), "#", "\n"); !ok || was == "" {
			continue // nobody can use it
		}
		args, ok := areaArgs(string(now[:h.size]), "#", "\n")
		if was != is || from != to || !ok || now[h.size] != old[h.size] || first != "" && args != first {
			return fmt.Errorf("%s, which the system area names: %w", was, ErrReserved)
		}
		first = args
	}
	return nil
}

// areaArgs are the arguments in an area; false for one that holds something else.
func areaArgs(area, pad, end string) (string, bool) {
	args := strings.TrimSpace(strings.TrimRight(strings.TrimRight(area, pad), end))
	return args, !strings.ContainsAny(args, "\n{}#\x00")
}

// lies is the path of the file at a place of the image, and where in it that is.
func lies(t *tree.Tree, at int64) (name string, off int64) {
	_ = t.Walk(func(n *tree.Node) error {
		for _, s := range n.Content {
			if from := s.LBA.Offset(); n.IsRegular() && from <= at && at < from+s.Size {
				name, off = n.Path(), at-from
			}
		}
		return nil
	})
	return name, off
}
