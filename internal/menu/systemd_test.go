package menu

import (
	"slices"
	"testing"
)

// TestSystemdPrograms: systemd-boot gives an initrd to what "linux" names, not to a program,
// even if that is a kernel (initrd_prepare of its boot.c).
func TestSystemdPrograms(t *testing.T) {
	for text, want := range map[string][]string{
		"linux /vmlinuz\ninitrd /i\n":                 {"/i"},
		"initrd /i\nlinux /vmlinuz\n":                 {"/i"},
		"efi /vmlinuz\ninitrd /i\n":                   nil,
		"initrd /i\nefi /vmlinuz\n":                   nil,
		"efi /other.efi\nlinux /vmlinuz\ninitrd /i\n": {"/i"},
		"linux /other\nefi /vmlinuz\ninitrd /i\n":     nil,
	} {
		v := volume{"loader/loader.conf": "timeout 5\n", "loader/entries/a.conf": text, "vmlinuz": "k", "other.efi": "k", "other": "k", "i": "i"}
		menus, err := Read(Medium{Volumes: []Volume{{Prefix: "@efi:/", Files: v}}})
		if err != nil || len(menus) != 1 {
			t.Fatalf("%q: %d menus, %v", text, len(menus), err)
		}
		if got := menus[0].Start.Initrds; !slices.Equal(got, want) {
			t.Errorf("%q loads %q, want %q", text, got, want)
		}
	}
}
