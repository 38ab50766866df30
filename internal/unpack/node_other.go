//go:build !linux

package unpack

import (
	"errors"
	"os"

	"github.com/isolayer/isolayer/internal/tree"
)

func makeNode(*os.File, string, *tree.Node) error { return errors.ErrUnsupported }
