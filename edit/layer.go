package edit

// Layer applies the change in an OCI layer, plain or compressed with gzip or zstd; see
// package layer. What of it is in the image already keeps its place.
type Layer struct{ Path string }

func (l Layer) String() string { return "layer " + l.Path }
