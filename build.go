package isolayer

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/stage"
)

// MediaCheck says what becomes of a media check, the checksum in the primary descriptor that
// checkisomd5 and checkmedia compare with.
type MediaCheck string

// The ways to treat a media check.
const (
	// MediaAuto, which the empty string is too, gives the image a valid one if the base has
	// one.
	MediaAuto MediaCheck = "auto"
	// MediaImplant gives it one in any case, that of isomd5sum if the base has none.
	MediaImplant MediaCheck = "implant"
	// MediaStrip removes it.
	MediaStrip MediaCheck = "strip"
)

// BuildOptions tune Build. The zero value is what most want.
type BuildOptions struct {
	// Epoch is the time of created directories and the latest time of added files
	// (SOURCE_DATE_EPOCH). nil: no limit, and the base's modification date.
	Epoch *time.Time
	// PreserveMode, PreserveOwner and PreserveTime take these from added files; else they
	// belong to root and are readable by all.
	PreserveMode, PreserveOwner, PreserveTime bool
	MediaCheck                                MediaCheck
	// KeepFreed leaves the bytes of removed files in the image, where they can be found.
	KeepFreed bool
	// Compact writes everything afresh, without the gaps that edits left.
	Compact bool
	// InPlace plans an image that WriteInPlace can write over its base.
	InPlace bool
	// NewUUID gives the image another UUID and changes every boot file that names the old
	// one.
	NewUUID bool
	// Repair makes boot tables right that the base has wrong; else they stay, with a warning.
	Repair bool
	// NoBIOS and NoUEFI give up booting that way: boot images may then be removed, which is an
	// error otherwise.
	NoBIOS, NoUEFI bool
	// Texts replace those of the volume descriptors where they are not empty. The label is
	// changed by edit.Label, together with the boot menus that name it.
	Texts Texts
	// RefreshRepo lets createrepo_c or apt-ftparchive, which must be installed, write the
	// metadata of package repositories that files were added to or removed from.
	RefreshRepo bool
	// SigningKey is a key of GnuPG, which must be installed, that signs anew what the edit
	// made invalid.
	SigningKey string
	// Working, unless nil, is called before anything that may take seconds, with a few words
	// such as "unpacking /isolinux/initrd.img", by the goroutine that called Build.
	Working func(what string)
}

// Texts are those of volume descriptors: up to 128 characters of ASCII each.
type Texts struct{ VolumeSet, Publisher, Preparer, Application string }

// Build plans the image that the steps, in order, make of the base. It reads what it needs of
// the base and of local files and writes nothing but temporary files of unpacked layers. It
// starts no program unless RefreshRepo or SigningKey say so. When the context ends, so does
// Build. The same steps give the same image, byte for byte.
//
// An error names the step. What a step could not do, or not everywhere, is listed in the
// Warnings of the image's [Report].
func (b *Base) Build(ctx context.Context, steps []edit.Step, o BuildOptions) (*Image, error) {
	in, err := o.internal()
	if err != nil {
		return nil, err
	}
	img, err := build.Build(ctx, b.in, steps, in)
	if err != nil {
		return nil, err
	}
	return &Image{img}, nil
}

func (o BuildOptions) internal() (stage.Options, error) {
	if o.MediaCheck != "" && !slices.Contains([]MediaCheck{MediaAuto, MediaImplant, MediaStrip}, o.MediaCheck) {
		return stage.Options{}, fmt.Errorf("media check %q: %w", o.MediaCheck, fs.ErrInvalid)
	}
	out := stage.Options{
		Epoch: o.Epoch, Preserve: stage.Preserve{Mode: o.PreserveMode, Owner: o.PreserveOwner, Time: o.PreserveTime},
		MediaCheck: stage.MediaCheck(o.MediaCheck), KeepFreed: o.KeepFreed, Compact: o.Compact, InPlace: o.InPlace,
		NewUUID: o.NewUUID, RefreshRepo: o.RefreshRepo, Resign: o.SigningKey, Working: o.Working, Repair: o.Repair,
		Fields: map[iso9660.Field]string{},
	}
	if o.NoBIOS {
		out.NoBoot = append(out.NoBoot, boot.BIOS)
	}
	if o.NoUEFI {
		out.NoBoot = append(out.NoBoot, boot.UEFI)
	}
	for field, text := range map[iso9660.Field]string{
		iso9660.FieldVolumeSet: o.Texts.VolumeSet, iso9660.FieldPublisher: o.Texts.Publisher,
		iso9660.FieldPreparer: o.Texts.Preparer, iso9660.FieldApplication: o.Texts.Application,
	} {
		if text != "" {
			out.Fields[field] = text
		}
	}
	return out, nil
}
