package master

import (
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/tree"
)

// Once lets files of equal content have one source. Only files that have the size of
// another one are read.
func Once(t *tree.Tree) error {
	sizes := map[int64][]*tree.Node{}
	_ = t.Walk(func(n *tree.Node) error { // never fails
		if n.Source != nil && n.Size() > 0 {
			sizes[n.Size()] = append(sizes[n.Size()], n)
		}
		return nil
	})
	for _, nodes := range sizes {
		if len(nodes) < 2 {
			continue
		}
		first := map[[sha256.Size]byte]extent.Source{}
		for _, n := range nodes {
			h := sha256.New()
			if _, err := io.Copy(h, io.NewSectionReader(n.Source, 0, n.Size())); err != nil {
				return fmt.Errorf("read %s: %w", n.Source.Name(), err)
			}
			sum := [sha256.Size]byte(h.Sum(nil))
			if src := first[sum]; src != nil {
				n.Source = src
			} else {
				first[sum] = n.Source
			}
		}
	}
	return nil
}
