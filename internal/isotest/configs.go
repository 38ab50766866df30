package isotest

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Configs are the boot configurations that packages of Debian ship, as they are, by
// their paths: the package, then the path in it. They are fetched on first use.
func Configs(tb testing.TB) map[string][]byte {
	tb.Helper()
	Tool(tb, "apt-get")
	Tool(tb, "cpio")
	dir := build(tb, "work/configs", func(s *store) error { return s.script("configs.sh", s.work()) })
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, p)
		out[filepath.ToSlash(name)] = text
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return out
}
