package isolayer

import (
	"fmt"
	"maps"

	"github.com/isolayer/isolayer/internal/diff"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/verify"
)

// Report is what Build did. Sizes are in bytes.
type Report struct {
	BaseSize int64 `json:"base_size"`
	Size     int64 `json:"size"`
	// Written is what differs from the base at the same place: new content, directories,
	// tables, and zeros over what was removed.
	Written int64 `json:"written"`

	Added    int `json:"added"`    // files, directories and links that are new
	Replaced int `json:"replaced"` // files with new content
	Removed  int `json:"removed"`
	Changed  int `json:"changed"` // renamed, moved or with other attributes

	// MediaCheck is the program and the sum of a media check that was computed.
	MediaCheck string `json:"media_check,omitempty"`
	// Moved are untouched files whose content has another place than in the base.
	Moved []string `json:"moved,omitempty"`
	// BootFiles are the boot configurations that changed, in how many places what.
	BootFiles map[string]map[string]int `json:"boot_files,omitempty"`
	// Broken are signatures of the base that do not hold any more: what each signs.
	Broken map[string]string `json:"broken,omitempty"`
	// Unattended says why the image overwrites disks without asking; empty if it is not
	// known to.
	Unattended []string `json:"unattended,omitempty"`
	Notes      []string `json:"notes,omitempty"`
	// Warnings are what a step could not do, or not everywhere.
	Warnings []string `json:"warnings,omitempty"`
}

func report(r *layout.Report) Report {
	out := Report{
		BaseSize: r.BaseSize, Size: r.Size, Written: r.Written, Added: r.Added, Replaced: r.Replaced, Removed: r.Removed,
		Changed: r.Changed, MediaCheck: r.MediaCheck, Unattended: r.Unattended, Notes: r.Notes, Warnings: r.Warnings,
	}
	for _, m := range r.Moved {
		out.Moved = append(out.Moved, m.Path)
	}
	for _, f := range r.BootFiles {
		if out.BootFiles == nil {
			out.BootFiles = map[string]map[string]int{}
		}
		out.BootFiles[f.Path] = maps.Clone(f.Changes)
	}
	for _, s := range r.Signatures {
		if out.Broken == nil {
			out.Broken = map[string]string{}
		}
		out.Broken[s.Path] = s.Signs
	}
	return out
}

// Severity is how bad a finding is.
type Severity string

// The severities.
const (
	// Problem is what readers or firmware fail at, or what contradicts itself.
	Problem Severity = "problem"
	// Notice is unusual, or against the letter of a standard, but harmless as a rule.
	Notice Severity = "notice"
)

// Findings are what Verify found. A check that found nothing is not in the list.
type Findings struct {
	List []Finding `json:"findings,omitempty"`
	// Problems and Notices count all findings, of which the first hundred of each check are
	// listed.
	Problems int `json:"problems"`
	Notices  int `json:"notices"`
}

// Finding is one thing that is not as it should be.
type Finding struct {
	Severity Severity `json:"severity"`
	Check    string   `json:"check"`            // such as "path tables"
	Offset   int64    `json:"offset,omitempty"` // in the image, in bytes; 0 where a path says it
	Path     string   `json:"path,omitempty"`
	Text     string   `json:"text"`
}

func (f Finding) String() string {
	switch {
	case f.Path != "":
		return fmt.Sprintf("%s: %s: %s", f.Severity, f.Path, f.Text)
	case f.Offset != 0:
		return fmt.Sprintf("%s: offset %d: %s", f.Severity, f.Offset, f.Text)
	}
	return fmt.Sprintf("%s: %s", f.Severity, f.Text)
}

func findings(r *verify.Report) *Findings {
	out := &Findings{}
	for _, g := range r.Groups {
		out.Problems, out.Notices = out.Problems+g.Problems, out.Notices+g.Notices
		for _, f := range g.Findings {
			x := Finding{Severity: Severity(f.Severity), Check: f.Check, Path: f.Path, Text: f.Text}
			if f.Offset != nil {
				x.Offset = *f.Offset
			}
			out.List = append(out.List, x)
		}
	}
	return out
}

// ChangeKind is what became of something.
type ChangeKind string

// The kinds of changes.
const (
	Added   ChangeKind = "added"
	Removed ChangeKind = "removed"
	Moved   ChangeKind = "moved"
	Changed ChangeKind = "changed"
)

// Change is a file, directory, text of a descriptor, or part of what boots that differs.
type Change struct {
	Kind    ChangeKind `json:"kind"`
	Name    string     `json:"name"`              // path, field, or what boots
	From    string     `json:"from,omitempty"`    // the path before, of what moved
	Details []string   `json:"details,omitempty"` // what differs
}

// Changes are how two images differ.
type Changes struct {
	Files  []Change `json:"files,omitempty"`
	Volume []Change `json:"volume,omitempty"` // texts of the descriptors
	Boot   []Change `json:"boot,omitempty"`
}

// None reports whether the images are the same for all who read them.
func (c *Changes) None() bool { return len(c.Files)+len(c.Volume)+len(c.Boot) == 0 }

func changes(r *diff.Report) *Changes {
	return &Changes{Files: changeList(r.Tree), Volume: changeList(r.Volume), Boot: changeList(r.Boot)}
}

func changeList(list []diff.Change) (out []Change) {
	for _, c := range list {
		x := Change{Kind: ChangeKind(c.Kind), Name: c.Name, From: c.From}
		for _, d := range c.Details {
			x.Details = append(x.Details, d.String())
		}
		out = append(out, x)
	}
	return out
}
