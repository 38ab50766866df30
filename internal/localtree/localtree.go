// Package localtree reads local files as additions to an image: which files a source
// holds, where they go, which names are one file, whom it belongs to.
//
// It knows nothing of images.
package localtree
