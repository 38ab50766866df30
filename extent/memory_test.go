package extent

import (
	"io"
	"testing"
	"testing/iotest"
)

// TestMemory: bytes in memory are a source as files are, two of them never the same one.
func TestMemory(t *testing.T) {
	for _, content := range []string{"", "0123456789"} {
		m := Memory("digits", []byte(content))
		if m.Name() != "digits" || m.Size() != int64(len(content)) {
			t.Errorf("%s, %d", m.Name(), m.Size())
		}
		if err := iotest.TestReader(io.NewSectionReader(m, 0, m.Size()), []byte(content)); err != nil {
			t.Error(err)
		}
		if m == Memory("digits", []byte(content)) {
			t.Error("two sources are one")
		}
	}
}
