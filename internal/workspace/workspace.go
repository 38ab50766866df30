// Package workspace shows an image, or a directory, as a directory that can be changed,
// runs programs in it, and says afterwards what they changed.
//
// Whatever it mounts lives in a private mount namespace of a child that dies with this
// process. It makes no images: the edits it returns are what package isolayer builds from.
package workspace

import (
	"errors"
	"fmt"

	"github.com/isolayer/isolayer/internal/tree"
)

// Strategy is how a directory shows base and edits. The variants are Copy, Overlay and
// Bind.
type Strategy interface {
	fmt.Stringer
	strategy()
}

// Copy unpacks everything into a directory. It works everywhere and costs the most.
type Copy struct{}

// Overlay lays a writable directory over a read-only view: only what is changed is
// copied. It needs overlayfs, and root or user namespaces.
type Overlay struct {
	// Upper is a directory that keeps the changes; "" is one in the workspace.
	Upper string
}

// Bind lays files and directories over existing paths of a read-only view.
type Bind struct {
	Map []Binding // in this order
}

// Binding lays the file or directory Source over Path.
type Binding struct{ Source, Path string }

func (Copy) strategy()    {}
func (Overlay) strategy() {}
func (Bind) strategy()    {}

func (Copy) String() string    { return "copy" }
func (Overlay) String() string { return "overlay" }
func (Bind) String() string    { return "bind" }

// Errors that callers tell apart.
var (
	ErrNoNamespace = errors.New("private mounts are not possible here")
	ErrUpper       = errors.New("the directory for changes is on an unsuitable file system")
	ErrInside      = errors.New("changes cannot be kept inside what is shielded")
	ErrLower       = errors.New("overlayfs cannot be laid over it")
	ErrNotThere    = errors.New("is not in the image")
	ErrSpecial     = errors.New("is a device, FIFO or socket")
	ErrMeanwhile   = errors.New("was changed meanwhile")
	ErrRoot        = errors.New("only root can make a writable mount that stands")
	ErrTaken       = errors.New("something is mounted there already")
	ErrPlatform    = errors.New("only Linux has what this needs")
)

// Kind says what became of a path.
type Kind byte

// The kinds of changes, in the letters of git status.
const (
	Added    Kind = 'A'
	Modified Kind = 'M'
	Removed  Kind = 'D'
	Altered  Kind = 'T' // attributes only
	Renamed  Kind = 'R'
)

// Change is one line of what changed.
type Change struct {
	Kind Kind   `json:"-"`
	What string `json:"change"`
	Path string `json:"path"`
	From string `json:"from,omitempty"` // of a rename
	Dir  bool   `json:"directory,omitempty"`
}

var kindNames = map[Kind]string{Added: "added", Modified: "modified", Removed: "removed", Altered: "attributes", Renamed: "renamed"}

// Result is what was changed in a workspace.
type Result struct {
	Edits   []tree.Edit // in the order in which they are to be made
	Changes []Change    // the same for people
}

// Command is a program to be run in the merged directory.
type Command struct {
	Args []string
	Env  []string // in addition to that of this process
	// Offline programs have a network namespace of their own, with nothing in it.
	Offline bool
}
