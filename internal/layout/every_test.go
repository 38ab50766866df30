package layout

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// sample has files of one and of more blocks, names that need a continuation area in a
// record, links, an empty file, and directories below each other.
func sample() files {
	return files{
		"a": string(noise("a", 3000)), "big": string(noise("big", 70000)), "empty": "", "link": "->d/b",
		"d/b": string(noise("b", 2048)), "d/c": string(noise("c", 2049)), "d/sub/deep": "deep", "d/sub/more": string(noise("more", 5000)),
		"e/x": "x", "e/y": string(noise("y", 10000)), "z": string(noise("z", 4096)),
		strings.Repeat("l", 230): "long",
	}
}

// deepSample has a directory below the eighth level, which genisoimage relocates.
func deepSample() files {
	return files{"1/2/3/4/5/6/7/8/9/deep": "deep", "1/a": string(noise("a", 3000)), "z": "z"}
}

// booted is the sample with a boot image.
func booted() files {
	fs := sample()
	fs["boot/loader"] = "\xfb\xc0\x78\x70" + string(noise("loader", 5000))
	return fs
}

// bases are images of different hierarchies and equipment, by name.
func bases(t *testing.T) map[string]Base {
	t.Helper()
	part := files{"part": string(noise("partition", 50000))}.write(t) + "/part"
	eltorito := []string{"-b", "boot/loader", "-c", "boot/cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"}
	out := map[string]Base{}
	for name, c := range map[string]struct {
		fs   files
		args []string
	}{
		"plain":       {sample(), []string{"-l"}},
		"Rock Ridge":  {sample(), []string{"-R"}},
		"Joliet":      {sample(), []string{"-R", "-J", "-joliet-long"}},
		"three trees": {sample(), []string{"-r", "-J", "-iso-level", "4", "--no-emul-toc"}},
		"deep":        {deepSample(), []string{"-R", "-J"}},
		"El Torito":   {booted(), append([]string{"-R", "-J"}, eltorito...)},
		"no padding":  {sample(), []string{"-R", "-no-pad"}},
		"appended":    {booted(), append([]string{"-R", "-J", "-append_partition", "2", "0xef", part, "-appended_part_as_gpt"}, eltorito...)},
		"offset":      {booted(), append([]string{"-R", "-J", "-partition_offset", "16"}, eltorito...)},
		"tags":        {sample(), []string{"-R", "-J", "--md5"}},
	} {
		out[name] = open(t, isofs(t, c.fs, c.args...))
	}
	out["optional tables"] = open(t, optionalTables(isofs(t, sample(), "-R")))
	return out
}

// kinds are edits of every kind, by name.
func kinds(deep bool) map[string][]tree.Edit {
	mode, long := uint32(0o600), strings.Repeat("n", 240)
	if deep {
		return map[string][]tree.Edit{
			"nothing":          nil,
			"into the deep":    {put("/1/2/3/4/5/6/7/8/9/new", 3000)},
			"deep moved":       {tree.Rename{Old: "/1/2/3/4/5/6/7/8/9", New: "/9"}},
			"deep removed":     {tree.Remove{Path: "/1/2/3/4/5/6/7/8"}},
			"deeper":           {mkdir("/1/2/3/4/5/6/7/8/9/10/11")},
			"more than blocks": many("/1/2/3/4/5/6/7/8/9", 60),
		}
	}
	return map[string][]tree.Edit{
		"nothing":            nil,
		"small file":         {put("/d/new", 100)},
		"large file":         {put("/e/new", 100000)},
		"file replaced":      {put("/d/b", 2048)},
		"file outgrown":      {put("/d/b", 9000)},
		"file emptied":       {put("/d/c", 0)},
		"file removed":       {tree.Remove{Path: "/e/y"}},
		"directory removed":  {tree.Remove{Path: "/d"}},
		"last file removed":  {tree.Remove{Path: "/z"}},
		"many links":         links(60),
		"file renamed":       {tree.Rename{Old: "/a", New: "/m"}},
		"directory renamed":  {tree.Rename{Old: "/d", New: "/dd"}},
		"directory moved":    {tree.Rename{Old: "/d/sub", New: "/e/sub"}},
		"directories added":  {mkdir("/d/new/newer"), put("/d/new/newer/f", 10)},
		"more than a block":  many("/d/sub", 60),
		"many directories":   append(many("/n/a", 70), many("/n/b", 70)...),
		"long names":         {put("/d/"+long, 10), put("/e/"+long, 3000)},
		"same identifier":    {put("/D/new", 10), put("/d/B", 10), tree.Rename{Old: "/z", New: "/d/C"}},
		"long name, room":    {tree.Remove{Path: "/e"}, put("/"+long, 10)},
		"long name replaced": {put("/"+strings.Repeat("l", 230), 30)},
		"attributes":         {tree.SetAttr{Path: "/d/sub/deep", Mode: &mode}},
		"much":               {tree.Remove{Path: "/big"}, put("/d/new", 30000), put("/n/x", 5000), tree.Rename{Old: "/z", New: "/e/z"}, put("/a", 10000)},
	}
}

// links are so many symbolic links, which Joliet does not have.
func links(n int) (out []tree.Edit) {
	for i := range n {
		out = append(out, tree.Put{Path: fmt.Sprintf("/d/l%02d", i), Attr: tree.Attr{Mode: iso9660.ModeSymlink | 0o777, Link: "b"}})
	}
	return out
}

// optionalTables gives the primary hierarchy of an image optional path tables (ECMA-119
// 8.4.16), copies of the others in its padding.
func optionalTables(b []byte) []byte {
	d := b[16*blockSize:][:blockSize]
	l, m := binary.LittleEndian.Uint32(d[iso9660.OffLTable:]), binary.BigEndian.Uint32(d[iso9660.OffMTable:])
	at := uint32(len(b)/blockSize) - 2
	copy(b[at*blockSize:], b[l*blockSize:][:blockSize])
	copy(b[(at+1)*blockSize:], b[m*blockSize:][:blockSize])
	binary.LittleEndian.PutUint32(d[iso9660.OffLTableOpt:], at)
	binary.BigEndian.PutUint32(d[iso9660.OffMTableOpt:], at+1)
	return b
}

// TestEveryKind plans edits of every kind for every base, in every way: each result must be
// sound (see there), and that of no edit is the base.
func TestEveryKind(t *testing.T) {
	ways := map[string]Options{"": {}, "at the end": {AtEnd: true}, "in place": {InPlace: true}, "compact": {Compact: true}, "freed kept": {KeepFreed: true}}
	for name, base := range bases(t) {
		for kind, edits := range kinds(name == "deep") {
			for how, o := range ways {
				t.Run(fmt.Sprintf("%s/%s/%s", name, kind, how), func(t *testing.T) {
					rr, err := base.Image.RockRidge(iso9660.Primary)
					if err != nil {
						t.Fatal(err)
					}
					if !rr {
						if kind == "attributes" || kind == "many links" || kind == "same identifier" {
							t.Skip("Rock Ridge records them")
						}
						if strings.HasPrefix(kind, "long") {
							t.Skip("plain names are short")
						}
					}
					r, b := plan(t, base, o, edits...)
					if kind == "nothing" && how != "compact" && (len(r.Map.Extents()) != 1 || string(b) != string(base.Source.(*content).b)) {
						t.Error("without an edit the result is not the base")
					}
				})
			}
		}
	}
}
