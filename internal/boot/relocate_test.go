package boot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// TestGrowthOfLibisofsLayout holds numbers taken from an image of xorriso which
// was grown by 500 blocks and accepted by partition tools.
func TestGrowthOfLibisofsLayout(t *testing.T) {
	s := spec{
		sectors: 24576, volume: 6144, code: "isolinux", shape: cd, array: 12, entries: 208,
		mbr: []part{{active: true, count: 24576}, {kind: 0xef, first: 172, count: 8192}},
		gpt: []part{{guid: guidData, count: 24520, name: "ISOHybrid"}, {guid: guidData, first: 172, count: 8192, name: "ISOHybrid1"}},
	}
	m, e := s.parse(t)
	if p := e.System.MBR.Partitions[0]; p.EndCHS != (CHS{63, 32, 11}) {
		t.Fatalf("base ends at CHS %v", p.EndCHS)
	}
	f, err := resize(e, 6130, 6630)
	if err != nil {
		t.Fatal(err)
	}
	if f.Size != 6656*iso9660.BlockSize || f.VolumeBlocks != 6656 {
		t.Errorf("size %d, volume %d", f.Size, f.VolumeBlocks)
	}
	g, err := Parse(m.apply(e, f), f.Size, Volume{Blocks: f.VolumeBlocks})
	if err != nil {
		t.Fatal(err)
	}
	p, q := g.System.MBR.Partitions[0], g.System.MBR.Partitions[1]
	if p.Count != 26624 || p.EndCHS != (CHS{63, 32, 12}) || q.First != 172 || q.Count != 8192 {
		t.Errorf("MBR: %v", g.System.MBR)
	}
	pt := g.System.GPT
	if pt.Alternate != 26623 || pt.LastUsable != 26570 || pt.Partitions[0].Last != 26567 || pt.Backup.Array != 26571 {
		t.Errorf("GPT: %+v", pt)
	}
}

// TestFitThereAndBack grows each layout: the result must be of the same class with
// sound tables, and shrink to the bytes of the base.
func TestFitThereAndBack(t *testing.T) {
	for name, s := range made {
		for _, grow := range []int64{1, 8, 499, 500, 70000, 1 << 21} {
			t.Run(fmt.Sprintf("%s/%d", name, grow), func(t *testing.T) {
				base, e := s.parse(t)
				if why := e.Unsupported(); len(why) > 0 {
					t.Fatal(why)
				}
				big, g := fitAndParse(t, base, e, madeEnd, madeEnd+grow)
				small, b := fitAndParse(t, big, g, madeEnd+grow, madeEnd)
				if !small.equal(base) || b.volume.Blocks != e.volume.Blocks {
					t.Errorf("base %v, %d blocks; after growing and shrinking %v, %d blocks",
						e.Describe(), e.volume.Blocks, b.Describe(), b.volume.Blocks)
				}
			})
		}
	}
}

// fitAndParse resizes an image and checks what holds for every result.
func fitAndParse(t *testing.T, m *memory, e *Equipment, from, to int64) (*memory, *Equipment) {
	t.Helper()
	f, err := resize(e, from, to)
	if err != nil {
		t.Fatal(err)
	}
	checkFit(t, f, to)
	r := m.apply(e, f)
	g, err := Parse(r, f.Size, Volume{Blocks: f.VolumeBlocks, Catalog: e.volume.Catalog, End: to})
	if err != nil {
		t.Fatal(err)
	}
	if g.Layout != e.Layout || len(g.Findings) != len(e.Findings) {
		t.Errorf("layout %q, findings %v; base %q, %v", g.Layout, g.Findings, e.Layout, e.Findings)
	}
	if p := g.System.GPT; p != nil {
		if !p.HeaderCRC || !p.ArrayCRC || p.Backup == nil || !p.Backup.HeaderCRC || !p.Backup.ArrayCRC || !p.Backup.Same {
			t.Errorf("GPT: %v", p)
		}
		if tail, _ := g.Trailer(); tail.End() != f.Size || tail.Off < to*iso9660.BlockSize {
			t.Errorf("backup GPT %v, file system ends at block %d, image at %d", tail, to, f.Size)
		}
	}
	return r, g
}

