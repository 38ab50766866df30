// Package apply carries out steps: what each of them does to the tree, the boot equipment and
// the texts of a stage, and which edits of a tree several of them come to.
//
// It places nothing and writes nothing; package build plans the image of the stage. Steps of
// other packages carry themselves out, by a method Apply.
package apply
