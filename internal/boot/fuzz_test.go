package boot

import (
	"testing"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// check tests what holds for every image, however damaged.
func check(t *testing.T, m *memory, v Volume) {
	e, err := Parse(m, m.size, v)
	if err != nil {
		t.Fatal(err)
	}
	if e.Layout == "" {
		t.Error("no layout")
	}
	e.Describe()
	off := int64(systemAreaSize)
	for _, o := range e.Objects() {
		if o.Off < off || o.Len <= 0 || o.End() > m.size || o.Name == "" {
			t.Errorf("object %+v in an image of %d bytes", o, m.size)
		}
		off = o.Off
		if _, ok := e.Find(o.Name); !ok {
			t.Errorf("%s is not found", o.Name)
		}
	}
	for _, r := range e.Refs() {
		if r.Object.Off != r.To || r.Off < 0 || r.Off >= m.size {
			t.Errorf("%+v in an image of %d bytes", r, m.size)
		}
	}
	if r, ok := e.Trailer(); ok && (r.Off < systemAreaSize || r.End() > m.size) {
		t.Errorf("trailer %v in an image of %d bytes", r, m.size)
	}
	for _, to := range []int64{100, 300, 20000} {
		f, err := resize(e, 200, to)
		if (err == nil) != (len(e.Unsupported()) == 0) {
			t.Errorf("fit to %d: %v, reasons %q", to, err, e.Unsupported())
		}
		if err != nil {
			continue
		}
		checkFit(t, f, to)
		g, err := Parse(m.apply(e, f), f.Size, Volume{Blocks: f.VolumeBlocks, Catalog: v.Catalog})
		if err != nil {
			t.Fatal(err)
		}
		if p := g.System.GPT; p != nil && p.Problem == "" && (!p.HeaderCRC || !p.ArrayCRC || p.Backup == nil || !p.Backup.HeaderCRC || !p.Backup.Same) {
			t.Errorf("fit to %d: %v", to, p)
		}
	}
}

func FuzzSystemArea(f *testing.F) {
	for _, s := range made {
		m, v := s.make()
		b := make([]byte, systemAreaSize)
		m.ReadAt(b, 0)
		f.Add(b, uint16(s.sectors), uint16(v.Blocks))
	}
	f.Add([]byte("ER\x08\x00"), uint16(0), uint16(0))
	f.Fuzz(func(t *testing.T, b []byte, sectors, blocks uint16) {
		m := &memory{map[int64][]byte{}, int64(sectors) * sectorSize}
		m.write(0, b[:min(len(b), systemAreaSize)])
		if m.size > systemAreaSize+sectorSize {
			m.write(m.size-sectorSize, b[min(len(b), gptOff):min(len(b), 2*gptOff)])
		}
		check(t, m, Volume{Blocks: int64(blocks)})
	})
}

func FuzzCatalog(f *testing.F) {
	f.Add(record("seed"), loaderImage("\xfb\xc0\x78\x70", 64, 3001))
	f.Add(join(record(""), header(recHeader, 0, 1, "x"), bootEntry(50, 4, 2), header(recLastHeader, 0xef, 2, ""),
		bootEntry(51, 0, 4), bootEntry(50, 0xffff, 0)), fatSector(400))
	f.Add(join(record(""), header(recLastHeader, 0, 0xffff, "")), []byte("x"))
	f.Fuzz(func(t *testing.T, catalog, image []byte) {
		m := &memory{map[int64][]byte{}, 400 * iso9660.BlockSize}
		m.write(catalogAt*iso9660.BlockSize, catalog[:min(len(catalog), 1<<14)])
		m.write(50*iso9660.BlockSize, image[:min(len(image), 1<<16)])
		check(t, m, Volume{Blocks: 400, Catalog: catalogAt})
	})
}
