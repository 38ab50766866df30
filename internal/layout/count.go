package layout

import (
	"fmt"
	"time"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// The limits that some readers have: Linux drops the end of longer names, and a
// path table numbers parents in 16 bits.
const (
	safeName  = 253
	tableDirs = 1<<16 - 1
	// timesShown is how many files are named whose time a record cannot hold.
	timesShown = 5
)

// warnNames reports what the format holds but not every reader can show.
func (p *planner) warnNames() {
	warn := func(format string, args ...any) {
		p.report.Warnings = append(p.report.Warnings, fmt.Sprintf(format, args...))
	}
	var outside []*tree.Node // their time is none that a record holds
	for n := range nodes(p.tree.Root) {
		if len(n.Name) > safeName && (n.Replaced() || n.Renamed()) {
			warn("%s: Linux cuts names of more than %d bytes", n.Path(), safeName)
		}
		if _, ok := iso9660.RecordTime(n.ModTime); !ok && (n.Replaced() || n.Redated()) {
			outside = append(outside, n)
		}
		if n.LostForks() {
			p.report.Notes = append(p.report.Notes, n.Path()+": the resource fork of the old content went with it")
		}
	}
	for _, n := range outside[:min(len(outside), timesShown)] {
		held, _ := iso9660.RecordTime(n.ModTime)
		warn("%s: records hold times of the years 1900 to 2155: %s became %s", n.Path(), n.ModTime.UTC().Format(time.DateOnly), held.Format(time.DateOnly))
	}
	if more := len(outside) - timesShown; more > 0 {
		warn("the times of %d more files became others, too", more)
	}
	for _, b := range p.trees {
		if len(b.dirs) > tableDirs {
			warn("%s: path tables hold %d directories; the others are in the tree only", b.h, tableDirs)
		}
	}
}

// count fills in how many nodes changed.
func (p *planner) count() {
	listed := 0 // of the primary hierarchy
	for n := range nodes(p.tree.Root) {
		if n.Of() != nil {
			continue // its file counts
		}
		isNew := true
		for _, e := range n.Found {
			isNew = isNew && e == nil
		}
		if n.Found[iso9660.Primary] != nil && !n.Hidden {
			listed++
		}
		switch {
		case isNew:
			p.report.Added++
		case n.Replaced():
			p.report.Replaced++
		case n.Renamed() || n.Moved() || n.Altered():
			p.report.Changed++
		}
	}
	root, _ := p.base.Image.Tree(iso9660.Primary) // was read before
	for range root.Walk() {
		listed--
	}
	if listed < 0 {
		p.report.Removed = p.removed(root)
	}
}

// removed counts the names under root that the tree has no more.
func (p *planner) removed(root *iso9660.Entry) int {
	found := map[*iso9660.Entry]bool{}
	for n := range nodes(p.tree.Root) {
		found[n.Found[iso9660.Primary]] = true
	}
	gone := map[string]bool{}
	for e := range root.Walk() {
		if !found[e] {
			gone[e.Path()] = true
		}
	}
	return len(gone)
}
