package sample

import (
	"bytes"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/internal/pe"
)

func TestBIOS(t *testing.T) {
	for _, text := range []string{"", "short\r\n", strings.Repeat("long ", 200)} {
		b := BIOS(text)
		if len(b) > bootCode || b[len(b)-1] != 0 {
			t.Errorf("%d bytes, the last is %d", len(b), b[len(b)-1])
		}
		if want := text[:min(len(text), 100)]; !bytes.Contains(b, []byte(want)) {
			t.Errorf("%q is not in it", want)
		}
		// mov si leads to the text
		if i := bytes.IndexByte(b, 0xbe); int(b[i+1])|int(b[i+2])<<8 != origin+len(b)-1-min(len(text), len(b)-1-bytes.Index(b, []byte{0xf4, 0xeb, 0xfd})-3) {
			t.Errorf("mov si, %02x%02x", b[i+2], b[i+1])
		}
	}
}

func TestEFI(t *testing.T) {
	b := EFI("a text\r\n")
	p, err := pe.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if p.Machine.String() != "x64" || len(p.Signatures) != 0 {
		t.Errorf("%s, %d signatures", p.Machine, len(p.Signatures))
	}
	if !bytes.Contains(b, []byte("a\x00 \x00t\x00e\x00x\x00t\x00\r\x00\n\x00\x00\x00")) || !bytes.Contains(b, []byte("a text\r\n\x00")) {
		t.Error("the text is not in it")
	}
}
