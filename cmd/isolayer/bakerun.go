package main

import (
	"context"

	"github.com/isolayer/isolayer"
	"github.com/isolayer/isolayer/tree"
)

// runIn runs the commands of RUN.
func runIn(*app) func(context.Context, isolayer.RunCommand) ([]tree.Edit, func() error, error) {
	return nil
}
