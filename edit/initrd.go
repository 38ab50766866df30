package edit

import (
	"strings"
)

// InitrdAdd puts local files or directory trees into the initrd of every boot entry, as
// an archive behind those it is made of. The rules for Dest are those of Add.
type InitrdAdd struct{ Adds []Add }

func (a InitrdAdd) String() string {
	var out []string
	for _, x := range a.Adds {
		out = append(out, x.String())
	}
	return strings.Join(out, ", ") + " in the initrd"
}
