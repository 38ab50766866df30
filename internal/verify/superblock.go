package verify

import (
	"fmt"
	"io"
	"strings"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// maxSuperblocks bounds the second superblocks whose trees are read: no maker of
// images writes more than one.
const maxSuperblocks = 4

// secondSuperblocks reads the trees under second superblocks, which begin 16 blocks
// behind the start of a partition and whose addresses count from there, and
// compares them with those of the image.
func (c *checker) secondSuperblocks() (string, error) {
	var parts []string
	for i, at := range c.equip.System.SecondSuperblocks {
		if i == maxSuperblocks {
			c.at(Notice, at.Offset(), "second superblock: only the first %d are read", maxSuperblocks)
			break
		}
		n, err := c.secondSuperblock(at)
		if err != nil {
			return "", err
		}
		parts = append(parts, fmt.Sprintf("block %d: %d entries", at, n))
	}
	return strings.Join(parts, ", "), nil
}

func (c *checker) secondSuperblock(at iso9660.LBA) (entries int, err error) {
	shift := at - 16
	size := c.in.size - shift.Offset()
	img, err := iso9660.Open(io.NewSectionReader(c.in, shift.Offset(), size), size, iso9660.Options{Budget: c.img.Budget()})
	if err != nil {
		return 0, c.unreadable(at, shift, err)
	}
	if d := img.Descriptors[len(img.Descriptors)-1]; d.Type() != iso9660.TypeTerminator {
		c.at(Problem, at.Offset(), "second superblock: its descriptors have no terminator")
	}
	if v := int64(img.Primary().SpaceSize()) * iso9660.BlockSize; v > size {
		c.at(Problem, at.Offset()+iso9660.OffSpaceSize, "second superblock, volume space size: %d bytes, %d are left in the image", v, size)
	}
	if a, b := c.img.Primary().VolumeID(), img.Primary().VolumeID(); a != b {
		c.at(Problem, at.Offset()+iso9660.OffVolumeID, "second superblock, volume identifier: %q, the first one has %q", b, a)
	}
	for _, h := range iso9660.Hierarchies {
		root, err := img.Tree(h)
		if err != nil {
			if err := c.unreadable(at, shift, err); err != nil {
				return 0, err
			}
			continue
		}
		switch {
		case (root == nil) != (c.img.Descriptor(h) == nil):
			c.at(Problem, at.Offset(), "second superblock: only one of the superblocks has a %s hierarchy", h)
		case root != nil && c.trees[h] != nil:
			entries = max(entries, c.sameTree(at, c.trees[h], root, shift))
		}
	}
	return entries, nil
}

// unreadable reports damage under a second superblock; other errors are returned.
func (c *checker) unreadable(at, shift iso9660.LBA, err error) error {
	if !damage(err) {
		return err
	}
	c.at(Problem, shift.Offset()+place(err, 16*iso9660.BlockSize), "second superblock in block %d: %s", at, cause(err))
	c.as(kindOf(err))
	return nil
}

// sameTree compares a tree with that of the second superblock at a block, whose
// addresses are less by shift, and returns how many entries the latter has.
func (c *checker) sameTree(at iso9660.LBA, root, second *iso9660.Entry, shift iso9660.LBA) int {
	type pair struct{ a, b *iso9660.Entry }
	n := 0
	for stack := []pair{{root, second}}; len(stack) > 0; {
		p := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		mine, theirs := byName(p.a), byName(p.b)
		n += len(theirs)
		found := make(map[nameKey]*iso9660.Entry, len(theirs))
		for _, k := range theirs {
			found[k.nameKey] = k.entry
		}
		for _, k := range mine {
			a, b := k.entry, found[k.nameKey]
			delete(found, k.nameKey)
			switch {
			case b == nil:
				c.path(Problem, a, "not in the tree under the superblock in block %d", at)
			case a.IsDir() && b.IsDir():
				stack = append(stack, pair{a, b})
			case a.IsDir() != b.IsDir() || !sameSections(a, b, shift):
				c.path(Problem, a, "other content in the tree under the superblock in block %d: %s from block %d on, not %s", at, where(b), shift, where(a))
			}
		}
		for _, k := range theirs {
			if found[k.nameKey] != nil {
				c.path(Problem, k.entry, "only in the tree under the superblock in block %d", at)
			}
		}
	}
	return n
}

// nameKey is a name in a directory; a name that it has twice is counted.
type nameKey struct {
	name string
	n    int
}

// named is an entry with its key.
type named struct {
	nameKey
	entry *iso9660.Entry
}

func byName(dir *iso9660.Entry) []named {
	entries := dir.Entries()
	out := make([]named, 0, len(entries))
	times := map[string]int{}
	for _, e := range entries {
		name := e.LogicalName()
		out = append(out, named{nameKey{name, times[name]}, e})
		times[name]++
	}
	return out
}

func sameSections(a, b *iso9660.Entry, shift iso9660.LBA) bool {
	sa, sb := a.Sections(), b.Sections()
	if len(sa) != len(sb) {
		return false
	}
	for i := range sa {
		if sa[i].Size != sb[i].Size || sa[i].LBA != sb[i].LBA+shift {
			return false
		}
	}
	return true
}
