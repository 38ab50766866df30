package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/isolayer/isolayer/edit"
)

// insideSpec matches what stands in front of the path in boot equipment.
var insideSpec = regexp.MustCompile(`:@[a-z0-9-]+$`)

// splitSpec splits "A:B" at the last colon that is not escaped and is followed
// by a slash or an at sign. Without one, all of it is A: paths such as C:\x or
// Foo::Bar.gz need no escape. A backslash escapes a colon in either part. A B such as
// @efi:/EFI/BOOT has a colon itself.
func splitSpec(s string) (a, b string, ok bool) {
	for i := len(s) - 2; i > 0; i-- {
		if s[i] == ':' && (s[i+1] == '/' || s[i+1] == '@') && !escaped(s, i) {
			if at := insideSpec.FindStringIndex(s[:i]); at != nil && !escaped(s, at[0]) {
				i = at[0]
			}
			return unescape(s[:i]), unescape(s[i+1:]), true
		}
	}
	return unescape(s), "", false
}

// escaped reports whether an odd number of backslashes stands before s[i].
func escaped(s string, i int) bool {
	n := 0
	for ; i > n && s[i-1-n] == '\\'; n++ {
	}
	return n%2 == 1
}

// unescape takes the backslashes off colons.
func unescape(s string) string { return strings.ReplaceAll(s, `\:`, ":") }

// splitFirst splits "A:B" at the first colon, for A that can hold none.
func splitFirst(s string) (a, b string, ok bool) { return strings.Cut(s, ":") }

// otherSpec reports what is taken for the name of a local file but was meant as SRC:DST:
// with a DST that has no slash, or as mkisofs has it, DST=SRC.
func otherSpec(s string) error {
	if here(s) {
		return nil
	}
	for i := len(s) - 1; i > 0; i-- {
		if s[i] != ':' && s[i] != '=' || escaped(s, i) {
			continue
		}
		a, b := unescape(s[:i]), unescape(s[i+1:])
		drive := i == 1 && filepath.VolumeName(s) != ""
		switch {
		case s[i] == ':' && (here(a) || !drive && !strings.ContainsAny(a, "/=")):
			return meant(errors.New("DST begins with a slash"), a+":"+slashed(b))
		case s[i] == '=' && here(a):
			return meant(errors.New("a colon stands between SRC and DST"), a+":"+slashed(b))
		case s[i] == '=' && here(b):
			return meant(errors.New("SRC comes first, then a colon and DST"), b+":"+slashed(a))
		}
	}
	return nil
}

// meant is an error with the value that was probably meant.
func meant(err error, value string) error { return hinted{err, "did you mean " + value + "?"} }

// here reports that there is a local file of that name.
func here(p string) bool {
	_, err := os.Lstat(p)
	return err == nil
}

// slashed is a path in an image as it must be given.
func slashed(p string) string {
	if p == "." || p == "" || p == "./" {
		return "/"
	}
	return "/" + strings.TrimLeft(strings.TrimPrefix(p, "./"), "/")
}

// wantSlash reports a spec that has no colon with a slash behind it.
func wantSlash(form, part, s string) error {
	err := fmt.Errorf("want %s, %s beginning with a slash", form, part)
	for _, sep := range []string{":", "=", " "} {
		if a, b, ok := strings.Cut(s, sep); ok && a != "" && b != "" {
			return meant(err, a+":"+slashed(b))
		}
	}
	return err
}

// wantMode reports what is no MODE:PATH.
func wantMode(s string) error {
	err := fmt.Errorf("want MODE:PATH with octal digits, such as 0644:/ks.cfg")
	for _, sep := range []string{":", "=", " "} {
		a, b, _ := strings.Cut(s, sep)
		if _, bad := edit.ParseMode(a); bad != nil {
			a, b = b, a
		}
		if _, bad := edit.ParseMode(a); bad == nil && b != "" {
			return meant(err, a+":"+b)
		}
	}
	return err
}
