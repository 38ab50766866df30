package unpack

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/tree"
)

// makeNode makes the device node or FIFO of n in an open directory.
func makeNode(dir *os.File, name string, n *tree.Node) error {
	mode := n.Mode&iso9660.ModeType | 0o600
	if err := unix.Mknodat(int(dir.Fd()), name, mode, int(unix.Mkdev(n.Major, n.Minor))); err != nil {
		return fmt.Errorf("make node: %w", err)
	}
	return nil
}
