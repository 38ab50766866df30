package edit

import "strings"

// InitrdAdd puts files into the initrd of every boot entry, as an archive behind those it is
// made of, whose bytes stay: local files or directory trees, and behind them what needs no
// local file. The rules for Dest are those of Add. Paths are those in the initrd; everything
// in it belongs to root. An image whose boot entries name no initrd is an error.
type InitrdAdd struct {
	Adds []Add
	Puts []Put
}

func (a InitrdAdd) String() string {
	var out []string
	for _, x := range a.Adds {
		out = append(out, x.String())
	}
	for _, x := range a.Puts {
		out = append(out, x.String())
	}
	return strings.Join(out, ", ") + " in the initrd"
}
