package boot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// ErrUnfit reports a boot image that cannot take the place of the one it replaces.
var ErrUnfit = errors.New("the boot image does not fit its entry")

// loaderAddress writes into the code of the MBR where its boot image went.
func (r *relocator) loaderAddress() error {
	m := r.e.System.MBR
	if m == nil || m.Loader == 0 || r.c.drops(BIOS) {
		return nil
	}
	for o, p := range r.at {
		if o.Off != m.Loader.Offset() || p.LBA == m.Loader {
			continue
		}
		at := int64(p.LBA)
		if m.second {
			binary.LittleEndian.PutUint64(r.area[mbrLoaderOff:], uint64((at+1)*perBlock))
		} else if at*perBlock > 1<<32-1 {
			return fmt.Errorf("MBR, boot image address: block %d: %w", at, iso9660.ErrLimit)
		} else {
			binary.LittleEndian.PutUint32(r.area[mbrLoaderOff:], uint32(at*perBlock))
		}
		r.patch(mbrLoaderOff, 8, "MBR, boot image address")
	}
	return nil
}

// catalog writes the addresses and sizes of boot images; without the entries of
// dropped platforms if there are any.
func (r *relocator) catalog() error {
	c := r.e.Catalog
	if c == nil {
		return nil
	}
	raw, err := r.e.in.read(c.LBA.Offset(), c.Blocks*iso9660.BlockSize)
	if err != nil {
		return err
	}
	old := bytes.Clone(raw)
	for o, at := range r.at {
		if !r.changed(o) {
			continue
		}
		for _, i := range o.entries {
			if err := r.catalogEntry(raw[c.Entries[i].Off-c.LBA.Offset():], &c.Entries[i], at); err != nil {
				return err
			}
		}
	}
	if len(r.c.Drop) > 0 {
		if raw = r.withoutDropped(raw); raw == nil {
			r.out.NoCatalog = true
			raw = make([]byte, len(old))
		}
	}
	if r.c.Repair && len(raw) > 0 && !r.out.NoCatalog {
		fixValidation(raw)
	}
	if !bytes.Equal(raw, old) {
		r.out.Patches = append(r.out.Patches, Patch{c.LBA.Offset(), raw, "boot catalog"})
	}
	return nil
}

// catalogEntry fills in where a boot image is and how much of it to load.
func (r *relocator) catalogEntry(b []byte, en *Entry, at Placement) error {
	binary.LittleEndian.PutUint32(b[8:], uint32(at.LBA))
	if at.Content == nil {
		return nil
	}
	head := make([]byte, loaderHead)
	n, err := at.Content.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read new boot image: %w", err)
	}
	switch head = head[:n]; en.Media {
	case Floppy12, Floppy144, Floppy288:
		if at.Size != en.Image.Size {
			return fmt.Errorf("boot image %s of %d bytes: the %s holds %d: %w", en.Image.Name, at.Size, en.Media, en.Image.Size, ErrUnfit)
		}
	case HardDisk:
		m := parseMBR(head)
		if m == nil || len(m.Partitions) != 1 {
			return fmt.Errorf("boot image %s: a hard disk image needs an MBR with one partition: %w", en.Image.Name, ErrUnfit)
		}
		b[4] = m.Partitions[0].Type
	default:
		binary.LittleEndian.PutUint16(b[6:], loadSize(en, at.Size))
	}
	return nil
}

// loadSize is the load size of a boot image with another length: one that covered
// the image does so again, as far as the field reaches; others stay. Images of
// 32 MiB and more get 0, which firmware takes for all up to the end of the volume;
// genisoimage writes such sizes modulo 65536.
func loadSize(en *Entry, size int64) uint16 {
	old, now := sectorsOf(en.Image.Size), sectorsOf(size)
	whole := int64(en.Sectors) == old || old > 0xffff && int64(en.Sectors) == old&0xffff ||
		int64(en.Sectors) == iso9660.Blocks(en.Image.Size)*perBlock
	switch {
	case !whole && (en.Sectors != 0 || old <= 0xffff):
		return en.Sectors
	case now > 0xffff:
		return 0
	}
	return uint16(now)
}

func sectorsOf(n int64) int64 { return roundUp(n, sectorSize) / sectorSize }

