package mediacheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
)

var (
	// ErrNone reports an image without a media check.
	ErrNone = errors.New("no media check")
	// ErrFieldUsed reports a field that is not ours to overwrite.
	ErrFieldUsed = errors.New("not free")
)

// State is what is known of an image's media check.
type State struct {
	Tag    *Tag
	Blocks int64 // of the volume
	Outcome
	// Files have content in the damaged range, if there is one.
	Files []string

	Used bool // something is in the field
}

// Blank reports whether nothing is in the application use field.
func Blank(field []byte) bool { return len(bytes.Trim(field, " \x00")) == 0 }

// Read reads the media check of an image without checking it. Nothing else of the image
// needs to be readable. ErrNone if it has none.
func Read(src extent.Source) (*State, error) {
	m, err := stateOf(src)
	if err == nil && m.Tag == nil {
		err = ErrNone
	}
	return m, err
}

// CheckImage compares an image with its media check; it stops at the first fragment that
// is damaged. ErrNone if it has none.
func CheckImage(ctx context.Context, src extent.Source, progress func(done, total int64)) (*State, error) {
	m, err := Read(src)
	if err != nil {
		return m, err
	}
	if m.Outcome, err = Check(ctx, src, src.Size(), m.Tag, m.Blocks, progress); err != nil || m.OK {
		return m, err
	}
	if img, err := iso9660.Open(src, src.Size(), iso9660.Options{}); err == nil {
		m.Files, _ = img.FilesIn(m.From, m.To) // damage may be in the tree itself
	}
	return m, nil
}

// ImplantOptions tune Implant.
type ImplantOptions struct {
	// Force overwrites what the field holds.
	Force bool
	// Supported sets the flag that says so.
	Supported bool
	Progress  func(done, total int64)
}

// Implant computes a media check of isomd5sum for an image; its field belongs at Offset.
// A field in use gives ErrFieldUsed.
func Implant(ctx context.Context, src extent.Source, o ImplantOptions) (*Tag, error) {
	m, err := stateOf(src)
	if err != nil && (!o.Force || !errors.Is(err, ErrMalformed)) {
		return nil, err
	}
	if !o.Force && (m.Tag != nil || m.Used) {
		return nil, fmt.Errorf("application use field: %w", ErrFieldUsed)
	}
	like := New()
	like.Supported = o.Supported
	return Compute(ctx, src, like, m.Blocks, o.Progress)
}

// stateOf reads the descriptor in block 16.
func stateOf(src extent.Source) (*State, error) {
	d := make([]byte, iso9660.BlockSize)
	if n, err := src.ReadAt(d, iso9660.LBA(16).Offset()); n < len(d) && (err == nil || errors.Is(err, io.EOF)) {
		return nil, iso9660.ErrNotISO
	} else if n < len(d) {
		return nil, err
	}
	if string(d[1:6]) != "CD001" {
		return nil, iso9660.ErrNotISO
	}
	field := d[iso9660.OffAppUse : iso9660.OffAppUse+Size]
	tag, err := Parse(field)
	return &State{Tag: tag, Blocks: Blocks(d), Used: !Blank(field)}, err
}
