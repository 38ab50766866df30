// Command extract lists what an image holds, or writes one file of it to standard output:
// extract IMAGE [PATH].
package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"

	"github.com/isolayer/isolayer"
)

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: extract IMAGE [PATH]")
	}
	base := must(isolayer.Open(context.Background(), os.Args[1], isolayer.OpenOptions{}))
	defer base.Close()
	files := must(base.FS())
	if len(os.Args) > 2 {
		must(io.Copy(os.Stdout, must(files.Open(os.Args[2]))))
		return
	}
	must(0, fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			fmt.Println(d.Type(), path)
		}
		return err
	}))
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
