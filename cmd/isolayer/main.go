// Command isolayer changes ISO images; see `isolayer help`.
package main

import (
	"context"
	"os"

	"github.com/isolayer/isolayer/internal/workspace"
)

// version is set when a release is built.
var version = "development"

func main() {
	collectLate()
	workspace.Main()
	args, exit := personality(os.Args)
	os.Exit(exit(run(context.Background(), args, os.Stdin, os.Stdout, os.Stderr)))
}