// withoutDropped encodes the catalog without the entries of dropped platforms, nil
// if none is left. The first entry left becomes the default one.
func (r *relocator) withoutDropped(raw []byte) []byte {
	c := r.e.Catalog
	out := make([]byte, 0, len(raw))
	record := func(i int) []byte { // the entry with its extensions
		from := c.Entries[i].Off - c.LBA.Offset()
		return raw[from : from+int64(1+len(c.Entries[i].Extensions))*catalogRecord]
	}
	last := -1
	for i, en := range c.Entries {
		switch {
		case r.c.drops(en.Platform) || len(out) == 0 && !en.Bootable:
			continue
		case len(out) == 0:
			out = append(out, raw[:catalogRecord]...)
			out[1] = byte(en.Platform)
			fixValidation(out)
		default:
			last = len(out)
			h := make([]byte, catalogRecord)
			h[0], h[1], h[2] = recHeader, byte(en.Platform), 1
			copy(h[4:], en.Section)
			out = append(out, h...)
		}
		out = append(out, record(i)...)
	}
	if len(out) == 0 {
		return nil
	}
	if last >= 0 {
		out[last] = recLastHeader
	}
	if len(out) > len(raw) { // sections of many entries became many sections
		return raw
	}
	return append(out, make([]byte, len(raw)-len(out))...)
}

// fixValidation makes the checksum of the validation entry right (El Torito 2.1).
func fixValidation(b []byte) {
	b[28], b[29] = 0, 0
	binary.LittleEndian.PutUint16(b[28:], -sum16(b[:catalogRecord]))
}

// images writes what boot images hold about themselves.
func (r *relocator) images() error {
	for _, o := range r.e.objects {
		at, changed := r.at[o], r.changed(o)
		for _, i := range o.entries {
			en := &r.e.Catalog.Entries[i]
			stale := en.Image.BootInfo != nil && !en.Image.BootInfo.OK
			if r.c.dropped(o) || !changed && !(r.c.Repair && stale) {
				continue
			}
			if err := r.bootInfo(o, en, at); err != nil {
				return err
			}
			break // entries of one object have one image
		}
	}
	return nil
}

// bootInfo writes the boot info table into an image that has, or had, one, and
// GRUB's own address. The table's checksum covers the latter.
func (r *relocator) bootInfo(o *Object, en *Entry, at Placement) error {
	content := at.Content
	if content == nil {
		content = io.NewSectionReader(r.e.in.r, o.Off, at.Size)
	}
	head := make([]byte, min(at.Size, loaderHead))
	if n, err := content.ReadAt(head, 0); n < len(head) {
		return fmt.Errorf("read boot image: %w", err)
	}
	kind := loader(head, &Entry{Platform: en.Platform})
	table := en.Image.BootInfo != nil || kind == LoaderIsolinux || kind == LoaderGRUB2 && en.Platform == BIOS
	grub := kind == LoaderGRUB2 && en.Platform == BIOS
	least := infoTableEnd
	if o.Path != "" { // the tree says how long it is: the table is as much as fits
		least = 20
	}
	if len(head) < least || !table || fatSize(head) > 0 {
		return nil
	}
	if at.Size > r.e.budget {
		return fmt.Errorf("boot image of %d bytes is too large for a boot info table: %w", at.Size, iso9660.ErrLimit)
	}
	pvd := iso9660.LBA(16)
	if t := en.Image.BootInfo; t != nil && t.PVD < at.LBA { // sessions have theirs further behind
		pvd = t.PVD
	}
	patches, err := infoPatches(content, at.Size, at.LBA, pvd, true, grub && len(head) >= grub2InfoOff+8)
	for _, p := range patches {
		p.Off += at.LBA.Offset()
		r.out.Patches = append(r.out.Patches, p)
	}
	return err
}

// changed reports whether an object has another place or other content.
func (r *relocator) changed(o *Object) bool {
	_, ok := r.c.Objects[o]
	return ok || r.at[o].LBA.Offset() != o.Off && o.Off%iso9660.BlockSize == 0
}

// drops reports a platform that shall not boot any more.
func (c *Change) drops(p Platform) bool { return slices.Contains(c.Drop, p) }
