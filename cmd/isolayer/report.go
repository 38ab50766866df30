package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/layout"
)

// failure is an error as programs read it: one line of JSON on standard error.
type failure struct {
	Error     string `json:"error"`
	Kind      string `json:"kind,omitempty"`
	Image     string `json:"image,omitempty"`
	Offset    *int64 `json:"offset,omitempty"`
	Structure string `json:"structure,omitempty"`
	Field     string `json:"field,omitempty"`
	Hint      string `json:"hint,omitempty"`
	Exit      int    `json:"exit"`
}

// jsonErrorsVar defines --json for commands whose output is none.
func jsonErrorsVar(f *pflag.FlagSet) {
	f.Bool("json", false, "report an error as JSON")
}

// wantsJSON reports whether the command was asked for it.
func wantsJSON(cmd *cobra.Command) bool {
	if cmd == nil || cmd.Flags().Lookup("json") == nil {
		return false
	}
	on, err := cmd.Flags().GetBool("json")
	return err == nil && on
}

// report prints an error with its hint and returns the exit code.
func (a *app) report(err error, asJSON bool) int {
	if err == nil || errors.Is(err, syscall.EPIPE) { // who closed the pipe has seen enough
		return exitOK
	}
	var own coded
	code := exitFailed
	switch usage := (usageError{}); {
	case errors.As(err, &own):
		code = own.code
	case errors.As(err, &usage):
		code = exitUsage
	}
	if errors.Is(err, errSaid) {
		return code
	}
	if asJSON {
		a.reportJSON(err, code)
		return code
	}
	fmt.Fprintf(a.err, "isolayer: %s\n", plain(sentence(err)))
	if hint := hintFor(err); hint != "" {
		fmt.Fprintf(a.err, "hint: %s\n", plain(hint))
	}
	return code
}

// sentence is the text of an error. What an operation of the file system was done to is
// left out where the text names it before, and so is what is named twice in a row.
func sentence(err error) string {
	text := err.Error()
	var p *fs.PathError
	if errors.As(err, &p) && p.Path != "" {
		before, after, ok := strings.Cut(text, p.Error())
		if ok && strings.Contains(before, p.Path) {
			text = before + p.Err.Error() + after
		}
	}
	parts := strings.Split(text, ": ")
	said := parts[:1]
	for _, part := range parts[1:] {
		if last := said[len(said)-1]; part != last && !strings.HasSuffix(last, " "+part) {
			said = append(said, part)
		}
	}
	return strings.Join(said, ": ")
}

func (a *app) reportJSON(err error, code int) {
	f := failure{Error: plain(sentence(err)), Kind: kindOf(err), Hint: plain(hintFor(err)), Exit: code}
	var image *baseimage.ImageError
	if errors.As(err, &image) {
		f.Image = image.Path
	}
	var at *fault.Error
	if errors.As(err, &at) {
		f.Offset, f.Structure, f.Field = &at.Off, at.Structure, at.Field
	}
	e := json.NewEncoder(a.err)
	e.SetEscapeHTML(false)
	_ = e.Encode(f) // as for words, there is nobody else to tell
}

// kindOf is the code of an error's kind, "" without one.
func kindOf(err error) string {
	var kind fault.Kind
	switch {
	case errors.As(err, &kind):
		return kind.Code()
	case errors.Is(err, layout.ErrUnsupported):
		return fault.Unsupported.Code()
	}
	return ""
}
