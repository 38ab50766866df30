package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// TestInterval reads parts of files as xorriso names them.
func TestInterval(t *testing.T) {
	for s, want := range map[string][2]int64{"0s-15s": {0, 32768}, "0d-0d": {0, 512}, "0-429": {0, 430}, "68840d-79079d": {68840 * 512, 10240 * 512}, "1k-2m": {1 << 10, 3<<20 - 1<<10}} {
		if off, n, err := byteRange(s); err != nil || off != want[0] || n != want[1] {
			t.Errorf("%s: %d bytes at %d, %v", s, n, off, err)
		}
	}
	for _, s := range []string{"", "-", "5", "5-", "-5", "9-3", "0x-1", "1d-0d", "0-99999999999999999999", "9999999999999t-9999999999999t"} {
		if off, n, err := byteRange(s); err == nil {
			t.Errorf("%q passes: %d bytes at %d", s, n, off)
		}
	}
	disk := make([]byte, 8192)
	for i := range disk {
		disk[i] = byte(i%251) + 1
	}
	disk[510], disk[511] = 0x55, 0xaa
	copy(disk[512:], "EFI PART")
	binary.LittleEndian.PutUint64(disk[512+72:], 4)
	binary.LittleEndian.PutUint32(disk[512+80:], 4)
	binary.LittleEndian.PutUint32(disk[512+84:], 128)
	p := filepath.Join(t.TempDir(), "a:b")
	must(t, os.WriteFile(p, disk, 0o644))
	i, err := parseInterval("--interval:local_fs:0s-1s:zero_mbrpt,zero_gpt,3000-3001:" + p)
	must(t, err)
	got, err := i.read(1 << 20)
	must(t, err)
	want := bytes.Clone(disk[:4096])
	for _, r := range [][2]int{{446, 510}, {512, 1024}, {2048, 2560}, {3000, 3002}} {
		clear(want[r[0]:r[1]])
	}
	if !bytes.Equal(got, want) {
		t.Error("other bytes are read")
	}
	for _, s := range []string{"--interval:imported_iso:0-9::", "--interval:local_fs:0-9:x", "--interval:local_fs:0-9::", "--interval:local_fs:9-0::" + p} {
		if _, err := parseInterval(s); err == nil {
			t.Errorf("%q passes", s)
		}
	}
	for _, s := range []string{"--interval:local_fs:0-8192::" + p, "--interval:local_fs:0-9:zero_all:" + p, "--interval:local_fs:0-9::" + p + "x"} {
		i, err := parseInterval(s)
		must(t, err)
		if _, err := i.read(1 << 20); err == nil {
			t.Errorf("%q is read", s)
		}
	}
}
