package isofile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/moby/patternmatcher"
)

// source is the path of a file of the context.
func (c *run) source(name string) (string, error) {
	if name = filepath.FromSlash(name); filepath.IsAbs(name) {
		name = strings.TrimLeft(name, string(filepath.Separator))
	}
	if !filepath.IsLocal(name) {
		return "", fmt.Errorf("%s %w", name, ErrOutside)
	}
	return filepath.Join(c.Context, name), nil
}

// ignored reports which files of the context are not there: those that .isoignore names.
func (c *run) ignored() (func(string) (bool, error), error) {
	b, err := os.ReadFile(filepath.Join(c.Context, ".isoignore"))
	if errors.Is(err, fs.ErrNotExist) {
		return func(string) (bool, error) { return false, nil }, nil
	} else if err != nil {
		return nil, err
	}
	var patterns []string
	for l := range strings.Lines(string(b)) {
		l = strings.TrimSpace(l)
		if l == "" || strings.HasPrefix(l, "#") {
			continue
		}
		not, ok := strings.CutPrefix(l, "!")
		l = strings.TrimPrefix(path.Clean(filepath.ToSlash(strings.TrimSpace(not))), "/")
		if ok {
			l = "!" + l
		}
		patterns = append(patterns, l)
	}
	m, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, fmt.Errorf(".isoignore: %w", err)
	}
	return func(p string) (bool, error) { return m.MatchesOrParentMatches(filepath.ToSlash(p)) }, nil
}
