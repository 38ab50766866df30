package main

import "github.com/isolayer/isolayer/internal/fault"

// limitsFlag is --limits.
type limitsFlag struct{ limits *fault.Limits }

func (limitsFlag) String() string { return "" }
func (limitsFlag) Type() string   { return "NAME=N,..." }

// Set implements pflag.Value.
func (f limitsFlag) Set(s string) (err error) {
	*f.limits, err = fault.Parse(s)
	return err
}

const limitsUsage = "raise what reading an image may cost, records=4M for example; see docs/robustness.md"
