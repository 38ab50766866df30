package edit

// Layer applies the change that is in the local file Path: an OCI layer, plain or compressed
// with gzip or zstd, as the command isolayer layer create or any program for containers makes
// it. What of it is in the image already keeps its place. A compressed one is unpacked into a
// temporary file until the image is closed.
type Layer struct{ Path string }

func (l Layer) String() string { return "layer " + l.Path }
