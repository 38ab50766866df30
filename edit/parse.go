package edit

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseMode reads permission bits as chmod takes them: octal digits, 07777 at most.
func ParseMode(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 8, 12)
	if err != nil {
		return 0, fmt.Errorf("%q is not an octal mode", s)
	}
	return uint32(n), nil
}

// ParseOwner reads UID:GID in numbers.
func ParseOwner(s string) (Owner, error) {
	u, g, ok := strings.Cut(s, ":")
	uid, err := strconv.ParseUint(u, 10, 32)
	gid, err2 := strconv.ParseUint(g, 10, 32)
	if !ok || err != nil || err2 != nil {
		return Owner{}, fmt.Errorf("owner %q: want UID:GID in numbers", s)
	}
	return Owner{UID: uint32(uid), GID: uint32(gid)}, nil
}
