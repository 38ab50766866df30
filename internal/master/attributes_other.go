//go:build !linux

package master

import (
	"errors"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// Kept says which attributes of local files an image gets.
type Kept struct{ ACL, User, All bool }

// Attributes is not there on this system.
func Attributes(string, Kept) ([]iso9660.Attribute, error) {
	return nil, errors.New("access lists and attributes are read on Linux only")
}
