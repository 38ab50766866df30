// Tryloader starts a directory as the medium of a boot loader and prints what that started by
// itself, for questions that a manual leaves open:
//
//	go run ./tools/tryloader -loader grub DIR
//
// Empty files of DIR become stand-ins: initrds where the name says so, kernels else.
package main

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/isolayer/isolayer/internal/loadertest"
)

func main() {
	loader := flag.String("loader", "isolinux", fmt.Sprint(loadertest.Loaders()))
	label := flag.String("label", "", "of the volume")
	dir := flag.String("dir", "", "directory of the loader on the medium")
	patience := flag.Duration("patience", 0, "how long the loader may do nothing, in its own time")
	verbose := flag.Bool("v", false, "print the screen and the serial line, too")
	flag.Parse()
	if err := try(loadertest.Medium{Loader: loadertest.Loader(*loader), Label: *label, Dir: *dir, Patience: *patience}, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "tryloader:", err)
		os.Exit(1)
	}
}

func try(m loadertest.Medium, verbose bool) error {
	if flag.NArg() != 1 {
		flag.Usage()
		return fs.ErrInvalid
	}
	var err error
	if m.Files, err = read(os.DirFS(flag.Arg(0))); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "tryloader-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	begin := time.Now()
	out, err := loadertest.Run(context.Background(), tmp, m)
	if err != nil {
		return err
	}
	fmt.Printf("%s (%v)\n", out, time.Since(begin).Round(time.Millisecond))
	if verbose {
		fmt.Printf("screen:\n%s\nserial:\n%s\n", out.Screen, out.Serial)
	}
	return nil
}

// read returns the files of a directory.
func read(dir fs.FS) (map[string][]byte, error) {
	files := map[string][]byte{}
	return files, fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(dir, name)
		files[name] = b
		return err
	})
}
