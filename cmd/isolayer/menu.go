package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/bootedit"
	"github.com/isolayer/isolayer/internal/menu"
	"github.com/isolayer/isolayer/internal/tree"
)

// menuOptions are the flags of menu.
type menuOptions struct {
	asJSON  bool
	session int
}

func (a *app) menuCommand() *cobra.Command {
	var o menuOptions
	cmd := &cobra.Command{
		Use:     "menu IMAGE",
		Short:   "Show the boot menus, and what starts by itself",
		GroupID: "look",
		Long: `menu reads the configurations of the boot loaders as these do and lists, loader by
loader, the entries with their kernel arguments and files, and what starts when nobody
presses a key. An arrow marks that entry. What depends on the machine, or cannot be
followed, is said.`,
		Example: "  isolayer menu base.iso",
		Args:    needArgs("IMAGE"),
		RunE:    func(_ *cobra.Command, args []string) error { return a.menu(args[0], o) },
	}
	f := cmd.Flags()
	f.IntVar(&o.session, "session", 0, "read session `N` of a multi-session image")
	f.BoolVar(&o.asJSON, "json", false, "print an object")
	return cmd
}

func (a *app) menu(image string, o menuOptions) error {
	return a.withTree(image, o.session, func(base *baseimage.Base, _ *tree.Tree) error {
		list, err := bootedit.Read(base)
		if err != nil {
			return err
		}
		if o.asJSON {
			return printJSON(a.out, menusJSON(list))
		}
		for i, m := range list {
			if i > 0 {
				fmt.Fprintln(a.out)
			}
			printMenu(a.out, m, twin(list[:i], m))
		}
		if len(list) == 0 {
			fmt.Fprintln(a.err, "isolayer: no boot menu that is known was found")
			return nil
		}
		if len(list) > 1 {
			printStarts(a.out, list)
		}
		return nil
	})
}

// printStarts sums up what starts by itself, loader by loader.
func printStarts(w io.Writer, list []*menu.Menu) {
	fmt.Fprintf(w, "\nstarts by itself:\n")
	said := map[string]bool{}
	for _, m := range list {
		lead, text := fmt.Sprintf("  %s (%s): ", m.On(), m.Loader), m.Start.String()
		if said[lead+text] || m.On() == string(menu.Loopback) { // that is for loaders of other media
			continue
		}
		said[lead+text] = true
		fold(w, lead, text)
	}
}

// menuWidth is what lines are folded to: that of a plain terminal.
const menuWidth = 80

// twin is a menu in front that has the same entries and starts the same: media have copies
// for each way to boot them. nil without one.
func twin(earlier []*menu.Menu, m *menu.Menu) *menu.Menu {
	for _, o := range earlier {
		same := o.Loader == m.Loader && len(o.Entries) == len(m.Entries) && o.Start.String() == m.Start.String() && len(m.Entries) > 0
		for i := 0; same && i < len(m.Entries); i++ {
			a, b := o.Entries[i], m.Entries[i]
			same = a.Name() == b.Name() && a.Kernel == b.Kernel && a.Args == b.Args && (a == o.Start.Entry) == (b == m.Start.Entry)
		}
		if same {
			return o
		}
	}
	return nil
}

// printMenu prints a menu, or that it is like another one.
func printMenu(w io.Writer, m, like *menu.Menu) {
	fmt.Fprintf(w, "%s, %s: %s\n", m.Loader, m.On(), name(m.Root))
	fold(w, "  starts by itself: ", m.Start.String())
	if like != nil {
		fmt.Fprintf(w, "   the entries are those of %s\n", name(like.Root))
		return
	}
	for _, e := range m.Entries {
		printEntry(w, m, e)
	}
	if len(m.Files) > 1 {
		fold(w, "  files: ", strings.Join(m.Files, " "))
	}
	for _, n := range m.Notes {
		fold(w, "  not followed: ", n)
	}
}

