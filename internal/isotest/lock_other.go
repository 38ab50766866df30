//go:build !unix

package isotest

import (
	"errors"
	"os"
)

// acquire fails: images are made with Debian's programs only.
func acquire(string) (*os.File, error) {
	return nil, errors.ErrUnsupported
}
