package spelling

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	names := []string{"isolinux.cfg", "isolinux.bin", "LiveOS", "EFI", "boot", "grub.cfg", strings.Repeat("x", 300)}
	for name, want := range map[string]string{
		"isolinux.cgf":           "isolinux.cfg", // two changed places
		"isolinx.cfg":            "isolinux.cfg",
		"isolinux.cff":           "isolinux.cfg",
		"liveos":                 "LiveOS",
		"efi":                    "EFI",
		"EFO":                    "EFI",
		"bot":                    "boot",
		"grubb.cfgg":             "grub.cfg",
		"menu.cfg":               "",
		"EO":                     "", // too short to guess
		"packages":               "",
		"":                       "",
		strings.Repeat("x", 299): "",
	} {
		if got := Nearest(name, names); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestPath(t *testing.T) {
	list := func(dir string) []string {
		return map[string][]string{"": {"EFI", "boot"}, "EFI": {"BOOT", "fedora"}, "EFI/BOOT": {"grub.cfg"}}[dir]
	}
	for p, want := range map[string]string{"/efi/boot/grub.cgf": "EFI/BOOT/grub.cfg", "EFI/nothing": "", "boot/x": "", "/": "", "Boot": "boot"} {
		if got := Path(p, list); got != want {
			t.Errorf("%s: %q, want %q", p, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"ab", "ba", 1}, {"kitten", "sitting", 3}, {"ä", "a", 1}, {"abc", "abcd", 1}} {
		if got := distance(c.a, c.b, 9); got != c.want {
			t.Errorf("%q, %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestMissing(t *testing.T) {
	plain := fmt.Errorf("rm /x: %w", &Missing{Path: "/x"})
	if !errors.Is(plain, fs.ErrNotExist) || plain.Error() != "rm /x: not in the image" {
		t.Error(plain)
	}
	other := errors.New("matches nothing")
	said := &Missing{Path: "/x", Err: other, Near: func() string { return "/X" }}
	if errors.Is(said, fs.ErrNotExist) || !errors.Is(said, other) || said.Meant() != "/X" {
		t.Error(said)
	}
}

// TestManyNames: a directory of a hostile image costs no more than a moment.
func TestManyNames(t *testing.T) {
	names := make([]string, 1<<16)
	for i := range names {
		names[i] = "a" + strings.Repeat("x", 250) + fmt.Sprint(i%10)
	}
	if got := Nearest("b"+strings.Repeat("x", 250)+"zz", names); got != "" {
		t.Error(got)
	}
}
