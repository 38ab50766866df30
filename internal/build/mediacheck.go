package build

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/bootedit"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/mediacheck"
	"github.com/isolayer/isolayer/internal/menu"
	"github.com/isolayer/isolayer/internal/stage"
)

// mediaCheck lays an empty field over that of the base where it is to have none, and notes
// what is to be computed where its sum does not hold any more.
func mediaCheck(b *baseimage.Base, img *Image, o stage.MediaCheck) error {
	d := make([]byte, iso9660.BlockSize)
	if _, err := img.Map.ReadAt(d, iso9660.LBA(16).Offset()); err != nil {
		return err
	}
	field := b.Image().Primary().AppUse()
	tag, err := mediacheck.Parse(field)
	switch {
	case b.Image().Primary().Block != 16:
		return nil // programs would not find it
	case o == stage.MediaImplant:
	case o == stage.MediaStrip:
		if tag != nil || err != nil {
			img.Report.Notes = append(img.Report.Notes, "the media check of the base was taken out")
			return img.putCheck(emptyField())
		}
		return nil
	case err != nil:
		img.warn("the media checksum of the base is malformed and was removed")
		return img.putCheck(emptyField())
	case tag == nil || img.Unchanged():
		return nil
	}
	if tag == nil {
		if err == nil && !mediacheck.Blank(field) {
			return fmt.Errorf("media check: the application use field is in use by something else: %w", ErrFieldUsed)
		}
		tag = mediacheck.New()
	}
	if tag.Signature > 0 {
		tag.Signature = 0
		img.warn("the media check of the base is signed; the new one is not, for want of the key")
	}
	if err := img.followPartition(tag, b.Boot()); err != nil {
		return err
	}
	blocks := mediacheck.Blocks(d)
	if _, err := mediacheck.NewHasher(tag, blocks); errors.Is(err, mediacheck.ErrShort) && o != stage.MediaImplant {
		img.warn(fmt.Sprintf("the media checksum was removed: %v", err))
		return nil
	} else if err != nil {
		return fmt.Errorf("media check: %w", err)
	}
	return img.lateCheck(tag, blocks)
}

// untested warns of an image that lost its media check, and has boot entries which test the
// medium: checkisomd5 takes one without a sum for a damaged one.
func untested(s *stage.Stage, img *Image) error {
	had, err := mediacheck.Parse(s.Base.Image().Primary().AppUse())
	if err != nil || had == nil && s.Options.MediaCheck != stage.MediaStrip || img.check != nil || img.Unchanged() {
		return nil
	}
	menus, err := bootedit.ReadMenus(s)
	if err != nil {
		return err
	}
	names, byItself := menu.Testers(menus)
	if len(names) == 0 {
		return nil
	}
	verb := "none of them starts by itself"
	if byItself {
		verb = "one of them starts by itself"
	}
	img.Report.Untested = true
	img.warn(fmt.Sprintf("the image has no media check, and %s test the medium first: they stop at that (%s)", strings.Join(names[:min(len(names), 4)], ", "), verb))
	return nil
}

func emptyField() []byte { return bytes.Repeat([]byte{' '}, mediacheck.Size) }

// putCheck lays the field over the image.
func (i *Image) putCheck(field []byte) (err error) {
	i.Map, err = i.Map.Overlay([]extent.Extent{extent.BytesOf(mediacheck.Offset, field)})
	return err
}

// lateCheck notes a media check that is to be computed, and that its place is not known.
func (i *Image) lateCheck(tag *mediacheck.Tag, blocks int64) (err error) {
	i.check = &lateCheck{tag: tag, blocks: blocks}
	i.Map, err = i.Map.Overlay([]extent.Extent{extent.LateOf(mediacheck.Offset, mediacheck.Size)})
	return err
}

// followPartition lets a tag name the partition by its new place: the one of the same
// number that begins where the tag says in the base. Without one the sum is dropped.
func (i *Image) followPartition(tag *mediacheck.Tag, base *boot.Equipment) error {
	if tag.Partition == nil {
		return nil
	}
	img, err := iso9660.Open(i.Map, i.Map.Size(), iso9660.Options{Budget: fault.NewBudget(i.Map.Size(), fault.Unlimited())})
	if err != nil {
		return err
	}
	now, err := boot.Parse(i.Map, i.Map.Size(), boot.Volume{Catalog: img.BootCatalog(), Blocks: int64(img.Primary().SpaceSize())})
	if err != nil {
		return err
	}
	was, is := ranges(base), ranges(now)
	for k, r := range was {
		if r[0] == tag.Partition.Start && is[k] != [2]int64{} {
			p := *tag.Partition
			p.Start, p.Count = is[k][0], is[k][1]
			tag.Partition = &p
			return nil
		}
	}
	tag.Partition = nil
	i.warn("the media check of the base covers a partition that is not in its tables; the new one does not")
	return nil
}

// ranges are first sector and length of the partitions, by table and number.
func ranges(e *boot.Equipment) map[string][2]int64 {
	out := map[string][2]int64{}
	if m := e.System.MBR; m != nil {
		for _, p := range m.Partitions {
			out[fmt.Sprint("MBR", p.Number)] = [2]int64{int64(p.First), int64(p.Count)}
		}
	}
	if g := e.System.GPT; g != nil {
		for _, p := range g.Partitions {
			out[fmt.Sprint("GPT", p.Number)] = [2]int64{p.First, p.Last - p.First + 1}
		}
	}
	return out
}
