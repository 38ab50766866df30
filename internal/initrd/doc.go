// Package initrd finds the initrds that boot entries of a stage name, opens each once, and adds
// files to them or changes what names the label in them.
//
// The archives themselves are read and written by package cpio.
package initrd
