package baseimage

import (
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/cpio"
)

// Content is where bytes are from, by which those of one content are told apart.
type Content struct {
	Src       extent.Source
	Off, Size int64
}

// Unpacked is an initrd of the base that was opened before.
func (b *Base) Unpacked(c Content) *cpio.Initrd {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.initrds[c]
}

func (b *Base) KeepUnpacked(c Content, open *cpio.Initrd) {
	if c.Src != b.src {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.initrds == nil {
		b.initrds = map[Content]*cpio.Initrd{}
	}
	b.initrds[c] = open
}
