package layout

import (
	"bytes"
	"fmt"
	"io"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// set is one set of volume descriptors with its trees. Images made with a
// partition offset have a second one, for readers of the partition alone: its
// addresses count from the start of the partition, and it names the same content.
type set struct {
	img    *iso9660.Image
	origin int64 // block that its addresses count from
}

// setsOf opens the second sets of the base, behind its first.
func setsOf(base Base) ([]set, error) {
	sets := []set{{base.Image, 0}}
	for _, at := range base.Boot.System.SecondSuperblocks {
		origin := int64(at) - 16
		off := origin * iso9660.BlockSize
		img, err := iso9660.Open(io.NewSectionReader(base.Source, off, base.Source.Size()-off), base.Source.Size()-off, iso9660.Options{Budget: base.Image.Budget()})
		if err != nil {
			return nil, fmt.Errorf("second superblock at block %d: %w", at, err)
		}
		for _, h := range iso9660.Hierarchies {
			if _, err := img.Tree(h); err != nil {
				return nil, fmt.Errorf("second superblock at block %d: %w", at, err)
			}
		}
		sets = append(sets, set{img, origin})
	}
	return sets, nil
}

// first reports the set that readers of the whole image see.
func (s set) first() bool { return s.origin == 0 }

// rel turns a block of the image into an address of the set.
func (s set) rel(block int64) iso9660.LBA {
	if block < s.origin {
		panic(fmt.Sprintf("internal error: block %d is in front of the set at %d", block, s.origin))
	}
	return iso9660.LBA(block - s.origin)
}

// twins finds for the entries of the first set those of this one: of the same
// identifier in the same directory, and of the same content.
func (s set) twins(h iso9660.Hierarchy, first, second *iso9660.Entry) map[*iso9660.Entry]*iso9660.Entry {
	out := map[*iso9660.Entry]*iso9660.Entry{first: second}
	stack := []*iso9660.Entry{first}
	for len(stack) > 0 {
		e := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		byID := map[string]*iso9660.Entry{}
		key := func(c *iso9660.Entry) string { return fmt.Sprint(c.Associated(), string(c.Record().ID())) }
		for _, c := range out[e].Children() {
			byID[key(c)] = c
		}
		for _, c := range e.Children() {
			if t := byID[key(c)]; t != nil && s.same(c, t) {
				out[c] = t
				if len(c.Children()) > 0 {
					stack = append(stack, c)
				}
			}
		}
	}
	return out
}

// same reports whether an entry of this set names what one of the first set does.
func (s set) same(first, second *iso9660.Entry) bool {
	a, b := first.Sections(), second.Sections()
	if first.IsDir() || second.IsDir() || len(a) != len(b) {
		return first.IsDir() && second.IsDir()
	}
	for i := range a {
		if int64(a[i].LBA) != int64(b[i].LBA)+s.origin || a[i].Size != b[i].Size {
			return false
		}
	}
	return bytes.Equal(first.Record().ID(), second.Record().ID())
}

// shift moves the areas that a set's reader found to their place in the image.
func (s set) shift(list []span) []span {
	for i := range list {
		list[i].from += s.origin
		list[i].to += s.origin
	}
	return list
}

// fixed are the blocks of the descriptors.
func (s set) fixed() span {
	from := s.origin + 16
	if s.first() {
		from = 0 // with the system area
	}
	last := s.img.Descriptors[len(s.img.Descriptors)-1].Block
	return span{from, s.origin + int64(last) + 1}
}

// String names the hierarchy for reports.
func (b *hierarchy) String() string {
	if b.first() {
		return b.h.String()
	}
	return fmt.Sprintf("%s from block %d", b.h, b.origin)
}
