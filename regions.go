package isolayer

import (
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/build"
)

// Region is a range of an image that is one thing and comes from one place.
type Region struct {
	Off int64 `json:"offset"` // bytes
	Len int64 `json:"length"`
	// Kind is "system area", "descriptors", "path table", "directory", "file", "boot" for what
	// boots and no directory lists, or "unused".
	Kind string `json:"kind"`
	// Path is that of a directory or file; of what boots the name that steps have for it.
	Path string `json:"path,omitempty"`
	// Origin is "vendor" for bytes of the base, "ours" for content that steps put in, "table"
	// for descriptors, directories and the like that were written anew, "zero", or "late" for
	// bytes that are not known before the image is sealed.
	Origin string `json:"origin"`
}

// Regions says of every byte of the image what it is and where it comes from: sorted, without
// gap or overlap. Content that has several names is listed by the first.
func (i *Image) Regions() ([]Region, error) {
	list, err := i.in.Regions()
	if err != nil {
		return nil, err
	}
	out := make([]Region, len(list))
	for n, r := range list {
		out[n] = Region{Off: r.Off, Len: r.Len, Kind: string(r.Kind), Path: r.Path, Origin: string(r.Origin)}
	}
	return out, nil
}

// ErrSlot reports content that does not fit the slots of an image.
var ErrSlot = build.ErrSlot

// With returns the image with content for slots, which were the content of files when it was
// planned. The image itself stays as it is: any number of variants can be made of one plan,
// also at once, at the price of the bytes that differ. Slots without content stay unsealed; to
// close one variant closes all. ErrSlot reports a slot that the image does not have, or
// content that is not as long as its slot.
func (i *Image) With(content map[*extent.Slot][]byte) (*Image, error) {
	v, err := i.in.With(content)
	if err != nil {
		return nil, err
	}
	return &Image{v}, nil
}

// Digest names what the image is, as "sha256:" and 64 hexadecimal digits: two images of one
// digest have the same bytes. It is that of the plan, in which ranges of a file stand by the
// file's identity (device, inode, size and times), so that a copy of the base gives another
// one. Only content of sources without identity is read.
func (i *Image) Digest() (string, error) { return i.in.Digest() }
