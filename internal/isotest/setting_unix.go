//go:build unix

package isotest

import (
	"os"
	"syscall"
)

// Tests do not hang on the setting of whoever runs them: files get the usual modes, and
// programs read and write names as UTF-8, with English words.
func init() {
	syscall.Umask(0o022)
	_ = os.Setenv("LC_ALL", "C.UTF-8") // fails for other names only
	_ = os.Unsetenv("LANGUAGE")
}
