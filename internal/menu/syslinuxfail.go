package menu

import "github.com/isolayer/isolayer/internal/bootcfg"

// failed is a command line of which it is not known what follows it.
func (x *sysRun) failed(c *sysConfig, why string) Start {
	x.doubt("%s", why)
	return Start{After: Forever}
}

// broken is what follows a start that does not succeed: what ONERROR names, else the loader
// is where it was, and tries the same again when the time is over. The prompt may have an
// ONTIMEOUT instead.
func (x *sysRun) broken(c *sysConfig, s Start, why string) Start {
	s.Fails = why
	if !x.erred {
		x.erred = true
		if m := x.from; m != nil && m.onerror != "" {
			if next := x.fromMenu(c, m.onerror); next.succeeds() {
				return next
			}
			return s
		}
		if x.from == nil && c.onerror != "" {
			if next := x.onError(c); next.succeeds() {
				return next
			}
		}
	}
	if x.from != nil {
		return s
	}
	return x.back(c, s)
}

// onError runs what ONERROR names, a label without the arguments behind it, and gives it the
// command line that failed.
func (x *sysRun) onError(c *sysConfig) Start {
	if e := c.byLabel(c.onerror); e != nil {
		return x.label(c, e, c.command())
	}
	return x.fileOf(c, c.onerror+" "+c.command())
}

// back is the prompt after something that came back.
func (x *sysRun) back(c *sysConfig, s Start) Start {
	wait := least(c.timeout, c.total)
	x.from = nil
	if x.timed || wait <= 0 || c.ontimeout == "" || c.noEscape {
		return s
	}
	x.timed = true
	x.after += wait
	if next := x.load(c, c.ontimeout); next.succeeds() {
		return next
	}
	return s
}

// returned is the start of a program of the loader's own that ends without a choice.
func (x *sysRun) returned(c *sysConfig, why string) Start {
	return x.back(c, Start{After: Forever, Fails: why})
}

// succeeds reports a start of something, as far as is known.
func (s Start) succeeds() bool { return s.Fails == "" && !s.Waits() }

// tried is a start, unless what it needs is not there.
func (x *sysRun) tried(c *sysConfig, s Start, kind, kernel string, initrds []string) Start {
	need := initrds
	switch kind {
	case "com32":
		if s.Kind != Linux {
			return s
		}
		need = append([]string{s.Kernel}, initrds...)
	case "linux", "kernel", "fdimage", "boot", "bss", "pxe":
		need = append([]string{kernel}, initrds...)
	default:
		return s
	}
	for _, name := range need {
		if x.r.has(bootcfg.Resolve(c.dir, name)) {
			continue
		}
		why := name + " is not there"
		if kind == "com32" { // which ends
			s.Fails = why
			return x.back(c, s)
		}
		return x.broken(c, s, why)
	}
	if why := x.r.noKernel(bootcfg.Resolve(c.dir, kernel)); kind == "linux" && why != "" {
		return x.broken(c, s, kernel+" "+why)
	}
	return s
}
