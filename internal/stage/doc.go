// Package stage holds an image while steps change it: the edited tree, the boot equipment, FAT
// images, texts of descriptors, and what users are told about it.
//
// It knows no step; packages that do change a stage.
package stage
