package edit

import "github.com/isolayer/isolayer/extent"

// Layer applies the change that is in the local file Path: an OCI layer, plain or compressed
// with gzip or zstd, as WriteLayer of package isolayer, the command isolayer layer create, or any
// program for containers makes it. What of it is in the image already keeps its place. A
// compressed one is unpacked into a temporary file until the image is closed.
type Layer struct {
	Path string
	// Source is the layer if it is not nil; Path is then not looked at.
	Source extent.Source
}

func (l Layer) String() string {
	if l.Source != nil {
		return "layer " + l.Source.Name()
	}
	return "layer " + l.Path
}
