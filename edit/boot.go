package edit

import (
	"fmt"
	"strings"
)

// Kargs changes the kernel arguments of every entry that starts a kernel, in every boot
// configuration of the tree and of FAT images that firmware boots from. Each of Args is one
// change:
//
//	N=V     N gets that value: in its place if it is there, else as a new one
//	N       the same without a value
//	+N=V    one more beside those that are there; console, earlycon, ip, nameserver and rd.*
//	        are added so without the plus sign, too
//	-N      removes N, -N=V the one of that value
//	xen:…   any of these for the hypervisor around the kernel
//
// A value with blanks stands in double quotes. An image without boot configurations is an
// error (ErrNoConfig of package isolayer).
type Kargs struct {
	Args []string
	// Keep puts new ones where installers look for what the installed system is to
	// have: behind "---".
	Keep bool
}

// Label gives the image another volume id: in every descriptor, and in every boot
// configuration that looks for the old one.
type Label struct{ ID string }

// MenuTimeout sets after how many seconds the default entry of boot menus starts: 0 at
// once, negative never.
type MenuTimeout struct{ Seconds int }

// DefaultEntry makes an entry the default one of every boot menu that has it: by its
// label or id, its title, or its number from 0.
type DefaultEntry struct{ Name string }

// EntryKargs changes the kernel arguments of the entries of one name: a label or id, a title,
// or a number from 0.
type EntryKargs struct {
	Name string
	Args []string
}

// AddEntry puts a copy of the default entry behind it in every boot menu, with another title
// and changed kernel arguments. What starts by itself stays.
type AddEntry struct {
	Title string
	Args  []string
}

func (k Kargs) String() string {
	if k.Keep {
		return "kernel arguments to keep: " + strings.Join(k.Args, " ")
	}
	return "kernel arguments: " + strings.Join(k.Args, " ")
}

func (k EntryKargs) String() string {
	return "kernel arguments of " + k.Name + ": " + strings.Join(k.Args, " ")
}

func (l Label) String() string { return "label " + l.ID }

func (m MenuTimeout) String() string { return fmt.Sprintf("menu timeout %d", m.Seconds) }

func (d DefaultEntry) String() string { return "default entry " + d.Name }

func (a AddEntry) String() string { return "add entry " + a.Title }
