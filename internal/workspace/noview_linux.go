package workspace

import (
	"errors"

	"github.com/isolayer/isolayer/internal/fsview"
)

// NoView reports whether an error means that no read-only view of the image could be
// mounted.
func NoView(err error) bool { return errors.Is(err, fsview.ErrNoFUSE) }
