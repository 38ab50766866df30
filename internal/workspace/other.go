//go:build !linux

package workspace

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/layer"
	"github.com/isolayer/isolayer/internal/tree"
)

// Who lays a writable directory over a view.
const (
	Kernel        = "overlayfs"
	FuseOverlayfs = "fuse-overlayfs"
)

// Options of a workspace.
type Options struct {
	Temp           string
	Session        int
	Limits         fault.Limits
	Lower, Layers  []string
	Stdin          *os.File
	Stdout, Stderr io.Writer
}

// CaptureOptions say how changes are recorded.
type CaptureOptions struct {
	Files  *extent.Files
	Epoch  *time.Time
	Limits fault.Limits
}

// Workspace needs Linux: Prepare fails elsewhere.
type Workspace struct {
	Strategy                     Strategy
	View, Dir, Upper, Layer, Why string
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

// NoView reports whether no view could be mounted.
func NoView(error) bool { return true }

// Path is where a file of that name may be kept.
func (w *Workspace) Path(name string) string { return name }

// Standing is a mount that outlives the command that makes it.
type Standing struct {
	Image, Dir, Upper, Target, Temp, View, Room string
	Session                                     int
	Limits                                      fault.Limits
	Kinds                                       []string
}

// Shielded is what would have changed in one directory.
type Shielded struct {
	Dir string
	Result
}

// Ability is one thing that this machine can do.
type Ability struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	Text string `json:"text"`
}

// ErrNotOurs reports a directory on which nothing of isolayer is mounted.
var ErrNotOurs = errors.New("nothing that isolayer mounted is there")

// Shield fails here.
func Shield(context.Context, []string, Options) (*Workspace, error) { return nil, ErrPlatform }

// Shielded fails here.
func (w *Workspace) Shielded(CaptureOptions) ([]Shielded, error) { return nil, ErrPlatform }

// Began is of no meaning here.
func (w *Workspace) Began() time.Time { return time.Time{} }

// Commit fails here.
func Commit([]Shielded, time.Time) error { return ErrPlatform }

// Layer fails here.
func Layer([]Shielded, string, *extent.Files) (*layer.Layer, error) { return nil, ErrPlatform }

// Stand fails here.
func Stand(Standing) (string, error) { return "", ErrPlatform }

// Unmount fails here.
func Unmount(string) error { return ErrPlatform }

// Standings finds none here.
func Standings() (here, gone []Standing, err error) { return nil, nil, nil }

// Abilities reports that workspaces need another system.
func Abilities(string) []Ability {
	return []Ability{{"workspaces", false, ErrPlatform.Error()}}
}

// Stale finds nothing here.
func Stale(string) ([]string, error) { return nil, nil }

// Sweep removes nothing here.
func Sweep(string) ([]string, error) { return nil, nil }

// Temp is the directory for workspaces.
func Temp() string { return os.TempDir() }
