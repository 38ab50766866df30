package loadertest

import (
	"fmt"
	"strings"
)

// legacy makes a menu.lst of GRUB 0.97.
func (g *generator) legacy() {
	var b strings.Builder
	n := 1 + g.r.IntN(4)
	head := func() {
		if g.one(2) {
			fmt.Fprintf(&b, "default%s%d\n", pick(g.r, " ", "=", "  "), g.r.IntN(n+1))
		}
		if !g.one(5) {
			fmt.Fprintf(&b, "timeout%s%d\n", pick(g.r, " ", "="), g.r.IntN(4))
		}
		if g.one(3) {
			fmt.Fprintf(&b, "fallback %s\n", pick(g.r, "0", "1", "1 0"))
		}
		if g.one(4) {
			b.WriteString(pick(g.r, "hiddenmenu\n", "# a comment\n", "color cyan/blue white/blue\n"))
		}
	}
	head()
	for i := range n {
		fmt.Fprintf(&b, "\ntitle %s %d\n", pick(g.r, "Install", "Live", "Rescue"), i)
		g.legacyEntry(&b)
	}
	g.files["boot/grub/menu.lst"] = []byte(b.String())
}

func (g *generator) legacyEntry(b *strings.Builder) {
	if g.one(4) {
		b.WriteString("root (cd)\n")
	}
	switch g.r.IntN(10) {
	case 0:
		b.WriteString("kernel /gone x\n")
	case 1:
		b.WriteString("chainloader (hd0)+1\n")
	default:
		fmt.Fprintf(b, "%skernel %s%s%s%s\n", pick(g.r, "", "  ", "\t"), pick(g.r, "", "", "(cd)", "--no-mem-option "), g.kernel(), pick(g.r, " ", "  "), g.words(1+g.r.IntN(3)))
		if g.one(2) {
			fmt.Fprintf(b, "initrd %s\n", g.initrd())
		}
	}
	if g.one(3) {
		b.WriteString("boot\n")
	}
}
