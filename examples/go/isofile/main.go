// Command isofile builds the Isofile of a directory: isofile DIR OUT [NAME=VALUE…].
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/isolayer/isolayer"
	"github.com/isolayer/isolayer/sink"
)

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: isofile DIR OUT [NAME=VALUE…]")
	}
	dir, args := os.Args[1], map[string]string{}
	for _, a := range os.Args[3:] {
		name, value, _ := strings.Cut(a, "=")
		args[name] = value
	}
	text := must(os.ReadFile(filepath.Join(dir, "Isofile")))
	file := must(isolayer.ParseIsofile("Isofile", text))
	image := must(isolayer.BuildIsofile(context.Background(), file, isolayer.IsofileOptions{Context: dir, Args: args}))
	result, err := image.WriteFile(context.Background(), os.Args[2], sink.Options{})
	must(result, errors.Join(err, image.Close())) // which removes the layers, too
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
