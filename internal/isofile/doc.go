// Package isofile builds images of Isofiles: each instruction becomes steps, the difference of
// the plans before and after them a layer, and the layers of the last stage the image. It also
// writes the Isofile of steps.
//
// The language is read by package recipe, layers are kept by package store. What RUN states is
// carried out by whoever builds; without that it is refused.
package isofile
