// Package scan turns local files into the tree of a new image and lays it out by package
// master.
//
// It writes nothing, and reads no content but of what boots.
package scan

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/master"
)

// Result is a planned image of local files.
type Result struct {
	*master.Result // Warnings are those of the files, too
	Notes          []string

	files *extent.Files
}

// Close closes the files that the image reads.
func (r *Result) Close() error { return r.files.Close() }

// Plan plans a new image of local files. Of files only those that boot are read. Close the
// result when the image has been written.
func Plan(sources []Graft, o Options) (res *Result, err error) {
	s := newScan(o)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.files.Close())
		}
	}()
	if len(sources) == 0 {
		return nil, fmt.Errorf("%w: nothing to put into the image", os.ErrInvalid)
	}
	s.twice = o.FollowLinks || len(sources) > 1
	for _, g := range sources {
		if err := s.graft(g); err != nil {
			return nil, err
		}
	}
	if o.Once {
		if err := master.Once(s.tree); err != nil {
			return nil, err
		}
	}
	return s.plan()
}

// plan lays the scanned tree out.
func (s *scan) plan() (*Result, error) {
	o := s.o
	if s.tree.Epoch = s.newest; o.Epoch != nil {
		s.tree.Epoch = *o.Epoch
	}
	if o.Texts.Modified.IsZero() {
		o.Texts.Modified = s.tree.Epoch
	}
	if o.Texts.Created.IsZero() {
		o.Texts.Created = o.Texts.Modified
	}
	s.settle(s.tree.Root)
	mo := master.Options{
		Texts: o.Texts, Naming: o.Naming, Relocate: o.Relocate,
		TransTable: o.TransTable, TransTableJoliet: !o.HideTransTable, Padding: o.Padding,
		Weight: s.weights, Marked: s.marked, Extra: s.extra, Made: s.made(), Input: o.Names.Input, Output: o.Names.Output,
	}
	for _, p := range master.Weigh(s.tree, o.Weights, s.weights) {
		s.said.Add("no such file for the sort weight", p)
	}
	if o.Boot != nil {
		b, err := s.equipment(*o.Boot, o.Texts)
		if err != nil {
			return nil, err
		}
		mo.Boot = b
		if mo.Texts.Volume == "" { // by which its boot loaders find the medium
			mo.Texts.Volume = s.label
		}
	}
	res, err := master.Plan(s.tree, mo)
	if err != nil {
		return nil, err
	}
	res.Warnings = slices.Concat(s.lacking, s.said.Warnings(), res.Warnings)
	return &Result{Result: res, Notes: append(s.notes, s.said.Notes()...), files: s.files}, nil
}
