package refresh

import (
	"fmt"

	"github.com/isolayer/isolayer/internal/coreos"
	"github.com/isolayer/isolayer/internal/stage"
)

// checkHeader looks whether what the header names is where it says: the config's area in
// the same file, and areas of arguments with what they had, or with arguments and what
// fills them up.
func (b *checks) checkHeader() error {
	h := coreos.AreaHeader(b.s.Base)
	if h == nil {
		return nil
	}
	if h.Ignition.Len > 0 {
		was, from := coreos.Lies(b.base, h.Ignition.Off)
		is, to := coreos.Lies(b.tree, h.Ignition.Off)
		if n := b.tree.Exact(stage.Slashless(is)); was != "" && (was != is || from != to || n == nil || n.Size() < to+h.Ignition.Len) {
			return fmt.Errorf("%s, which the system area names: %w", was, stage.ErrReserved)
		}
	}
	first := ""
	for _, at := range h.Args {
		was, from := coreos.Lies(b.base, at)
		is, to := coreos.Lies(b.tree, at)
		old, now := make([]byte, h.Size+1), make([]byte, h.Size+1) // and what follows
		if n, err := b.s.Base.Source().ReadAt(old, at); int64(n) < h.Size {
			return fmt.Errorf("read the area at %d: %w", at, err)
		}
		if n, err := b.res.Map.ReadAt(now, at); int64(n) < h.Size && at+h.Size <= b.res.Map.Size() {
			return fmt.Errorf("read the area at %d: %w", at, err)
		} // what lies behind the end is zeros
		if _, ok := coreos.AreaArgs(string(old[:h.Size]), "#", "\n"); !ok || was == "" {
			continue // nobody can use it
		}
		args, ok := coreos.AreaArgs(string(now[:h.Size]), "#", "\n")
		if was != is || from != to || !ok || now[h.Size] != old[h.Size] || first != "" && args != first {
			return fmt.Errorf("%s, which the system area names: %w", was, stage.ErrReserved)
		}
		first = args
	}
	return nil
}
