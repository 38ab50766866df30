//go:build !linux

package isolayer

import (
	"errors"

	"github.com/isolayer/isolayer/iso9660"
)

func attributes(string, MasterOptions) ([]iso9660.Attribute, error) {
	return nil, errors.New("access lists and attributes are read on Linux only")
}
