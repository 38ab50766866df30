package fat

import "testing"

// BenchmarkEdit adds a file to a small volume and makes the patches of that.
func BenchmarkEdit(b *testing.B) {
	for _, t := range []Type{FAT12, FAT16, FAT32} {
		b.Run(t.String(), func(b *testing.B) {
			v := newVolume(b, t)
			b.ReportAllocs()
			for b.Loop() {
				e, err := v.image(b).Edit(Options{Time: editTime})
				if err != nil {
					b.Fatal(err)
				}
				if err := e.Add("another name.txt", Bytes(content(2, 700))); err != nil {
					b.Fatal(err)
				}
				if _, err := e.Patches(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
