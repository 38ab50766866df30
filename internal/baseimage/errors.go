package baseimage

import (
	"errors"

	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/fault"
)

// ErrNoObject reports an @ name that the image has nothing for.
var ErrNoObject = boot.ErrNoObject

// Bare strips the operation from a path error whose path the caller names already.
func Bare(err error) error { return fault.Bare(err) }

// InImage names the image whose fault an error is, unless it is named already.
func InImage(path string, err error) error {
	var named *ImageError
	if kind := fault.Kind(""); errors.As(err, &kind) && !errors.As(err, &named) {
		return &ImageError{Path: path, Err: err}
	}
	return err
}