// printEntry prints an entry, its arguments and its files; an arrow marks what starts by
// itself, or what a menu waits at.
func printEntry(w io.Writer, m *menu.Menu, e *menu.Entry) {
	mark := "  "
	if e == m.Start.Entry {
		mark = "->"
	}
	what := string(e.Kind)
	if e.Boots() {
		what = e.Kernel
	}
	if e.Hidden {
		what += ", hidden"
	}
	title := strings.Join(append(e.Menus[:len(e.Menus):len(e.Menus)], e.Name()), " > ")
	fold(w, mark+" ", fmt.Sprintf("%s [%s]", title, what))
	if e.Hypervisor != "" {
		fold(w, "      hypervisor: ", e.Hypervisor)
	}
	if e.Boots() && e.Args != "" {
		fold(w, "      ", e.Args)
	}
}

// fold prints text behind a lead, broken at blanks so that lines fit.
func fold(w io.Writer, lead, text string) {
	line, indent := lead, strings.Repeat(" ", min(utf8.RuneCountInString(lead), 8))
	empty := true
	for word := range strings.FieldsSeq(plain(text)) {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > menuWidth {
			fmt.Fprintln(w, line)
			line, empty = indent, true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	fmt.Fprintln(w, line)
}

// menuJSON is a menu in --json.
type menuJSON struct {
	Loader    string      `json:"loader"`
	Platforms []string    `json:"platforms"`
	Root      string      `json:"root"`
	Files     []string    `json:"files"`
	Missing   []string    `json:"missing,omitempty"`
	Entries   []entryJSON `json:"entries"`
	Start     startJSON   `json:"starts_by_itself"`
	Notes     []string    `json:"not_followed,omitempty"`
}

type entryJSON struct {
	Title      string   `json:"title"`
	ID         string   `json:"id,omitempty"`
	Menus      []string `json:"submenus,omitempty"`
	Kind       string   `json:"kind"`
	Kernel     string   `json:"kernel,omitempty"`
	Initrds    []string `json:"initrds,omitempty"`
	Arguments  string   `json:"arguments,omitempty"`
	Hypervisor string   `json:"hypervisor,omitempty"`
	File       string   `json:"file"`
	Line       int      `json:"line,omitempty"`
	Hidden     bool     `json:"hidden,omitempty"`
}

type startJSON struct {
	Entry     *int    `json:"entry"` // index in entries; null: none of them
	Title     string  `json:"title,omitempty"`
	Seconds   float64 `json:"seconds"`
	Waits     bool    `json:"waits"`
	Kind      string  `json:"kind,omitempty"`
	Kernel    string  `json:"kernel,omitempty"`
	Arguments string  `json:"arguments,omitempty"`
	Fails     string  `json:"fails,omitempty"` // why nothing starts in the end
	Unsure    string  `json:"not_sure,omitempty"`
}

func menusJSON(list []*menu.Menu) any {
	out := struct {
		Schema int        `json:"schema"`
		Menus  []menuJSON `json:"menus"`
	}{1, []menuJSON{}}
	for _, m := range list {
		j := menuJSON{Loader: string(m.Loader), Platforms: []string{}, Root: m.Root, Files: nonNil(m.Files), Missing: m.Missing, Entries: []entryJSON{}, Notes: m.Notes}
		for _, p := range m.Platforms {
			j.Platforms = append(j.Platforms, string(p))
		}
		s := m.Start
		j.Start = startJSON{Seconds: float64(max(s.After, 0)) / 10, Waits: s.Waits(), Kind: string(s.Kind), Kernel: s.Kernel, Arguments: s.Args, Fails: s.Fails, Unsure: s.Unsure}
		for i, e := range m.Entries {
			if e == s.Entry {
				j.Start.Entry, j.Start.Title = &i, e.Name()
			}
			j.Entries = append(j.Entries, entryJSON{e.Title, e.ID, e.Menus, string(e.Kind), e.Kernel, e.Initrds, e.Args, e.Hypervisor, e.File, e.Line, e.Hidden})
		}
		out.Menus = append(out.Menus, j)
	}
	return out
}
