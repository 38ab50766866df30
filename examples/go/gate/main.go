// Command gate says in CI whether an image is sound, and whether it differs from its base in
// those files only that are named: gate IMAGE BASE [PATH…].
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"slices"

	"github.com/isolayer/isolayer"
)

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: gate IMAGE BASE [PATH…]")
	}
	image := must(isolayer.Open(context.Background(), os.Args[1], isolayer.OpenOptions{}))
	base := must(isolayer.Open(context.Background(), os.Args[2], isolayer.OpenOptions{}))
	found := must(image.Verify(context.Background(), isolayer.VerifyOptions{}))
	for _, f := range found.List {
		fmt.Println(f)
	}
	changes := must(image.Diff(context.Background(), base, isolayer.DiffOptions{})).Files
	changes = slices.DeleteFunc(changes, func(c isolayer.Change) bool { return slices.Contains(os.Args[3:], c.Name) })
	for _, c := range changes {
		fmt.Println("not expected:", c.Kind, c.Name)
	}
	os.Exit(min(1, found.Problems+len(changes)))
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
