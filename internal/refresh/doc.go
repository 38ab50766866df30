// Package refresh makes true again what an image says of itself: lists of checksums, tables of
// translated names, the areas of CoreOS, and signatures where a key is given. It plans the image
// as often as that takes.
//
// It does not decide where anything lies; the plan is a function it is given. It starts GnuPG,
// and only for a key.
package refresh
