package fat

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isolayer/isolayer/extent"
)

// metadataAt returns where in a volume byte n of what holds metadata lies, -1 behind all.
func (img *Image) metadataAt(n int64) int64 {
	for _, r := range []struct{ off, n int64 }{
		{0, minSector},
		{minSector, minSector},
		{img.tableOff(0), 256},
		{img.rawOff(img.root, 0), 6 * slotSize},
		{img.offset(firstCluster), 8 * img.clusterSize()},
	} {
		if n < r.n {
			return r.off + n
		}
		n -= r.n
	}
	return -1
}

// patch changes bytes of metadata: input is a list of offset and byte.
func (v volume) patch(img *Image, list []byte) volume {
	for ; len(list) >= 3; list = list[3:] {
		if at := img.metadataAt(int64(binary.BigEndian.Uint16(list))); at >= 0 {
			v[at] = list[2]
		}
	}
	return v
}

// contents is what can be read of a volume; a file that cannot has its error.
func contents(img *Image) tree {
	out := tree{}
	_ = fs.WalkDir(img, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			out[path] = "error"
			return fs.SkipDir
		case d.IsDir():
			out[path] = ""
			return nil
		}
		m, err := img.Content(path)
		if err != nil || m.Size() > 64<<10 {
			out[path] = fmt.Sprint(err)
			return nil
		}
		b := make([]byte, m.Size())
		if _, err := m.ReadAt(b, 0); err != nil {
			out[path] = err.Error()
			return nil
		}
		out[path] = digest(b)
		return nil
	})
	return out
}

var fuzzTypes = []Type{FAT12, FAT16, FAT32}

// FuzzOpen reads damaged volumes.
func FuzzOpen(f *testing.F) {
	volumes, images := fuzzVolumes(f)
	for i := range fuzzTypes {
		f.Add(byte(i), []byte{})
	}
	for _, c := range catalogue {
		for i, t := range fuzzTypes {
			if c.typ == t {
				f.Add(byte(i), differences(images[i], volumes[i], c.make(f, bytes.Clone(volumes[i]))))
			}
		}
	}
	f.Fuzz(func(t *testing.T, typ byte, list []byte) {
		i := int(typ) % len(fuzzTypes)
		v := volume(bytes.Clone(volumes[i])).patch(images[i], list)
		img, err := Open(bytes.NewReader(v), int64(len(v)))
		if err != nil {
			var at *FormatError
			if !errors.As(err, &at) {
				t.Fatalf("%v tells no place", err)
			}
			return
		}
		one, two := contents(img), contents(img)
		if diff := cmp.Diff(one, two); diff != "" {
			t.Fatalf("not deterministic: %s", diff)
		}
		_, _, _, _ = img.Label(), img.OEMName(), img.VolumeID(), img.Free()
	})
}

func fuzzVolumes(f *testing.F) (volumes []volume, images []*Image) {
	for _, t := range fuzzTypes {
		v := newVolume(f, t)
		volumes, images = append(volumes, v), append(images, v.image(f))
	}
	return volumes, images
}

// differences is the list that patches a into b, as far as there is one.
func differences(img *Image, a, b volume) (list []byte) {
	if len(a) != len(b) {
		return nil
	}
	for at := range uint16(0xffff) {
		i := img.metadataAt(int64(at))
		if i < 0 {
			break
		}
		if a[i] != b[i] && len(list) < 300 {
			list = append(binary.BigEndian.AppendUint16(list, at), b[i])
		}
	}
	return list
}

// FuzzEdit makes edits of volumes, damaged or not. What Edit accepts stays
// acceptable, what is not edited stays as it is.
func FuzzEdit(f *testing.F) {
	volumes, images := fuzzVolumes(f)
	for i := range fuzzTypes {
		f.Add(byte(i), []byte{}, []byte("\x00\x01\x10\x00\x02\x80\x01\x03\x00\x02\x00\x33\x03\x00\x00\x04\x10\x00"))
		f.Add(byte(i), []byte{}, []byte("\x03\x00\x00\x04\x10\x00\x00\x11\xff\x00\x12\xff\x00\x13\xff\x05\x00\x00"))
		f.Add(byte(i), []byte("\x00\x10\x03\x00\x11\x20"), []byte("\x00\x05\x20"))
	}
	f.Fuzz(func(t *testing.T, typ byte, list, ops []byte) {
		i := int(typ) % len(fuzzTypes)
		v := volume(bytes.Clone(volumes[i])).patch(images[i], list)
		img, err := Open(bytes.NewReader(v), int64(len(v)))
		if err != nil {
			return
		}
		e, err := img.Edit(Options{})
		if err != nil {
			return
		}
		if hidden(img.root) {
			return // removing a file shows the other of that name
		}
		want := contents(img)
		grow := apply(e, want, ops[:min(len(ops), 90)])
		m, err := e.Map()
		if grow || errors.Is(err, ErrFull) {
			m, err = e.Grow(0)
		}
		if errors.Is(err, ErrLimit) {
			return // of the format, by now
		}
		if err != nil {
			t.Fatal(err)
		}
		check(t, m, want)
	})
}

// hidden reports whether there are two entries of a name.
func hidden(e *entry) bool {
	for _, c := range e.children {
		if e.find(c.name) != c || e.index[fold(c.short.shown(0))] != c || hidden(c) {
			return true
		}
	}
	return false
}

// check reads the result of edits.
func check(t *testing.T, m *extent.Map, want tree) {
	b := make([]byte, m.Size())
	if _, err := m.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	after, err := Open(bytes.NewReader(b), m.Size())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := after.Edit(Options{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, contents(after)); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
}

// apply makes the edits that bytes tell, three for each, in the editor and in
// the tree. It reports whether the volume is to grow.
func apply(e *Editor, want tree, ops []byte) (grow bool) {
	for ; len(ops) >= 3; ops = ops[3:] {
		name := names[int(ops[1])%len(names)]
		if ops[1] >= 128 {
			name = "D/" + name
		}
		data := content(int(ops[1]), int(ops[2])*97)
		switch ops[0] % 6 {
		case 0:
			if e.Add(name, Bytes(data)) == nil {
				want[name] = digest(data)
			}
		case 1:
			if e.Mkdir(name) == nil {
				want[name] = ""
			}
		case 2:
			if _, ok := want[name]; ok && e.Replace(name, Bytes(data)) == nil {
				want[name] = digest(data)
			}
		case 3:
			if _, ok := want["A Long Name.txt"]; ok && e.Remove("A Long Name.txt") == nil {
				delete(want, "A Long Name.txt")
			}
		case 4:
			if _, ok := want[name]; ok && e.RemoveAll(name) == nil {
				(&model{tree: want}).removeAll(name)
			}
		case 5:
			grow = true
		}
	}
	return grow
}
