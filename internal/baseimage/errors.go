package baseimage

import (
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/fault"
)

// ErrNoObject reports an @ name that the image has nothing for.
var ErrNoObject = boot.ErrNoObject

// Bare strips the operation from a path error whose path the caller names already.
func Bare(err error) error { return fault.Bare(err) }
