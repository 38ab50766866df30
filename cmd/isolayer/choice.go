package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// choice is a flag that takes one of a few words.
type choice struct {
	value *string
	words []string
}

func (c choice) String() string { return *c.value }
func (c choice) Type() string   { return strings.Join(c.words, "|") }

// Set implements pflag.Value.
func (c choice) Set(s string) error {
	for _, w := range c.words {
		if s == w {
			*c.value = s
			return nil
		}
	}
	n := len(c.words) - 1
	return fmt.Errorf("want %s or %s", strings.Join(c.words[:n], ", "), c.words[n])
}

// choiceVar defines a flag that takes one of words, a list with bars; what p holds is
// the default.
func choiceVar(f *pflag.FlagSet, p *string, name, words, usage string) {
	f.Var(choice{p, strings.Split(words, "|")}, name, usage)
}

// progressVar defines --progress.
func progressVar(f *pflag.FlagSet, p *string) {
	*p = progressAuto
	choiceVar(f, p, "progress", "auto|plain|none", "how to show progress")
}

// choices is a flag that takes such words, and more than one when it is repeated.
type choices struct{ choice }

// Set implements pflag.Value.
func (c choices) Set(s string) error {
	before := *c.value
	if err := c.choice.Set(s); err != nil || before == "" {
		return err
	}
	*c.value = before + "," + s
	return nil
}

// duration is a flag that takes a time such as 90s or 3m; a plain number counts seconds.
type duration struct{ value *time.Duration }

func (d duration) String() string { return d.value.String() }
func (d duration) Type() string   { return "TIME" }

// Set implements pflag.Value.
func (d duration) Set(s string) error {
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		s += "s"
	}
	t, err := time.ParseDuration(s)
	if err != nil || t <= 0 {
		return errors.New("want a time such as 90s or 3m")
	}
	*d.value = t
	return nil
}
