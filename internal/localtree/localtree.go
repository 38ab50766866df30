// Package localtree reads local files as additions to an image: which names are one file,
// whom it belongs to.
//
// It knows nothing of images.
package localtree
