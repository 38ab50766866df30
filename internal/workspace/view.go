//go:build linux

package workspace

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/iso9660"
)

// viewSpec is a read-only view of an image.
type viewSpec struct {
	Image   string
	Session int
	Limits  fault.Limits
	Dir     string
	Root    bool     // everything shows as root's
	Kinds   []string // in the order in which they are tried: erofs, iso9660, fuse
	Meta    string   // where an EROFS image may be written
	Helper  bool     // fusermount3 may help
	// Detached views outlive this process.
	Detached bool
}

// mount mounts a view of the first kind that works.
func (v *viewSpec) mount() (kind string, err error) {
	var errs []error
	for _, kind := range v.Kinds {
		switch kind {
		case "erofs":
			err = v.mountEROFS()
		case "iso9660":
			err = v.mountKernel()
		default:
			err = v.mountFUSE()
		}
		if err == nil {
			return kind, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", kind, err))
	}
	return "", fmt.Errorf("show %s: %w", v.Image, errors.Join(errs...))
}

func (v *viewSpec) open() (*extent.File, *iso9660.Image, error) {
	src, err := extent.NewFiles().Add(v.Image)
	if err != nil {
		return nil, nil, err
	}
	img, err := iso9660.Open(src, src.Size(), iso9660.Options{Session: v.Session, Budget: fault.NewBudget(src.Size(), v.Limits)})
	return src, img, err
}

// mountFUSE starts a process that serves the view.
func (v *viewSpec) mountFUSE() error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if v.Detached {
		return serveDetached(b)
	}
	return serveFUSE(b)
}
