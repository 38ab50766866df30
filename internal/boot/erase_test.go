package boot

import (
	"bytes"
	"testing"
)

// TestErase: each table goes, and nothing else does; heads that have none, that are cut
// short or whose addresses lie beyond all bounds stay as they are.
func TestErase(t *testing.T) {
	full := func() []byte { return bytes.Repeat([]byte{7}, 8<<10) }
	mbr := full()
	copy(mbr[510:], "\x55\xaa")
	gpt := full()
	copy(gpt[512:], "EFI PART")
	le.PutUint64(gpt[512+72:], 2)
	le.PutUint32(gpt[512+80:], 4)
	le.PutUint32(gpt[512+84:], 128)
	far := bytes.Clone(gpt)
	le.PutUint64(far[512+72:], 1<<63)
	apm := full()
	copy(apm, "ER\x02\x00")
	copy(apm[512:], "PM")
	copy(apm[1024:], "PM")
	for _, c := range []struct {
		name       string
		erase      func([]byte)
		head       []byte
		from, till int
	}{
		{"mbr", EraseMBR, mbr, 446, 510},
		{"no mbr", EraseMBR, full(), 0, 0},
		{"mbr cut", EraseMBR, mbr[:511], 0, 0},
		{"gpt", EraseGPT, gpt, 512, 1536},
		{"gpt cut", EraseGPT, gpt[:1100], 512, 1100},
		{"gpt far", EraseGPT, far, 512, 1024},
		{"no gpt", EraseGPT, mbr, 0, 0},
		{"apm", EraseAPM, apm, 512, 1536},
		{"apm cut", EraseAPM, apm[:1030], 512, 1030},
		{"no apm", EraseAPM, gpt, 0, 0},
		{"nothing", EraseAPM, nil, 0, 0},
	} {
		got, want := bytes.Clone(c.head), bytes.Clone(c.head)
		clear(want[c.from:c.till])
		c.erase(got)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: other bytes than [%d, %d) were erased", c.name, c.from, c.till)
		}
	}
}
