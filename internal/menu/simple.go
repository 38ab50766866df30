package menu

import (
	"path"
	"strconv"
	"strings"
)

// readESXi says what mboot of ESXi does: boot.cfg is one entry.
func readESXi(v Volume, name string, platform Platform) *Menu {
	r := newReader(v)
	found, text, ok := r.read(name)
	if !ok {
		return nil
	}
	m := &Menu{Loader: ESXi, Platforms: []Platform{platform}, Root: v.Prefix + found, Files: r.files}
	e := &Entry{File: m.Root, Kind: Multiboot}
	wait := 0
	for l := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(l), "=")
		switch strings.TrimSpace(key) {
		case "title":
			e.Title = strings.TrimSpace(value)
		case "timeout":
			if n, err := strconv.Atoi(strings.TrimSpace(value)); err == nil {
				wait = n * 10
			}
		case "kernel":
			e.Kernel = strings.TrimSpace(value)
		case "kernelopt":
			e.Args = strings.TrimSpace(value)
		case "modules":
			for p := range strings.SplitSeq(value, "---") {
				if p = strings.TrimSpace(p); p != "" {
					e.Initrds = append(e.Initrds, p)
				}
			}
		}
	}
	if e.Kernel == "" {
		return nil
	}
	m.Entries = []*Entry{e}
	m.Start = Start{Entry: e, After: wait, Kind: Multiboot, Kernel: e.Kernel, Args: e.Args}
	return m
}

// readParm says what s390 starts: a kernel with the parameter file as its command line,
// whose line ends are blanks.
func readParm(v Volume, name string) *Menu {
	r := newReader(v)
	found, text, ok := r.read(name)
	if !ok {
		return nil
	}
	m := &Menu{Loader: Zipl, Platforms: []Platform{S390}, Root: v.Prefix + found, Files: r.files}
	e := &Entry{File: m.Root, ID: path.Base(found), Kind: Linux, Args: strings.Join(strings.Fields(text), " ")}
	m.Entries = []*Entry{e}
	m.Start = Start{Entry: e, Kind: Linux, Args: e.Args}
	return m
}

// bsdTime is how long BSD's loader waits where nothing is said, in tenths of a second.
const bsdTime = 100

// readBSD says what the loader of FreeBSD and illumos does: settings in loader.conf are
// the environment of the kernel, not arguments.
func readBSD(v Volume, name string) *Menu {
	r := newReader(v)
	found, text, ok := r.read(name)
	if !ok {
		return nil
	}
	m := &Menu{Loader: BSD, Platforms: []Platform{BIOS, UEFI}, Root: v.Prefix + found, Files: r.files}
	e := &Entry{File: m.Root, ID: "kernel", Kind: Chain, Kernel: "kernel"}
	wait := bsdTime
	for l := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(l), "=")
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch {
		case !ok:
		case key == "kernel":
			e.Kernel = value
		case key == "autoboot_delay":
			if n, err := strconv.Atoi(value); err == nil {
				wait = n * 10
			} else if strings.EqualFold(value, "NO") {
				wait = Forever
			}
		}
	}
	if wait < 0 {
		wait = max(wait, Forever)
	}
	m.Entries = []*Entry{e}
	m.Start = Start{Entry: e, After: wait, Kind: e.Kind, Kernel: e.Kernel}
	return m
}
