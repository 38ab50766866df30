// Package bootedit finds the boot menus and unified kernel images of a stage, says what starts
// by itself before and after, and changes them as package menu says.
//
// It knows no step and no language of a boot loader.
package bootedit
