package verify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// maxSessions bounds the sessions whose trees are read.
const maxSessions = 8

// both are the fields of a primary or supplementary descriptor that are recorded
// in both byte orders (ECMA-119 8.4).
var both = []struct {
	off, size int
	name      string
}{
	{80, 4, "volume space size"},
	{120, 2, "volume set size"},
	{124, 2, "volume sequence number"},
	{128, 2, "logical block size"},
	{132, 4, "path table size"},
	{158, 4, "root directory, extent"},
	{166, 4, "root directory, data length"},
	{184, 2, "root directory, volume sequence number"},
}

// dates are the offsets of the four dates of a descriptor (ECMA-119 8.4.26 ff.).
var dates = []struct {
	off  int
	name string
}{{813, "creation date"}, {830, "modification date"}, {847, "expiration date"}, {864, "effective date"}}

// descriptors checks the volume descriptor set and those of other sessions.
func (c *checker) descriptors() (string, error) {
	ds := c.img.Descriptors
	if d := ds[0]; d.Type() != iso9660.TypePrimary {
		c.at(Problem, d.Block.Offset(), "volume descriptor: the first one has type %d, not that of a primary one", d.Type())
	}
	if d := ds[len(ds)-1]; d.Type() != iso9660.TypeTerminator {
		c.at(Problem, (d.Block + 1).Offset(), "volume descriptor set: no terminator")
	}
	for _, d := range ds {
		c.descriptor(d)
	}
	p := c.img.Primary()
	volume := int64(p.SpaceSize()) * iso9660.BlockSize
	if volume > c.in.size {
		c.at(Problem, p.Block.Offset()+iso9660.OffSpaceSize, "volume space size: %d bytes, the image has %d: it is cut short", volume, c.in.size)
	}
	c.supplementary()
	for _, f := range c.img.Tolerated() {
		if f.Structure == "volume descriptor" && f.Field == "" {
			c.at(Notice, f.Off, "volume descriptor: %v", f.Err)
		}
	}
	if err := c.sessions(); err != nil {
		return "", err
	}
	summary := fmt.Sprintf("%d descriptors, volume %s", len(ds), humanize.IBytes(uint64(volume)))
	if n := len(c.img.Sessions()); n > 1 {
		summary += fmt.Sprintf(", %d sessions", n)
	}
	return summary, nil
}

// descriptor checks one descriptor by itself.
func (c *checker) descriptor(d *iso9660.Descriptor) {
	off := d.Block.Offset()
	if v := d.Version(); v != 1 && !d.Enhanced() {
		c.at(Problem, off+6, "volume descriptor, version: %d", v)
	}
	switch d.Type() {
	case iso9660.TypePrimary, iso9660.TypeSupplementary:
	default:
		if _, ok := d.BootCatalog(); ok && d.Block != c.img.Start()+17 {
			c.at(Problem, off, "boot record: in block %d; firmware looks for it in block %d", d.Block, c.img.Start()+17)
		}
		return
	}
	for _, f := range both {
		b := d.Raw[f.off:]
		little, big := uint64(binary.LittleEndian.Uint16(b)), uint64(binary.BigEndian.Uint16(b[2:]))
		if f.size == 4 {
			little, big = uint64(binary.LittleEndian.Uint32(b)), uint64(binary.BigEndian.Uint32(b[4:]))
		}
		if little != big {
			c.at(Problem, off+int64(f.off), "volume descriptor, %s: %d little-endian, %d big-endian", f.name, little, big)
		}
	}
	if want := 1 + btoi(d.Enhanced()); int(d.Raw[881]) != want {
		c.at(Problem, off+881, "volume descriptor, file structure version: %d, not %d", d.Raw[881], want)
	}
	for _, f := range dates {
		if b := d.Raw[f.off : f.off+17]; !goodDate(b) {
			c.at(Problem, off+int64(f.off), "volume descriptor, %s: %q is not a date", f.name, b)
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// goodDate accepts a date of ECMA-119 8.4.26.1 and the ways to say that there is none.
func goodDate(b []byte) bool {
	if bytes.Count(b[:16], []byte("0")) == 16 || bytes.Count(b, []byte{0}) == 17 {
		return true
	}
	d := iso9660.Date17(b)
	zone := int8(b[16])
	return !d.Time().IsZero() && d.UUID() != "" && string(b[8:10]) < "24" && string(b[10:12]) < "60" && string(b[12:14]) < "61" && zone >= -48 && zone <= 52
}

// supplementary compares the supplementary descriptors with the primary one.
func (c *checker) supplementary() {
	p := c.img.Primary()
	for _, h := range []iso9660.Hierarchy{iso9660.Joliet, iso9660.Enhanced} {
		d := c.img.Descriptor(h)
		if d == nil {
			continue
		}
		if d.SpaceSize() > p.SpaceSize() {
			c.at(Notice, d.Block.Offset()+iso9660.OffSpaceSize, "%s descriptor, volume space size: %d blocks, the primary descriptor has %d", h, d.SpaceSize(), p.SpaceSize())
		}
		if a, b := p.VolumeID(), d.VolumeID(); !strings.HasPrefix(a, b) && !strings.HasPrefix(b, a) {
			c.at(Notice, d.Block.Offset()+iso9660.OffVolumeID, "%s descriptor, volume identifier: %q, the primary descriptor has %q; which one is the label depends on the reader", h, b, a)
		}
	}
}

// sessions reads the descriptors and trees of the sessions that readers do not
// see at once.
func (c *checker) sessions() error {
	for i, s := range c.img.Sessions() {
		if s.Active {
			continue
		}
		if i == maxSessions {
			c.at(Notice, (s.Start + 16).Offset(), "sessions: only the first %d are read", maxSessions)
			break
		}
		img, err := iso9660.Open(c.in, c.in.size, iso9660.Options{Session: i + 1, Budget: c.img.Budget()})
		if err == nil {
			_, err = img.Tree(iso9660.Primary)
		}
		if err != nil {
			if !damage(err) {
				return err
			}
			c.at(Problem, place(err, (s.Start+16).Offset()), "session %d: %s", i+1, cause(err))
			c.as(kindOf(err))
		}
	}
	return nil
}

// place is the offset that an error of package iso9660 names.
func place(err error, other int64) int64 {
	var f *iso9660.FormatError
	if errors.As(err, &f) {
		return f.Off
	}
	return other
}

// cause is the text of an error of package iso9660 without its offset.
func cause(err error) string {
	var f *iso9660.FormatError
	if !errors.As(err, &f) {
		return err.Error()
	}
	parts := slices.DeleteFunc([]string{f.Structure, f.Field}, func(s string) bool { return s == "" })
	return fmt.Sprintf("%s: %v", strings.Join(parts, ", "), f.Err)
}
