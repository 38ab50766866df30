// Package build makes the planned image of a base and steps: it has them carried out, then what
// follows from them, and the plan. It also makes images of what others plan (new ones, samples),
// their variants and media checks, and layers of two images.
//
// It starts no program and writes no file unless a step or an option says so. What a step does
// is in package apply, where everything lies in package layout.
package build
