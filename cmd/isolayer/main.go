// Command isolayer changes ISO images; see `isolayer help`.
package main

import (
	"context"
	"os"
)

// version is set when a release is built.
var version = "development"

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
