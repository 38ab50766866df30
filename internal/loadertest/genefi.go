package loadertest

import (
	"fmt"
	"strings"
)

// systemd makes loader.conf and entries.
func (g *generator) systemd() {
	var ids []string
	for i := range 1 + g.r.IntN(4) {
		id := pick(g.r, "debian", "arch", "Fedora-6.1", "linux-6.10", "linux-6.9", "a") + pick(g.r, "", fmt.Sprint(i), "-lts")
		ids = append(ids, id)
		var b strings.Builder
		if !g.one(4) {
			fmt.Fprintf(&b, "title%s%s\n", pick(g.r, " ", "   ", "\t"), pick(g.r, "Debian", "Arch Linux", "Live system"))
		}
		if g.one(3) {
			fmt.Fprintf(&b, "sort-key %s\n", pick(g.r, "a", "arch", "z", "10"))
		}
		if g.one(3) {
			fmt.Fprintf(&b, "version %s\n", pick(g.r, "6.1.0-1", "6.10", "6.9~rc1", "5"))
		}
		if g.one(6) {
			b.WriteString("# linux /gone\n\nmachine-id 4098b3f648d74c13b1f04ccfba7798e8\n")
		}
		if g.one(10) {
			b.WriteString("architecture " + pick(g.r, "x64", "aa64", "X64") + "\n")
		}
		fmt.Fprintf(&b, "%s %s\n", pick(g.r, "linux", "linux", "linux", "efi"), g.kernel())
		if g.one(3) {
			fmt.Fprintf(&b, "initrd %s\n", g.initrd())
		}
		for range g.r.IntN(3) {
			fmt.Fprintf(&b, "options %s\n", pick(g.r, g.words(2), g.words(1)+"  "+g.words(1), `a="b c"`, "x\ty"))
		}
		g.files["loader/entries/"+id+".conf"] = []byte(b.String())
	}
	var b strings.Builder
	if !g.one(6) {
		fmt.Fprintf(&b, "timeout %s\n", pick(g.r, "0", "1", "2", "menu-hidden", "menu-force"))
	}
	if !g.one(3) {
		id := pick(g.r, ids...)
		fmt.Fprintf(&b, "default %s\n", pick(g.r, id, id+".conf", id[:1]+"*", "*", strings.ToUpper(id), id+"*", "none", "*.conf", "@saved", "?"+id[1:]+".conf"))
	}
	if g.one(5) {
		b.WriteString(pick(g.r, "#default none\n", "console-mode max\n", "editor no\n", "default "+pick(g.r, ids...)+".conf\n"))
	}
	if !g.one(12) {
		g.files["loader/loader.conf"] = []byte(b.String())
	}
}

// refind makes a refind.conf whose entries stand in it.
func (g *generator) refind() {
	var b, entries strings.Builder
	var titles []string
	for i := range 1 + g.r.IntN(4) {
		title := pick(g.r, "Arch Linux", "Debian", "Live", "Rescue") + pick(g.r, "", fmt.Sprint(" ", i))
		titles = append(titles, title)
		g.refindEntry(&entries, title)
	}
	if !g.one(8) {
		fmt.Fprintf(&b, "timeout %s\n", pick(g.r, "1", "2", "-1", "3"))
	}
	b.WriteString(pick(g.r, "textonly\n", "textonly true\n"))
	b.WriteString("scanfor manual\n")
	if !g.one(3) {
		t := pick(g.r, titles...)
		fmt.Fprintf(&b, "default_selection %s\n", pick(g.r, `"`+t+`"`, strings.Fields(t)[0], fmt.Sprint(1+g.r.IntN(len(titles))), "nothing", `"+,`+t+`"`, strings.ToLower(strings.Fields(t)[0])))
	}
	if g.one(4) {
		g.files["EFI/BOOT/more.conf"] = []byte(entries.String())
		entries.Reset()
		entries.WriteString("include more.conf\n")
	}
	g.files["EFI/BOOT/refind.conf"] = []byte(b.String() + entries.String())
}

func (g *generator) refindEntry(b *strings.Builder, title string) {
	fmt.Fprintf(b, "menuentry %s {\n", pick(g.r, `"`+title+`"`, `"`+title+`"`, strings.ReplaceAll(title, " ", "_")))
	if g.one(8) {
		b.WriteString("  disabled\n")
	}
	if g.one(3) {
		b.WriteString("  ostype Linux\n")
	}
	fmt.Fprintf(b, "  loader %s\n", g.kernel())
	if g.one(3) {
		fmt.Fprintf(b, "  initrd %s\n", g.initrd())
	}
	if !g.one(4) {
		fmt.Fprintf(b, "  options %s\n", pick(g.r, `"`+g.words(2)+`"`, g.words(1), `"`+g.words(1)+`  x=""y z"""`))
	}
	if g.one(4) {
		fmt.Fprintf(b, "  submenuentry \"Sub\" {\n    options \"%s\"\n  }\n", g.words(1))
	}
	b.WriteString("}\n")
}
