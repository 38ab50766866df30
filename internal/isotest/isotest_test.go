package isotest

import (
	"slices"
	"strings"
	"testing"
)

// needImages skips where making images takes too long.
func needImages(t *testing.T) {
	if testing.Short() {
		t.Skip("makes images")
	}
}

func TestDiff(t *testing.T) {
	m := Manifest{"a": File([]byte("one")), "d": {Type: 'd'}, "d/b": File(nil), "da": File(nil)}
	if d := m.Diff(m.With("x", File(nil)).Without("x")); d != "" {
		t.Errorf("equal manifests differ:\n%s", d)
	}
	d := m.Diff(m.Rename("d", "e"))
	want := `- "d" d 0000 0:0 0 bytes, time 0`
	if !strings.HasPrefix(d, want) || strings.Contains(d, `"da"`) || strings.Count(d, "\n") != 3 {
		t.Errorf("renamed directory shows as\n%s", d)
	}
}

func TestStylesOfScript(t *testing.T) {
	script, err := corpus.ReadFile("corpus/styles.sh")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(script), `all="`)
	list, _, _ = strings.Cut(list, `"`)
	if got := strings.Fields(list); !slices.Equal(got, styles) {
		t.Errorf("styles.sh makes %v, Image knows %v", got, styles)
	}
}

func TestReadersAgree(t *testing.T) {
	needImages(t)
	image := Image(t, "alpine")
	tree := Bsdtar(t, image)
	files := tree.Filter(func(_ string, e Entry) bool { return e.Type == 'f' })
	if len(files) < 80 {
		t.Fatalf("only %d files", len(files))
	}
	lba := XorrisoLBA(t, image)
	delete(lba, "isolinux/boot.cat") // no data file to xorriso
	for path, e := range files.Without("isolinux/boot.cat") {
		if s := lba[path]; len(s) != 1 || s[0].Size != e.Size {
			t.Errorf("%s: xorriso has sections %v, bsdtar size %d", path, s, e.Size)
		}
	}
	if len(lba) != len(files)-1 {
		t.Errorf("xorriso has %d files, bsdtar %d", len(lba), len(files)-1)
	}
	same := func(e Entry) Entry { e.MTime, e.SHA256 = 0, ""; return e }
	if d := tree.Map(same).Diff(XorrisoTree(t, image)); d != "" {
		t.Errorf("bsdtar and xorriso differ:\n%s", d)
	}
	for path, e := range IsoinfoRR(t, image) {
		if is, ok := tree[path]; !ok || is.Type != e.Type || is.Type == 'f' && is.Size != e.Size {
			t.Errorf("%s: isoinfo %v, bsdtar %v", path, e, is)
		}
		if s := lba[path]; len(s) > 0 && s[0].LBA != e.LBA {
			t.Errorf("%s: isoinfo at %d, xorriso at %d", path, e.LBA, s[0].LBA)
		}
	}
	joliet, seven := IsoinfoJoliet(t, image), SevenZip(t, image)
	if len(joliet) == 0 || !slices.Equal(Paths(joliet), Paths(seven)) {
		t.Errorf("Joliet names: isoinfo %q, 7z %q", Paths(joliet), Paths(seven))
	}
	if err := SevenZipTest(t, image); err != nil {
		t.Error(err)
	}
	if s := BsdtarErrors(t, image); s != "" {
		t.Error(s)
	}
}

func TestKernelMount(t *testing.T) {
	needImages(t)
	images := []string{Image(t, "alpine"), Image(t, "utf8")}
	views := KernelMount(t, MountOptions{}, images...)
	for _, image := range images {
		v := views[image]
		want := Bsdtar(t, image)
		if long, ok := want["longlink"]; ok { // libarchive loses a slash
			long.Link = XorrisoTree(t, image)["longlink"].Link
			want = want.With("longlink", long)
		}
		if d := want.Diff(v.RR); d != "" {
			t.Errorf("%s: bsdtar and kernel differ:\n%s\n%q", image, d, v.Log)
		}
		var shown []string
		for path := range v.Joliet {
			shown = append(shown, IsoinfoName(path))
		}
		slices.Sort(shown)
		var listed []string
		for path := range IsoinfoJoliet(t, image) {
			listed = append(listed, strings.TrimRight(path, ".")) // as the kernel does
		}
		slices.Sort(listed)
		if !slices.Equal(listed, shown) {
			t.Errorf("%s: Joliet names: isoinfo %q, kernel %q", image, listed, shown)
		}
	}
}

func TestEveryImage(t *testing.T) {
	needImages(t)
	for _, name := range Images() {
		t.Run(name, func(t *testing.T) {
			image := Image(t, name)
			if n := len(Bsdtar(t, image)); n == 0 || len(IsoinfoRR(t, image)) == 0 || len(SevenZip(t, image)) == 0 {
				t.Errorf("an empty tree; bsdtar has %d names", n)
			}
			IsoinfoJoliet(t, image)
			tree := XorrisoTree(t, image)
			for path := range XorrisoLBA(t, image) {
				if tree[path].Type != 'f' {
					t.Errorf("%s has content and is %v", path, tree[path])
				}
			}
		})
	}
}
