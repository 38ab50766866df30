package main

import (
	"fmt"
	"strings"

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
