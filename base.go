package isolayer

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/bootedit"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/distro"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/verify"
)

// OpenOptions choose how a base is opened. The zero value is the usual way.
type OpenOptions struct {
	// Session is that of a multi-session image, 1 being the oldest; 0 is the one that
	// readers see.
	Session int
	// Limits bound what reading the image may cost.
	Limits Limits
}

// Limits bound what reading one image may cost, so that a hostile one cannot exhaust the
// machine. A field that is 0 has its default; docs/robustness.md has those.
type Limits struct {
	Records   int64 // of directories, in all hierarchies together
	Depth     int64 // levels of directories
	TreeBytes int64 // of all directories
	Content   int64 // bytes of content that leave the image
}

func (l Limits) internal() fault.Limits {
	return fault.Limits{Records: l.Records, Depth: l.Depth, TreeBytes: l.TreeBytes, OutBytes: l.Content}
}

// Base is an open image. It is safe for concurrent use. Close it after the last image made
// of it was written and closed.
type Base struct{ in *baseimage.Base }

// Open opens the image file at path and reads its descriptors, its directories and what it
// boots with, but no content of files. An edit in place that was interrupted is completed
// or taken back first.
//
// An image that cannot be read gives an error that names the image, the offset and the
// structure there.
func Open(ctx context.Context, path string, o OpenOptions) (*Base, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b, err := baseimage.Open(path, baseimage.OpenOptions{Session: o.Session, Limits: o.Limits.internal()})
	if err != nil {
		return nil, err
	}
	return &Base{b}, nil
}

// OpenSource opens an image that a source holds, such as one in memory, which stays open when
// the base is closed. An image that was planned and is sealed is opened as
// extent.Compose(name, image.Map()).
func OpenSource(ctx context.Context, src extent.Source, o OpenOptions) (*Base, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b, err := baseimage.OpenSource(src, baseimage.OpenOptions{Session: o.Session, Limits: o.Limits.internal()})
	if err != nil {
		return nil, err
	}
	return &Base{b}, nil
}

// Close closes the file of the base and removes temporary files, also those of images that
// were not closed.
func (b *Base) Close() error { return b.in.Close() }

// Size returns the length of the image in bytes.
func (b *Base) Size() int64 { return b.in.Size() }

// FS returns the files of the image as Linux shows them: with the names of Rock Ridge, else
// of Joliet, else of ISO 9660 in lower case and without versions. Files that are open
// implement [io.ReaderAt] and [io.Seeker].
func (b *Base) FS() (fs.FS, error) {
	return b.in.Image().FS()
}

// Info says what an image is.
type Info struct {
	Label  string `json:"label"`            // volume identifier
	UUID   string `json:"uuid,omitempty"`   // as blkid prints it, of the modification date
	Size   int64  `json:"size"`             // bytes
	Volume int64  `json:"volume"`           // bytes that the primary descriptor counts
	Distro string `json:"distro,omitempty"` // of an installer that is known
	Boots  []Boot `json:"boots,omitempty"`  // what starts when nobody presses a key
}

// Boot is what one boot loader starts by itself.
type Boot struct {
	Loader    string   `json:"loader"`
	Platforms []string `json:"platforms"` // BIOS, UEFI …
	Title     string   `json:"title,omitempty"`
	Kernel    string   `json:"kernel,omitempty"`
	Args      string   `json:"args,omitempty"`
}

// Info reads what the image is: the distribution and its boot menus are recognised by files.
func (b *Base) Info() (*Info, error) {
	d := b.in.Image().Primary()
	out := &Info{Label: d.VolumeID(), UUID: d.Modified().UUID(), Size: b.in.Size(), Volume: int64(d.SpaceSize()) * iso9660.BlockSize}
	r, err := stage.Release(b.in)
	if err != nil {
		return nil, err
	}
	if r.Family != distro.Generic {
		out.Distro = r.String()
	}
	menus, err := bootedit.Read(b.in)
	if err != nil {
		return nil, err
	}
	for _, m := range menus {
		x := Boot{Loader: string(m.Loader), Kernel: m.Start.Kernel, Args: m.Start.Args}
		if m.Start.Entry != nil {
			x.Title = m.Start.Entry.Title
		}
		for _, p := range m.Platforms {
			x.Platforms = append(x.Platforms, string(p))
		}
		out.Boots = append(out.Boots, x)
	}
	return out, nil
}

// VerifyOptions tune Verify. The zero value checks everything.
type VerifyOptions struct {
	// Progress, unless nil, is called now and then with the bytes read.
	Progress func(done, total int64)
}

// Verify checks whether the image is sound and will boot; see docs/verify.md for what is
// checked. The error is about reading it, not about what was found.
func (b *Base) Verify(ctx context.Context, o VerifyOptions) (*Findings, error) {
	r, err := verify.Image(ctx, b.in.Source(), b.in.Size(), verify.Options{Progress: o.Progress})
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", b.in.Path(), err)
	}
	return findings(r), nil
}

// DiffOptions tune Diff.
type DiffOptions struct {
	// Progress, unless nil, is called now and then with the bytes compared.
	Progress func(done, total int64)
}

// Diff reports how the image differs from base, the image it was made of. Content is
// compared byte for byte where the two do not share it.
func (b *Base) Diff(ctx context.Context, base *Base, o DiffOptions) (*Changes, error) {
	r, err := build.Compare(ctx, b.in, base.in, o.Progress)
	if err != nil {
		return nil, err
	}
	return changes(r), nil
}

// Errors that callers can ask for with [errors.Is].
var (
	// ErrUnsealed reports bytes of an image that are not known before it is sealed.
	ErrUnsealed = extent.ErrUnsealed
	// ErrNoMatch reports a pattern that matches nothing in the image.
	ErrNoMatch = stage.ErrNoMatch
	// ErrNoConfig reports an image without a boot menu that could be changed.
	ErrNoConfig = bootedit.ErrNoConfig
	// ErrNoObject reports an @ name that the image has nothing for.
	ErrNoObject = baseimage.ErrNoObject
	// ErrNotISO reports something that is no ISO image.
	ErrNotISO = iso9660.ErrNotISO
	// ErrUnsupported reports an image, or a change of one, that is not supported.
	ErrUnsupported = iso9660.ErrUnsupported
)

// Undo takes back the last edit in place of the image file at path.
func Undo(path string) error { return build.Undo(path) }
