package pe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isolayer/isolayer/internal/isotest"
)

const (
	shim = "/usr/lib/shim/shimx64.efi.signed"
	grub = "/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed"
)

// program is the content of a file that a Debian package has.
func program(tb testing.TB, path, pkg string) []byte {
	tb.Helper()
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && os.Getenv("CI") == "" {
		tb.Skipf("%s is missing, Debian package %s", path, pkg)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func open(tb testing.TB, b []byte) *Binary {
	tb.Helper()
	out, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// intact is whether the signatures were made for the program.
func intact(tb testing.TB, b *Binary) bool {
	tb.Helper()
	if len(b.Signatures) == 0 || b.Signatures[0].Err != nil {
		tb.Fatalf("signatures: %+v", b.Signatures)
	}
	all := true
	for _, s := range b.Signatures {
		ok, err := b.Intact(s)
		if err != nil {
			tb.Fatal(err)
		}
		all = all && ok
	}
	return all
}

func TestDebianPrograms(t *testing.T) {
	for _, c := range []struct{ path, pkg, signer, issuer, component string }{
		{shim, "shim-signed", "Microsoft Windows UEFI Driver Publisher", "Microsoft Corporation UEFI CA 2011", "shim"},
		{grub, "grub-efi-amd64-signed", "Debian Secure Boot Signer 2022 - grub2", "Debian Secure Boot CA", "grub"},
	} {
		raw := program(t, c.path, c.pkg)
		b := open(t, raw)
		if b.Machine.String() != "x64" || !b.EFI {
			t.Errorf("%s: %v, EFI %v", c.path, b.Machine, b.EFI)
		}
		if !intact(t, b) {
			t.Errorf("%s: not the program that was signed", c.path)
		}
		s := b.Signatures[0].Signers
		if len(s) != 1 || !strings.HasPrefix(s[0].Name, strings.Fields(c.signer)[0]) || !strings.HasPrefix(s[0].Issuer, strings.Fields(c.issuer)[0]) {
			t.Errorf("%s: signers %+v", c.path, s)
		}
		var names []string
		for _, l := range b.SBAT {
			names = append(names, l.Name)
		}
		if len(names) < 3 || names[0] != "sbat" || names[1] != c.component || !strings.HasPrefix(names[2], c.component+".") {
			t.Errorf("%s: components %q", c.path, names)
		}
		judge(t, c.path, b)
	}
}

// judge compares signer and digest with what openssl and osslsigncode read.
func judge(t *testing.T, path string, b *Binary) {
	t.Helper()
	raw, err := b.read(b.certs.off+sizeCertHeader, b.certs.n-sizeCertHeader, "signature")
	if err != nil {
		t.Fatal(err)
	}
	der := t.TempDir() + "/signature.der"
	if err := os.WriteFile(der, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	certs := string(isotest.Run(t, "openssl", "pkcs7", "-inform", "DER", "-in", der, "-print_certs", "-noout"))
	for _, s := range b.Signatures[0].Signers {
		if !strings.Contains(certs, "CN = "+s.Name+"\n") && !strings.Contains(certs, "CN="+s.Name+"\n") {
			t.Errorf("%s: openssl does not name %q:\n%s", path, s.Name, certs)
		}
	}
	digest, err := b.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Signatures) > 1 {
		return // osslsigncode knows only one
	}
	// It fails for want of a trusted certificate, after it has printed the digest.
	out, _ := exec.CommandContext(t.Context(), isotest.Tool(t, "osslsigncode"), "verify", path).CombinedOutput()
	if !strings.Contains(strings.ToLower(string(out)), "calculated message digest : "+digest.String()) {
		t.Errorf("%s: digest %s, osslsigncode:\n%s", path, digest, out)
	}
}

// TestFlippedByte changes a byte of every part that a digest covers, and of those it
// does not.
func TestFlippedByte(t *testing.T) {
	raw := program(t, grub, "grub-efi-amd64-signed")
	b := open(t, raw)
	text := b.sections[0]
	for _, c := range []struct {
		name string
		at   int64
		want bool
	}{
		{"DOS stub", 70, false},
		{"section", text.off + text.n/2, false},
		{"end of the last section", b.certs.off - 1, false},
		{"checksum", b.checksum + 1, true},
		{"signature", b.certs.end() - 40, true},
	} {
		changed := bytes.Clone(raw)
		changed[c.at] ^= 0x10
		if got := intact(t, open(t, changed)); got != c.want {
			t.Errorf("%s: intact %v", c.name, got)
		}
	}
}

func TestUnsigned(t *testing.T) {
	signed := open(t, program(t, "/usr/lib/shim/mmx64.efi.signed", "shim-helpers-amd64-signed"))
	b := open(t, program(t, "/usr/lib/shim/mmx64.efi", "shim-unsigned"))
	if len(b.Signatures) != 0 {
		t.Errorf("signatures: %+v", b.Signatures)
	}
	one, err := signed.Digest()
	if err != nil {
		t.Fatal(err)
	}
	two, err := b.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(one, two); b.size%8 == 0 && diff != "" {
		t.Errorf("the digest depends on the signature: %s", diff)
	}
}

// small is a program of one section with the .sbat lines of its caller, unsigned.
func small() []byte {
	b := make([]byte, 1024)
	copy(b, "MZ")
	b[60] = 64
	h := b[64:]
	copy(h, "PE\x00\x00")
	binary.LittleEndian.PutUint16(h[4:], 0x8664)
	binary.LittleEndian.PutUint16(h[6:], 1)
	binary.LittleEndian.PutUint16(h[20:], 240)
	o := h[24:]
	binary.LittleEndian.PutUint16(o, magic64)
	binary.LittleEndian.PutUint32(o[offHeaders:], 512)
	binary.LittleEndian.PutUint16(o[offSubsystem:], 10)
	binary.LittleEndian.PutUint32(o[dirs64-4:], 16)
	s := o[240:]
	copy(s, ".sbat")
	binary.LittleEndian.PutUint32(s[8:], 300)
	binary.LittleEndian.PutUint32(s[16:], 512)
	binary.LittleEndian.PutUint32(s[20:], 512)
	copy(b[512:], "sbat,1,SBAT Version,sbat,1,https://example.org\nshim,4\n\nbroken\n")
	return b
}

const (
	atOptional = 64 + 24
	atSection  = atOptional + 240
	atCertDir  = atOptional + dirs64 + certDirectory*sizeDirectory
)

func TestHostile(t *testing.T) {
	put := func(at int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { binary.LittleEndian.PutUint32(b[at:], v); return b }
	}
	table := func(entry ...byte) func([]byte) []byte {
		return func(b []byte) []byte {
			binary.LittleEndian.PutUint32(b[atCertDir:], 1024)
			binary.LittleEndian.PutUint32(b[atCertDir+4:], uint32(len(entry)))
			return append(b, entry...)
		}
	}
	for _, c := range []struct {
		name string
		make func([]byte) []byte
		kind Kind
	}{
		{"sound", func(b []byte) []byte { return b }, ""},
		{"empty", func([]byte) []byte { return nil }, ErrTruncated},
		{"no MZ", func(b []byte) []byte { b[0] = 'X'; return b }, ErrNotPE},
		{"no PE", func(b []byte) []byte { b[64] = 'X'; return b }, ErrNotPE},
		{"header behind the end", put(60, 0xfffffff0), ErrTruncated},
		{"cut in the COFF header", func(b []byte) []byte { return b[:80] }, ErrTruncated},
		{"cut in the optional header", func(b []byte) []byte { return b[:100] }, ErrTruncated},
		{"optional header too short", func(b []byte) []byte { b[64+20] = 60; return b }, ErrFormat},
		{"optional header too long", func(b []byte) []byte { b[64+21] = 0xff; return b }, ErrLimit},
		{"directories do not fit", func(b []byte) []byte { b[64+20] = 112; return b }, ErrFormat},
		{"magic", put(atOptional, 0x107), ErrFormat},
		{"headers too short", put(atOptional+offHeaders, 100), ErrRange},
		{"headers too long", put(atOptional+offHeaders, 5000), ErrRange},
		{"sections", func(b []byte) []byte { b[64+6] = 97; return b }, ErrLimit},
		{"cut in the sections", func(b []byte) []byte { b[64+6] = 90; return b }, ErrTruncated},
		{"section behind the end", put(atSection+20, 600), ErrRange},
		{"section of 4 GiB", put(atSection+16, 0xffffffff), ErrRange},
		{"table too short for an entry", put(atCertDir+4, 4), ""},
		{"table of 4 GiB", put(atCertDir+4, 0xffffffff), ErrRange},
		{"entry longer than the table", table(17, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0), ErrRange},
		{"entry of no bytes", table(0, 0, 0, 0, 0, 2, 2, 0), ErrRange},
		{"entries", table(bytes.Repeat([]byte{8, 0, 0, 0, 0, 2, 1, 0}, maxSignature+1)...), ErrLimit},
		{"table too long", table(make([]byte, maxTable+8)...), ErrLimit},
	} {
		b := c.make(small())
		_, err := Open(bytes.NewReader(b), int64(len(b)))
		var kind Kind
		if errors.As(err, &kind); kind != c.kind || (err == nil) != (c.kind == "") {
			t.Errorf("%s: %v, not %q", c.name, err, c.kind)
		}
		var at *FormatError
		if err != nil && (!errors.As(err, &at) || at.Structure == "") {
			t.Errorf("%s: %v does not tell the place", c.name, err)
		}
	}
}

func TestSmall(t *testing.T) {
	b := open(t, small())
	want := []Component{{"sbat", "1", "SBAT Version", "sbat", "1", "https://example.org"}, {Name: "shim", Generation: "4"}}
	if diff := cmp.Diff(want, b.SBAT); diff != "" {
		t.Error(diff)
	}
	if _, err := b.Digest(); err != nil {
		t.Error(err)
	}
	twice := small()
	twice[64+6] = 2
	copy(twice[atSection+40:], twice[atSection:atSection+40])
	if _, err := open(t, twice).Digest(); !errors.Is(err, ErrFormat) {
		t.Errorf("sections over each other: %v", err)
	}
	for m, name := range map[Machine]string{0x14c: "ia32", 0xaa64: "aa64", 0x5064: "riscv64", 0x1234: "machine 1234h"} {
		if m.String() != name {
			t.Errorf("%v, not %s", m, name)
		}
	}
}

// TestBrokenSignature has signatures that cannot be understood, in a program that can.
func TestBrokenSignature(t *testing.T) {
	raw := program(t, shim, "shim-signed")
	b := open(t, raw)
	for at := b.certs.off + sizeCertHeader; at < b.certs.off+80; at++ {
		changed := bytes.Clone(raw)
		changed[at] ^= 0x7f
		got, err := Open(bytes.NewReader(changed), int64(len(changed)))
		if err != nil || len(got.Signatures) == 0 {
			t.Fatalf("byte %d: %v", at, err)
		}
		s := got.Signatures[0]
		if ok, err := got.Intact(s); err != nil || ok && s.Err != nil && s.Digest == nil {
			t.Errorf("byte %d: intact %v, %v", at, ok, err)
		}
	}
	changed := bytes.Clone(raw)
	changed[b.certs.off+sizeCertHeader] = 0
	if s := open(t, changed).Signatures[0]; !errors.Is(s.Err, ErrFormat) {
		t.Errorf("no DER: %v", s.Err)
	}
	changed = bytes.Clone(raw)
	changed[b.certs.off+6] = 1
	if s := open(t, changed).Signatures[0]; !errors.Is(s.Err, ErrFormat) {
		t.Errorf("another type of certificate: %v", s.Err)
	}
}

func FuzzPE(f *testing.F) {
	f.Add(small())
	if raw, err := os.ReadFile(grub); err == nil {
		b, err := Open(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			f.Fatal(err)
		}
		// A program of its headers and signature alone.
		cut := small()
		binary.LittleEndian.PutUint32(cut[atCertDir:], 1024)
		binary.LittleEndian.PutUint32(cut[atCertDir+4:], uint32(b.certs.n))
		f.Add(append(cut, raw[b.certs.off:b.certs.end()]...))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := Open(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			var at *FormatError
			if !errors.As(err, &at) {
				t.Fatalf("%v tells no place", err)
			}
			return
		}
		b.GRUB()
		one, err1 := b.Digest()
		two, err2 := b.Digest()
		if one != two || fmt.Sprint(err1) != fmt.Sprint(err2) {
			t.Fatal("not deterministic")
		}
		for _, s := range b.Signatures {
			if _, err := b.Intact(s); err == nil && s.Err == nil && len(s.Signers) == 0 {
				t.Fatal("a signature without signer and error")
			}
		}
	})
}

// TestGRUB reads what Debian's signed loaders have built in, as their packages document
// it; other programs have nothing.
func TestGRUB(t *testing.T) {
	for path, want := range map[string]string{
		"/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed":  "/boot/grub",
		"/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed": "/EFI/debian",
		"/usr/lib/shim/shimx64.efi.signed":                   "",
	} {
		b, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) && os.Getenv("CI") == "" {
			t.Skip(path + " is missing")
		} else if err != nil {
			t.Fatal(err)
		}
		p, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		prefix, script := p.GRUB()
		if prefix != want || (script != "") != (want != "") {
			t.Errorf("%s: prefix %q, script %q", path, prefix, script)
		}
	}
}
