//go:build !linux

package workspace

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/tree"
)

// Options of a workspace.
type Options struct {
	Temp           string
	Session        int
	Lower          []string
	Stdin          *os.File
	Stdout, Stderr io.Writer
}

// CaptureOptions say how changes are recorded.
type CaptureOptions struct {
	Files *extent.Files
	Epoch *time.Time
}

// Workspace needs Linux: Prepare fails elsewhere.
type Workspace struct {
	Strategy         Strategy
	View, Dir, Upper string
}

// Main does nothing here.
func Main() {}

// Prepare fails: only Linux has what workspaces need.
func Prepare(context.Context, string, Strategy, Options) (*Workspace, error) {
	return nil, ErrPlatform
}

// CaptureUpper fails here.
func CaptureUpper(string, int, string, CaptureOptions) (Result, error) {
	return Result{}, ErrPlatform
}

// Run fails here.
func (w *Workspace) Run(context.Context, Command, ...Binding) (int, error) { return -1, ErrPlatform }

// Apply fails here.
func (w *Workspace) Apply(context.Context, []tree.Edit) error { return ErrPlatform }

// Capture fails here.
func (w *Workspace) Capture(CaptureOptions) (Result, error) { return Result{}, ErrPlatform }

// Stop does nothing here.
func (w *Workspace) Stop() error { return nil }

// Close does nothing here.
func (w *Workspace) Close() error { return nil }

// Keep does nothing here.
func (w *Workspace) Keep() (string, error) { return "", ErrPlatform }

// NoView tells whether no view could be mounted.
func NoView(error) bool { return true }

// Path is where a file of that name may be kept.
func (w *Workspace) Path(name string) string { return name }
