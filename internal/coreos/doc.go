// Package coreos keeps true what images of CoreOS say of themselves: the areas for kernel
// arguments and for an Ignition configuration, kargs.json, igninfo.json and the header in the
// system area.
//
// Which image is one of CoreOS is said by package distro.
package coreos
