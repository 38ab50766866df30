package main

import (
	"regexp"
	"strings"
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
