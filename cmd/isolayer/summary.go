package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/sink"
)

// summary says in one line what was done, then the warnings.
func (a *app) summary(output string, r layout.Report, res sink.Result, took time.Duration) {
	if output == "-" {
		output = "standard output"
	}
	what := changes(r) + "; " + size(r.Written) + " differ from the base, the rest copied"
	switch {
	case same(r):
		what = "unchanged: the same bytes as the base"
	case res.Method == sink.MethodReflink:
		what = changes(r) + "; " + size(r.Written) + " differ from the base, the rest shared with it"
	}
	fmt.Fprintf(a.err, "%s: %s, %s, in %.1f s\n", name(output), size(r.Size), what, took.Seconds())
	if r.MediaCheck != "" {
		fmt.Fprintf(a.err, "media check: %s\n", r.MediaCheck)
	}
	a.bootFiles(r)
	a.warn(r)
}

// bootFiles says what was changed in which boot configurations.
func (a *app) bootFiles(r layout.Report) {
	for _, f := range r.BootFiles {
		fmt.Fprintf(a.err, "%s\n", plain(f.String()))
	}
}

// same reports an image that is its base.
func same(r layout.Report) bool { return r.Written == 0 && r.Size == r.BaseSize }

// differs says what of the image is not the base's.
func differs(r layout.Report) string {
	if same(r) {
		return "nothing"
	}
	return fmt.Sprintf("%s: %s of new content, %s wiped, the rest trees and tables", size(r.Written), size(r.Content), size(r.Wiped))
}

// following are changes that nobody asks for: what an image says of itself stays true.
var following = []string{"checksums", "names", "signed anew", "offsets"}

// changes counts what was edited, in words: files, boot files, and what follows of that.
func changes(r layout.Report) string {
	asked, follows, listed := 0, 0, 0
	for _, f := range r.BootFiles {
		if strings.HasPrefix(f.Path, "/") {
			listed++
		}
		if follow(f) {
			follows++
		} else {
			asked++
		}
	}
	var out []string
	for _, c := range []struct {
		n    int
		what string
	}{{r.Added, "added"}, {max(r.Replaced-listed, 0), "replaced"}, {r.Removed, "removed"}, {r.Changed, "renamed or altered"}, {asked, "boot files changed"}, {follows, "lists follow"}} {
		if c.n > 0 {
			out = append(out, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	text := strings.NewReplacer("1 boot files", "1 boot file", "1 lists follow", "1 list follows").Replace(" " + strings.Join(out, ", "))
	switch {
	case len(out) == 0 && same(r):
		return "unchanged"
	case len(out) == 0:
		return "no file changed"
	}
	return text[1:]
}

// follow reports a boot file in which only what follows was changed.
func follow(f layout.BootFile) bool {
	for what := range f.Changes {
		if !slices.Contains(following, what) {
			return false
		}
	}
	return true
}

// idle says of options that they had nothing to do.
func (a *app) idle(img *build.Image, o buildOptions) {
	if o.asJSON || o.base == nil {
		return
	}
	r, e := img.Report, o.base.Boot()
	tell := func(ok bool, format string, args ...any) {
		if ok {
			fmt.Fprintf(a.err, "%s\n", plain(fmt.Sprintf(format, args...)))
		}
	}
	signed := slices.ContainsFunc(r.BootFiles, func(f layout.BootFile) bool { return f.Changes["signed anew"] > 0 })
	tell(o.resign != "" && !signed, "--resign: no signature had to be renewed")
	for way := range strings.SplitSeq(o.noBoot, ",") {
		tell(way != "" && !boots(e, way), "--no-boot %s: the image does not boot that way anyway", way)
	}
	refreshed := slices.ContainsFunc(r.Notes, func(s string) bool { return strings.HasPrefix(s, "repository ") })
	tell(o.refreshRepo && !refreshed, "--refresh-repo: no package of a repository was added or removed")
	tell(o.mediaCheck == "strip" && o.base.Image().Primary().MediaCheck() == "", "--media-check strip: the image had none")
	adds := slices.ContainsFunc(o.steps, func(s edit.Step) bool { _, ok := s.(edit.Add); return ok })
	tell(o.preserve != "" && !adds, "--preserve: no file was added")
	switch broken := len(e.Findings) > 0; {
	case o.repair && (!broken || len(o.steps) == 0 && same(r)):
		tell(true, "--repair: nothing to repair")
	case o.repair && len(o.steps) == 0:
		tell(true, "repaired: %s", strings.Join(repaired(r, e), ", "))
	case o.repair:
		tell(true, "--repair: boot tables and checksums are written afresh")
	}
}

// repaired names what was repaired: what was wrong, and boot tables that differ.
func repaired(r layout.Report, e *boot.Equipment) (out []string) {
	out = append(out, r.Boot...)
	for _, f := range e.Findings {
		if f.Kind != iso9660.ErrUnsupported && len(r.Boot) == 0 {
			out = append(out, f.Where)
		}
	}
	return out
}

// boots reports equipment that boots the way that --no-boot names.
func boots(e *boot.Equipment, way string) bool {
	if e.Catalog == nil {
		return false
	}
	return slices.ContainsFunc(e.Catalog.Entries, func(en boot.Entry) bool {
		return way == "all" || way == "bios" && en.Platform == boot.BIOS || way == "uefi" && en.Platform == boot.UEFI
	})
}
