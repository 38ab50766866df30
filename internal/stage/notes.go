package stage

import (
	"slices"

	"github.com/isolayer/isolayer/internal/bootcfg"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/menu"
)

// BootMenus are the boot configurations of one file system.
type BootMenus struct {
	Volume
	Configs []*bootcfg.Config
	Set     *menu.Set
}

// mediumState changes with every edit that loaders may see.
type mediumState struct {
	edits, replacements int
	label               string
}

// State is what the image is now to loaders, to be compared.
func (s *Stage) State() mediumState {
	return mediumState{s.Tree.Edits(), s.replacements, s.Medium().Label}
}

// Warn notes a warning, once.
func (s *Stage) Warn(text string) {
	if !slices.Contains(s.Warnings, text) {
		s.Warnings = append(s.Warnings, text)
	}
}

// Changed notes that n places of a boot file changed. The same entries may change
// several times: the most of them counts.
func (s *Stage) Changed(name, what string, n int) {
	if n == 0 {
		return
	}
	i := slices.IndexFunc(s.BootFiles, func(f layout.BootFile) bool { return f.Path == name })
	if i < 0 {
		i = len(s.BootFiles)
		s.BootFiles = append(s.BootFiles, layout.BootFile{Path: name, Changes: map[string]int{}})
	}
	s.BootFiles[i].Changes[what] = max(s.BootFiles[i].Changes[what], n)
}