// checkFit tests what Fit promises of every result.
func checkFit(tb testing.TB, f *Relocation, newEnd int64) {
	tb.Helper()
	if f.VolumeBlocks < newEnd || f.VolumeBlocks*iso9660.BlockSize > f.Size {
		tb.Errorf("volume of %d blocks, file system ends at %d, image at %d", f.VolumeBlocks, newEnd, f.Size)
	}
	end := int64(0)
	for _, p := range f.Patches {
		if p.Off < end || p.What == "" || len(p.Data) == 0 {
			tb.Errorf("patch %q at %d, the one before ends at %d", p.What, p.Off, end)
		}
		end = p.Off + int64(len(p.Data))
	}
	if end > f.Size {
		tb.Errorf("patches end at %d, image at %d", end, f.Size)
	}
}

func TestFitOfNothing(t *testing.T) {
	for name, s := range made {
		m, e := s.parse(t)
		f, err := resize(e, madeEnd, madeEnd)
		if err != nil || f.Size != m.size || f.VolumeBlocks != s.volume || len(f.Patches) > 0 {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

// TestFitPadding says how much lies behind the file system afterwards.
func TestFitPadding(t *testing.T) {
	for name, want := range map[string]struct{ volume, blocks int64 }{
		"plain, padded":                    {1550, 1550},
		"plain, not padded":                {1400, 1400},
		"plain, padding behind the volume": {1400, 1568},
		"isohybrid":                        {1550, 2048},
		"isohybrid by libisofs":            {2048, 2048},
		"isohybrid by xorriso":             {1536, 1696},
		"isohybrid and GPT":                {1550, 2048},
		"GRUB 2":                           {1550, 1550},
	} {
		_, e := made[name].parse(t)
		f, err := resize(e, madeEnd, madeEnd+500)
		if err != nil || f.VolumeBlocks != want.volume || f.Size != want.blocks*iso9660.BlockSize {
			t.Errorf("%s: volume %d, image %d blocks, %v; want %v", name, f.VolumeBlocks, f.Size/iso9660.BlockSize, err, want)
		}
	}
}

// TestFitOfPartBlock: an image cut within a block gets whole ones.
func TestFitOfPartBlock(t *testing.T) {
	_, e := spec{sectors: 4*900 + 2, volume: 901}.parse(t)
	if f, err := resize(e, 901, 1000); err != nil || f.Size != 1000*iso9660.BlockSize || f.VolumeBlocks != 1000 {
		t.Errorf("%+v, %v", f, err)
	}
}

// TestFitLeavesOddEnds: isohybrid stores the end of GPT partition 1 modulo 8 GiB.
func TestFitLeavesOddEnds(t *testing.T) {
	s := made["isohybrid and GPT"]
	s.gpt = slices.Clone(s.gpt)
	s.gpt[0].count = 3000
	m, e := s.parse(t)
	if len(e.Findings) != 1 {
		t.Fatal(e.Findings)
	}
	f, err := resize(e, madeEnd, madeEnd+5000)
	if err != nil || len(f.Findings) != 1 {
		t.Fatal(f.Findings, err)
	}
	_, g := fitAndParse(t, m, e, madeEnd, madeEnd+5000)
	if last := g.System.GPT.Partitions[0].Last; last != 2999 {
		t.Errorf("partition 1 ends at %d", last)
	}

	s = made["isohybrid"]
	s.mbr = []part{{kind: 0x17, count: 4100}}
	_, e = s.parse(t)
	f, err = resize(e, madeEnd, madeEnd+5000)
	if err != nil || len(f.Findings) != 1 || len(f.Patches) != 0 {
		t.Errorf("%+v, %v", f, err)
	}
}

// TestFitFollowsVolume: a partition that ends with the volume goes on to do so.
func TestFitFollowsVolume(t *testing.T) {
	s := made["isohybrid and GPT"]
	s.mbr = []part{{active: true, count: s.volume * perBlock}}
	m, e := s.parse(t)
	_, g := fitAndParse(t, m, e, madeEnd, madeEnd+5000)
	if p := g.System.MBR.Partitions[0]; int64(p.Count) != g.volume.Blocks*perBlock {
		t.Errorf("%v, volume of %d blocks", g.System.MBR, g.volume.Blocks)
	}
}

// TestFitRepairsBackup: a lost backup comes back, checksums become right.
func TestFitRepairsBackup(t *testing.T) {
	m, v := made["isohybrid and GPT"].make()
	m.write(m.size-sectorSize, make([]byte, sectorSize))
	m.write(gptOff+16, []byte("sums"))
	m.write(gptOff+88, []byte("sums"))
	e, err := Parse(m, m.size, v)
	if err != nil || len(e.Findings) != 3 {
		t.Fatal(e.Findings, err)
	}
	f, err := resize(e, madeEnd, madeEnd+5000)
	if err != nil {
		t.Fatal(err)
	}
	g, err := Parse(m.apply(e, f), f.Size, Volume{Blocks: f.VolumeBlocks})
	if err != nil || len(g.Findings) != 0 {
		t.Error(g.Findings, err)
	}
}

func TestFitErrors(t *testing.T) {
	mbr, plain := made["isohybrid"], made["plain, padded"]
	refused := mbr
	refused.mbr = []part{{kind: 0x17, count: 4200}, {kind: 0xef, first: 4200, count: 1000}}
	for _, c := range []struct {
		s        spec
		from, to int64
		want     error
	}{
		{mbr, madeEnd, 1 << 30, iso9660.ErrLimit},
		{mbr, madeEnd, 1<<30 - 1000, nil},
		{plain, madeEnd, 1 << 30, nil},
		{plain, madeEnd, 1<<32 - 1, iso9660.ErrLimit},
		{plain, madeEnd, 1 << 62, iso9660.ErrLimit},
		{plain, madeEnd, 16, iso9660.ErrLimit},
		{plain, -1, 1000, iso9660.ErrLimit},
	} {
		_, e := c.s.parse(t)
		if _, err := resize(e, c.from, c.to); !errors.Is(err, c.want) {
			t.Errorf("%s from %d to %d: %v, want %v", e.Layout, c.from, c.to, err, c.want)
		}
	}
}

func TestGeometry(t *testing.T) {
	for _, g := range []geometry{{64, 32}, {255, 63}, {95, 32}, {128, 63}} {
		for _, cylinders := range []int64{1, 3, 1000, 1024, 2000} {
			end := cylinders * g.cylinder()
			if got, ok := geometryOf(g.chs(end-1), end); !ok || got != g {
				t.Errorf("%v, %d cylinders: %v, %v", g, cylinders, got, ok)
			}
		}
	}
	for _, c := range []CHS{{}, {0xfe, 0xff, 0xff}, {0xff, 0xff, 0xff}} {
		if g, ok := geometryOf(c, 12345); ok {
			t.Errorf("%v gives %v", c, g)
		}
	}
}

// TestRefs replaces and moves objects of each layout at random: every address of
// the result leads to what it led to in the base, or to the replacement.
func TestRefs(t *testing.T) {
	for name, s := range made {
		t.Run(name, func(t *testing.T) {
			base, e := s.parse(t)
			rapid.Check(t, func(t *rapid.T) {
				c, want := drawChange(t, base, e)
				r, err := e.Relocate(c)
				if err != nil {
					t.Fatal(err)
				}
				m := base.apply(e, r)
				for o, p := range c.Objects {
					at := p.LBA.Offset()
					for _, a := range r.Appended {
						if a.Object == o {
							at = a.Off
						}
					}
					m.write(at, want[o])
				}
				for _, p := range r.Patches { // over new content
					m.write(p.Off, p.Data)
				}
				sameRefs(t, e, m, r, want, c.NewEnd)
			})
		})
	}
}

// drawChange draws new contents for some objects, and a file system that grew by
// those and a bit more, or shrank.
func drawChange(t *rapid.T, base *memory, e *Equipment) (Change, map[*Object][]byte) {
	c := Change{BaseEnd: madeEnd, NewEnd: madeEnd - rapid.Int64Range(0, 3).Draw(t, "shrink"), Objects: map[*Object]Placement{}}
	want := map[*Object][]byte{}
	for _, o := range e.Objects() {
		b := make([]byte, o.Len)
		base.ReadAt(b, o.Off)
		if o.Movable() && rapid.Bool().Draw(t, "replace "+o.Name) {
			n := rapid.IntRange(1, 3<<20).Draw(t, "size")
			switch at := uint32(0); rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				b = isolinuxImage(max(n, 100), at)
			case 1:
				b = grubImage(max(n, 600), at)
			case 2:
				b = append(fatSector(uint16(n/512+2)), make([]byte, n)...)
			default:
				b = bytes.Repeat([]byte("any"), n/3+1)
			}
			p := Placement{Size: int64(len(b)), Content: bytes.NewReader(b)}
			if !o.Appended {
				c.NewEnd = max(c.NewEnd, madeEnd)
				p.LBA = iso9660.LBA(c.NewEnd)
				c.NewEnd += iso9660.Blocks(p.Size)
			}
			c.Objects[o] = p
		}
		want[o] = b
	}
	c.NewEnd += rapid.Int64Range(0, 5000).Draw(t, "grow")
	return c, want
}

// sameRefs compares the addresses of the result with those of the base.
func sameRefs(t *rapid.T, e *Equipment, m *memory, r *Relocation, want map[*Object][]byte, end int64) {
	g, err := Parse(m, r.Size, Volume{Blocks: r.VolumeBlocks, Catalog: e.volume.Catalog, End: end})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]Ref{}
	for _, x := range g.Refs() {
		found[x.Field] = x
	}
	for _, x := range e.Refs() {
		now, ok := found[x.Field]
		if !ok {
			if strings.Contains(x.Field, "boot info") && bytes.HasPrefix(want[x.Object], []byte("any")) {
				continue // the new image has no room for it
			}
			if strings.HasPrefix(x.Field, "boot info") || strings.HasPrefix(x.Field, "GRUB") {
				if fatSize(want[x.Object]) > 0 || x.Field[0] == 'G' { // a loader of another kind
					continue
				}
			}
			t.Errorf("%s is lost; %v, %v", x.Field, g.Describe(), g.Findings)
			continue
		}
		if x.Object.Name == "@catalog" { // its content follows
			continue
		}
		b := make([]byte, len(want[x.Object]))
		m.ReadAt(b, now.To)
		if !sameImage(b, want[x.Object]) {
			t.Errorf("%s leads to other content at %d", x.Field, now.To)
		}
	}
	for i := range g.boots() {
		if im := g.Catalog.Entries[i].Image; im.BootInfo != nil && !im.BootInfo.OK {
			t.Errorf("boot info table of entry %d is wrong: %+v", i+1, im)
		}
	}
	if p := g.System.GPT; p != nil && (!p.HeaderCRC || !p.ArrayCRC || p.Backup == nil || !p.Backup.HeaderCRC || !p.Backup.Same || p.overlap()) {
		t.Errorf("GPT: %v", p)
	}
}

func (e *Equipment) boots() []Entry {
	if e.Catalog == nil {
		return nil
	}
	return e.Catalog.Entries
}

// overlap reports partitions of the table that share sectors.
func (g *GPT) overlap() bool {
	for i, p := range g.Partitions {
		for _, q := range g.Partitions[:i] {
			if p.Role != RoleInside && q.Role != RoleInside && p.First <= q.Last && q.First <= p.Last {
				return true
			}
		}
	}
	return false
}

// sameImage compares boot images but for what the mastering program writes into them.
func sameImage(a, b []byte) bool {
	mask := func(b []byte) []byte {
		b = bytes.Clone(b)
		for _, r := range [][2]int{{8, 64}, {grub2InfoOff, grub2InfoOff + 8}} {
			clear(b[min(r[0], len(b)):min(r[1], len(b))])
		}
		return b
	}
	return bytes.Equal(mask(a), mask(b))
}

// TestDriverDescriptor: the number of blocks in an Apple driver descriptor follows where it
// is that of the medium, and stays where boot code has instructions there.
func TestDriverDescriptor(t *testing.T) {
	for _, size := range []int64{512, 2048} {
		const blocks = 6144 // of the volume and the image
		for name, was := range map[string]uint32{"the whole medium": uint32(blocks * 2048 / size), "boot code": 0x9090} {
			m := &memory{blocks: map[int64][]byte{}, size: blocks * iso9660.BlockSize}
			head := make([]byte, 8)
			copy(head, "ER")
			binary.BigEndian.PutUint16(head[2:], uint16(size))
			binary.BigEndian.PutUint32(head[4:], was)
			m.write(0, head)
			entry := make([]byte, 512)
			copy(entry, "PM")
			binary.BigEndian.PutUint32(entry[4:], 1)
			binary.BigEndian.PutUint32(entry[8:], 1)
			binary.BigEndian.PutUint32(entry[12:], 1)
			copy(entry[48:], "Apple_partition_map")
			m.write(size, entry)
			e, err := Parse(m, m.size, Volume{Blocks: blocks, End: blocks})
			if err != nil || e.System.APM == nil {
				t.Fatalf("%v, %+v", err, e)
			}
			f, err := resize(e, blocks, blocks+512)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 8)
			if _, err := m.apply(e, f).ReadAt(got, 0); err != nil {
				t.Fatal(err)
			}
			want := was
			if name == "the whole medium" {
				want = uint32(f.Size / size)
			}
			if now := binary.BigEndian.Uint32(got[4:]); now != want {
				t.Errorf("blocks of %d, %s: %d, want %d", size, name, now, want)
			}
		}
	}
}
