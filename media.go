package isolayer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/inplace"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/mediacheck"
)

// ErrNoMediaCheck reports an image without a media check.
var ErrNoMediaCheck = errors.New("no media check")

// MediaState is what is known of an image's media check.
type MediaState struct {
	Tag    *mediacheck.Tag
	Blocks int64 // of the volume
	mediacheck.Outcome
	// Files have content in the damaged range, if there is one.
	Files []string

	used bool // something is in the field
}

// ReadMediaCheck reads the media check of an image file without checking it. Nothing
// else of the image needs to be readable. ErrNoMediaCheck if it has none.
func ReadMediaCheck(path string) (*MediaState, error) {
	var m *MediaState
	err := withFile(path, func(src extent.Source) (err error) {
		m, err = readMedia(src)
		if err == nil && m.Tag == nil {
			err = ErrNoMediaCheck
		}
		return err
	})
	return m, err
}

// CheckMedia compares an image file with its media check; it stops at the first
// fragment that is damaged.
func CheckMedia(ctx context.Context, path string, progress func(done, total int64)) (*MediaState, error) {
	var m *MediaState
	err := withFile(path, func(src extent.Source) (err error) {
		if m, err = readMedia(src); err != nil {
			return err
		}
		if m.Tag == nil {
			return ErrNoMediaCheck
		}
		if m.Outcome, err = mediacheck.Check(ctx, src, src.Size(), m.Tag, m.Blocks, progress); err != nil || m.OK {
			return err
		}
		if img, err := iso9660.Open(src, src.Size(), iso9660.Options{}); err == nil {
			m.Files, _ = img.FilesIn(m.From, m.To) // damage may be in the tree itself
		}
		return nil
	})
	return m, err
}

// ImplantOptions tune ImplantMedia.
type ImplantOptions struct {
	// Force overwrites what the field holds.
	Force bool
	// Supported sets the flag that says so.
	Supported bool
	Progress  func(done, total int64)
}

// ImplantMedia puts a media check of isomd5sum into an image file: 512 bytes are
// written, in place, after all was read. A field in use gives ErrFieldUsed.
func ImplantMedia(ctx context.Context, path string, o ImplantOptions) (tag *mediacheck.Tag, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	err = withFile(path, func(src extent.Source) error {
		m, err := readMedia(src)
		if err != nil && (!o.Force || !errors.Is(err, mediacheck.ErrMalformed)) {
			return err
		}
		if !o.Force && (m.Tag != nil || m.used) {
			return fmt.Errorf("application use field: %w", ErrFieldUsed)
		}
		like := mediacheck.New()
		like.Supported = o.Supported
		if tag, err = mediacheck.Compute(ctx, src, like, m.Blocks, o.Progress); err != nil {
			return err
		}
		field, err := tag.Field()
		if err != nil {
			return err
		}
		if err := src.(*extent.File).Check(); err != nil {
			return err
		}
		if _, err := f.WriteAt(field, mediacheck.Offset); err != nil {
			return err
		}
		return f.Sync()
	})
	return tag, err
}

// withFile opens a file for reading.
func withFile(path string, use func(extent.Source) error) (err error) {
	if err := inplace.Recover(path); err != nil {
		return &ImageError{"open", path, bare(err)}
	}
	files := extent.NewFiles()
	defer func() { err = errors.Join(err, files.Close()) }()
	src, err := files.Add(path)
	if err != nil {
		return &ImageError{"open", path, bare(err)}
	}
	if err := use(src); err != nil {
		return &ImageError{"", path, bare(err)}
	}
	return nil
}

// readMedia reads the descriptor in block 16.
func readMedia(src extent.Source) (*MediaState, error) {
	d := make([]byte, iso9660.BlockSize)
	if n, err := src.ReadAt(d, iso9660.LBA(16).Offset()); n < len(d) && (err == nil || errors.Is(err, io.EOF)) {
		return nil, iso9660.ErrNotISO
	} else if n < len(d) {
		return nil, err
	}
	if string(d[1:6]) != "CD001" {
		return nil, iso9660.ErrNotISO
	}
	field := d[iso9660.OffAppUse : iso9660.OffAppUse+mediacheck.Size]
	tag, err := mediacheck.Parse(field)
	return &MediaState{Tag: tag, Blocks: mediacheck.Blocks(d), used: !blankField(field)}, err
}
