package master

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// jolietRemarks is what is to be said of the names that Windows shows.
type jolietRemarks struct{ Remarks }

// joliet notes names of a directory that Joliet does not have as they are, and those that
// differ in case only.
func (r *jolietRemarks) joliet(items []item, ids [][]byte) {
	folded := make(map[string]int, len(items))
	for i, it := range items {
		if shown := jolietText(ids[i]); shown != it.node.Name {
			r.Add("Joliet has the name cut or altered", it.node.Path()+" ("+shown+")")
		}
		low := strings.ToLower(it.node.Name)
		if first, ok := folded[low]; ok {
			r.Add("Windows does not tell names apart that differ in case only", items[first].node.Path()+" and "+it.node.Path())
			continue
		}
		folded[low] = i
	}
}

// jolietText is a Joliet identifier as text.
func jolietText(id []byte) string {
	units := make([]uint16, len(id)/2)
	for i := range units {
		units[i] = binary.BigEndian.Uint16(id[2*i:])
	}
	return string(utf16.Decode(units))
}

// warnJoliet says it.
func (p *planner) warnJoliet(b *hierarchy) {
	if b.h == iso9660.Joliet {
		p.res.Warnings = append(p.res.Warnings, b.said.Warnings()...)
	}
}
