package master

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// maxAttributes bounds the names of one file's attributes; Linux has this limit too.
const maxAttributes = 64 << 10

// Kept says which attributes of local files an image gets: access lists, those of users,
// those of all namespaces.
type Kept struct{ ACL, User, All bool }

// Attributes reads the access list and the attributes of a local file that are to be kept.
func Attributes(p string, k Kept) ([]iso9660.Attribute, error) {
	b := make([]byte, maxAttributes)
	n, err := unix.Llistxattr(p, b)
	if errors.Is(err, unix.ENOTSUP) || n == 0 && err == nil {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("attributes of %s: %w", p, err)
	}
	var out []iso9660.Attribute
	names := strings.Split(strings.TrimSuffix(string(b[:n]), "\x00"), "\x00")
	slices.Sort(names)
	for _, name := range names {
		list := name == "system.posix_acl_access"
		user := k.User && strings.HasPrefix(name, "user.")
		other := k.All && !strings.HasPrefix(name, "system.") && !strings.HasPrefix(name, "isofs.")
		if !(list && k.ACL) && !user && !other {
			continue
		}
		value := make([]byte, maxAttributes)
		n, err := unix.Lgetxattr(p, name, value)
		if err != nil {
			return nil, fmt.Errorf("attribute %s of %s: %w", name, p, err)
		}
		a := iso9660.Attribute{Name: name, Value: value[:n]}
		if list {
			if a, err = iso9660.AccessList(value[:n]); err != nil {
				return nil, fmt.Errorf("%s: %w", p, err)
			}
		}
		out = append(out, a)
	}
	return out, nil
}
