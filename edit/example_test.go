package edit_test

import (
	"context"
	"fmt"
	"io/fs"
	"log"

	"github.com/isolayer/isolayer"
	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/extent"
)

// Files, directories and links that no local file is needed for.
func ExamplePut() {
	ctx := context.Background()
	readme := isolayer.Root{Dest: "/README", Content: extent.Memory("README", []byte("hello\n"))}
	planned, err := isolayer.Master(ctx, []isolayer.Root{readme}, isolayer.MasterOptions{Label: "EXAMPLE"})
	if err != nil {
		log.Fatal(err)
	}
	defer planned.Close()
	base, err := isolayer.OpenSource(ctx, extent.Compose("base.iso", planned.Map()), isolayer.OpenOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer base.Close()

	image, err := base.Build(ctx, []edit.Step{
		edit.Put{Path: "/scripts/run", Content: []byte("#!/bin/sh\n"), Mode: 0o755},
		edit.Put{Path: "/scripts/first", Link: "run"},
		edit.Put{Path: "/empty", Mode: fs.ModeDir | 0o700},
	}, isolayer.BuildOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer image.Close()

	made, err := isolayer.OpenSource(ctx, extent.Compose("made.iso", image.Map()), isolayer.OpenOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer made.Close()
	files, err := made.FS()
	if err != nil {
		log.Fatal(err)
	}
	for _, path := range []string{"README", "empty", "scripts/first", "scripts/run"} {
		info, err := fs.Lstat(files, path)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(info.Mode(), path)
	}
	// Output:
	// -r--r--r-- README
	// drwx------ empty
	// Lrwxrwxrwx scripts/first
	// -rwxr-xr-x scripts/run
}

// Steps are data: they print as what they do.
func ExampleStep() {
	for _, s := range []edit.Step{
		edit.Add{Source: "rpms", Dest: "/extra/"},
		edit.Remove{Pattern: "/LiveOS/**/*.old"},
		edit.Kargs{Args: []string{"console=ttyS0", "-quiet"}},
	} {
		fmt.Println(s)
	}
	// Output:
	// add rpms to /extra/
	// rm /LiveOS/**/*.old
	// kernel arguments: console=ttyS0 -quiet
}
