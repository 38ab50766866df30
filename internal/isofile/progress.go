package isofile

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/isolayer/isolayer/internal/recipe"
)

// Progress is a step that is done or begins.
type Progress struct {
	Step, Of int // from 1
	Text     string
	Cached   bool
	Begun    bool // it was said before that it begins: a cached one is only said to be done
	Done     bool
	Took     time.Duration
	// Notes and Warnings are what the instruction says of itself; none if it is cached.
	Notes, Warnings []string
}

// undefined warns of variables that an instruction uses and nothing defines.
func (c *run) undefined(vars recipe.Vars, i *recipe.Instruction) {
	for _, name := range vars.Undefined(i) {
		c.early = append(c.early, fmt.Sprintf("%s:%d: $%s is not defined and is empty here", filepath.Base(c.r.File), i.Line, name))
	}
}

// step is an instruction under way.
type step struct {
	c     *run
	b     Progress
	start time.Time
	early []string
}

// begin begins a step. What is not cached says so by working, then both by done.
func (c *run) begin(text string) *step {
	c.step++
	c.notes, c.warnings = nil, nil
	u := &step{c: c, b: Progress{Step: c.step, Of: c.of, Text: text}, start: time.Now(), early: c.early}
	c.early = nil
	return u
}

// working says that the step begins.
func (u *step) working() {
	u.say(u.b)
	u.b.Begun = true
}

// done says that the step has ended.
func (u *step) done(cached bool) {
	b := u.b
	b.Cached, b.Done, b.Took = cached, true, time.Since(u.start)
	b.Notes, b.Warnings = u.c.notes, slices.Concat(u.early, u.c.warnings)
	u.say(b)
}

func (u *step) say(b Progress) {
	if u.c.Say != nil {
		u.c.Say(b)
	}
}
