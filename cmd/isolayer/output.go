package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// errExists reports an output that --no-clobber protects.
var errExists = fmt.Errorf("the output %w", fs.ErrExist)

// mayWrite refuses an output that exists where it is not to be replaced.
func mayWrite(o buildOptions) error {
	if !o.noClobber || o.output == "" || o.output == "-" || o.dryRun {
		return nil
	}
	if _, err := os.Lstat(o.output); err == nil {
		return hinted{fmt.Errorf("%s: %w", o.output, errExists), "choose another name for -o, or leave --no-clobber out to replace it"}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// replaced reports an output that is a file now, which writing will replace.
func replaced(output string) bool {
	info, err := os.Stat(output)
	return output != "-" && err == nil && info.Mode().IsRegular()
}

// outputIs says what writing an output did to what was there. sums is the kind of the list
// of checksums that was written with it.
func (a *app) outputIs(output string, was bool, sums string) {
	if output == "-" {
		return
	}
	if was {
		fmt.Fprintf(a.err, "isolayer: %s was there and was replaced\n", name(output))
	}
	a.staleSums(output, sums)
}

// staleSums warns of lists of checksums beside an image that changed which are of it as it
// was: those that --checksum wrote for an earlier one. except is the one written now.
func (a *app) staleSums(image, except string) {
	for _, kind := range []string{"sha256", "sha512"} {
		list := image + "." + kind
		if kind == except || !namesIn(list, filepath.Base(image)) {
			continue
		}
		fmt.Fprintf(a.err, "isolayer: warning: %s has the checksum of %s as it was: remove it, or %ssum %s > %s\n",
			name(list), name(image), kind, name(filepath.Base(image)), name(filepath.Base(list)))
	}
}

// maxSums bounds what is read of a list of checksums.
const maxSums = 64 << 10

// namesIn reports a list of checksums, in the form of sha256sum, that names a file.
func namesIn(list, file string) bool {
	info, err := os.Stat(list)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxSums {
		return false
	}
	text, err := os.ReadFile(list)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if _, is, ok := strings.Cut(strings.TrimRight(line, "\r\n"), " "); ok && strings.TrimLeft(is, " *") == file {
			return true
		}
	}
	return false
}

// working returns what says on a terminal what planning is at; nil for none.
func (a *app) working(progress string, indent string) func(string) {
	if _, ok := terminal(a.err); !ok || progress == progressNone {
		return nil
	}
	return func(what string) { fmt.Fprintf(a.err, "%s%s\n", indent, plain(what)) }
}
