package loadertest

import (
	"regexp"
	"strings"
)

// parse reads what a stand-in printed. Started is false where none did.
func parse(serial string) Outcome {
	out := Outcome{Serial: serial}
	_, rest, ok := strings.Cut(serial, printKernel)
	if !ok {
		return out
	}
	kernel, rest, ok1 := strings.Cut(rest, printCommand)
	command, rest, ok2 := strings.Cut(rest, printInitrd)
	initrd, _, ok3 := strings.Cut(rest, printEnd)
	if !ok1 || !ok2 || !ok3 {
		return out
	}
	out.Started, out.Kernel, out.Command = true, kernel, command
	for _, m := range initrdName.FindAllStringSubmatch(initrd, -1) {
		out.Initrd = append(out.Initrd, m[1])
	}
	return out
}

var initrdName = regexp.MustCompile(`\[([^\]\x00]*)\]\x00`)
