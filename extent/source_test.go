package extent_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/extent/sourcetest"
)

// TestSources: every source of this package is one.
func TestSources(t *testing.T) {
	content := []byte(strings.Repeat("0123456789abcdef\n", 9000))
	dir, files := t.TempDir(), extent.NewFiles()
	defer files.Close()
	file := func(name string, b []byte) *extent.File {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := files.Add(path)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	whole := file("whole", content)
	pack := extent.NewPack(2048)
	pack.Add(file("one", content[:5000]))
	pack.Add(file("empty", nil))
	pack.Add(file("two", content[:2048]))
	packed := append(append(bytes.Clone(content[:5000]), make([]byte, 6144-5000)...), content[:2048]...)
	m, err := extent.New([]extent.Extent{extent.CopyOf(0, whole, 100, 70000), extent.ZeroOf(70000, 3000), extent.BytesOf(73000, content[:100])})
	if err != nil {
		t.Fatal(err)
	}
	composed := append(append(bytes.Clone(content[100:70100]), make([]byte, 3000)...), content[:100]...)
	for _, c := range []struct {
		name string
		src  extent.Source
		want []byte
	}{
		{"File", whole, content},
		{"empty File", file("none", nil), nil},
		{"Pack", pack, packed},
		{"Composed", extent.Compose("composed", m), composed},
		{"Memory", extent.Memory("memory", content), content},
		{"empty Memory", extent.Memory("memory", nil), nil},
	} {
		if err := sourcetest.Test(c.src, c.want); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for what, change := range map[string]func() error{
		"written to": func() error { return os.WriteFile(whole.Name(), content[1:], 0o644) },
		"another file": func() error {
			if err := os.WriteFile(filepath.Join(dir, "new"), content, 0o644); err != nil {
				return err
			}
			return os.Rename(filepath.Join(dir, "new"), whole.Name())
		},
		"touched": func() error { return os.Chtimes(whole.Name(), time.Unix(1, 0), time.Unix(1, 0)) },
	} {
		whole = file("whole", content)
		if err := sourcetest.TestChanged(whole, change, func() (extent.Source, error) { return files.Add(whole.Name()) }); err != nil {
			t.Errorf("File %s: %v", what, err)
		}
	}
}

// faulty is a source with one fault.
type faulty struct {
	*bytes.Reader
	fault string
}

func (f *faulty) Name() string { return "faulty" }

func (f *faulty) Size() int64 {
	if f.fault == "size" {
		return f.Reader.Size() + 1
	}
	return f.Reader.Size()
}

func (f *faulty) Identity() string {
	if f.fault == "identity" {
		return f.Name()
	}
	return "sum"
}

func (f *faulty) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.Reader.ReadAt(p, off)
	switch {
	case f.fault == "short" && n > 1000:
		return 1000, nil
	case f.fault == "no EOF" && off >= 0:
		return n, nil
	case f.fault == "negative" && off < 0:
		return 0, nil
	case f.fault == "panic" && off < 0:
		panic("index out of range")
	case f.fault == "bytes" && n > 2048:
		p[2048] ^= 1
	case f.fault == "early" && off == f.Reader.Size()/2:
		return 0, nil
	}
	return n, err
}

// TestSuiteFinds: each fault of a source is one that the suite finds.
func TestSuiteFinds(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 500)
	for _, fault := range []string{"", "size", "identity", "short", "no EOF", "negative", "panic", "bytes", "early"} {
		if err := sourcetest.Test(&faulty{bytes.NewReader(content), fault}, content); (err == nil) != (fault == "") {
			t.Errorf("%q: %v", fault, err)
		}
	}
}
