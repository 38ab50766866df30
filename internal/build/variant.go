package build

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/isolayer/isolayer/extent"
)

// ErrSlot reports content that does not fit the slots of an image.
var ErrSlot = errors.New("no such slot")

// place is where a piece of a slot lies in an image.
type place struct {
	slot *extent.Slot
	at   extent.Extent // a copy of the slot
}

// slots makes bytes that are given later what they are to a map: late ones.
func (i *Image) slots() (err error) {
	var over []extent.Extent
	for _, e := range i.Map.Extents() {
		if s, ok := e.Src.(*extent.Slot); ok && e.Kind == extent.Copy {
			i.places = append(i.places, place{s, e})
			over = append(over, extent.LateOf(e.Off, e.Len))
		}
	}
	if len(over) > 0 {
		i.Map, err = i.Map.Overlay(over)
	}
	return err
}

// With returns the image with content for slots, each as long as its slot. The image itself
// stays as it is, so that many can be made of it, also at once; to close one closes all.
// Slots without content stay unsealed. ErrSlot reports a slot that the image does not have,
// or content of another size.
func (i *Image) With(content map[*extent.Slot][]byte) (*Image, error) {
	out := *i
	out.places = nil
	used := map[*extent.Slot]bool{}
	var over []extent.Extent
	for _, p := range i.places {
		b, ok := content[p.slot]
		if !ok {
			out.places = append(out.places, p)
			continue
		}
		if int64(len(b)) != p.slot.Size() {
			return nil, fmt.Errorf("%s: %d bytes for %d: %w", p.slot.Name(), len(b), p.slot.Size(), ErrSlot)
		}
		used[p.slot] = true
		over = append(over, extent.BytesOf(p.at.Off, b[p.at.SrcOff:p.at.SrcOff+p.at.Len]))
	}
	for s := range content {
		if !used[s] {
			return nil, fmt.Errorf("%s: %w in the image", s.Name(), ErrSlot)
		}
	}
	var err error
	if out.Map, err = i.Map.Overlay(over); err != nil {
		return nil, err
	}
	if i.check != nil { // of other bytes
		out.check = &lateCheck{tag: i.check.tag, blocks: i.check.blocks}
	}
	return &out, nil
}

// Digest names what the image is: two images of one digest have the same bytes. It is
// computed of the plan, in which ranges of files stand by the identity of the file; only
// content of sources without one is read.
func (i *Image) Digest() (string, error) {
	h := sha256.New()
	known := map[extent.Source]string{}
	for _, e := range i.Map.Extents() {
		fmt.Fprintf(h, "%d %d %d ", e.Off, e.Len, e.Kind)
		switch e.Kind {
		case extent.Bytes:
			sum := sha256.Sum256(e.Data)
			h.Write(sum[:])
		case extent.Copy:
			id, ok := known[e.Src]
			if !ok {
				var err error
				if id, err = identity(e.Src); err != nil {
					return "", err
				}
				known[e.Src] = id
			}
			fmt.Fprintf(h, "%d %q", e.SrcOff, id)
		}
		h.Write([]byte{'\n'})
	}
	if i.check != nil && !i.Sealed() {
		t := i.check.tag
		fmt.Fprintln(h, t.Kind, t.Digest, t.Skip, t.Pad, t.Fragments, t.Supported, i.check.blocks)
		if t.Partition != nil {
			fmt.Fprintf(h, "%+v", *t.Partition)
		}
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

// identity names the bytes of a source.
func identity(src extent.Source) (string, error) {
	if x, ok := src.(extent.Identified); ok {
		return x.Identity(), nil
	}
	h := sha256.New()
	n, err := io.Copy(h, io.NewSectionReader(src, 0, src.Size()))
	if err == nil && n < src.Size() {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", src.Name(), err)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}
