package stage

import (
	"time"

	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/iso9660"
)

// MediaCheck says what becomes of a media checksum in the base.
type MediaCheck string

// The ways to treat a media checksum.
const (
	// MediaAuto gives the image a valid one if the base has one. Without any change the
	// base's stays as it is.
	MediaAuto MediaCheck = "auto"
	// MediaImplant gives it one in any case, that of isomd5sum if the base has none.
	MediaImplant MediaCheck = "implant"
	// MediaStrip removes it.
	MediaStrip MediaCheck = "strip"
)

// Options of Build. The zero value is the default.
type Options struct {
	// Epoch is the time of created directories and the latest time of added
	// files (SOURCE_DATE_EPOCH). nil: no limit, and the base's modification date.
	Epoch *time.Time
	// ExactTimes gives added files the time Epoch, whatever their own is.
	ExactTimes bool
	// Preserve takes attributes of added files from their source.
	Preserve Preserve
	// MediaCheck is MediaAuto if empty.
	MediaCheck MediaCheck
	// KeepFreed leaves the bytes of removed files in the image.
	KeepFreed bool
	// AtEnd puts all new data behind the end, none into space that became free.
	AtEnd bool
	// InPlace plans an image that WriteInPlace can write over its base.
	InPlace bool
	// Compact writes everything afresh, without the gaps that edits left.
	Compact bool
	// NoBoot lists platforms that shall not boot any more; their boot images may
	// then be removed.
	NoBoot []boot.Platform
	// Repair makes boot tables right that the base has wrong.
	Repair bool
	// NewUUID gives the image another UUID (the modification date of its
	// descriptors) and changes every boot file that names the old one.
	NewUUID bool
	// RefreshRepo lets the distribution's own programs (createrepo_c, apt-ftparchive)
	// write the metadata of repositories that packages were added to or removed from.
	RefreshRepo bool
	// Resign is a key of GnuPG that signs anew what the edit made invalid.
	Resign string
	// Insecure lets SUSE's installer go on where a signature does not hold any more: every
	// entry gets insecure=1. Other installers have no such argument.
	Insecure bool
	// Working, unless nil, hears what is begun that may take seconds, in a few words, such
	// as "unpacking /isolinux/initrd.img". It is called by the goroutine that called Build.
	Working func(what string)
	// Fields are texts of the volume descriptors to set.
	Fields map[iso9660.Field]string

	// Draft leaves lists of checksums and the like as they are: the image is compared
	// only, and what is made of it brings them in line.
	Draft bool
}

// Preserve names the attributes taken from the source of added files.
type Preserve struct{ Mode, Owner, Time bool }
