package isolayer_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/master/scan"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/sink"
)

// Put a kickstart file into an image, as the documentation of the package does.
func Example() {
	dir, err := os.MkdirTemp("", "isolayer-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := rebuildExample(context.Background(), dir); err != nil {
		log.Fatal(err)
	}
	made, err := baseimage.Open(filepath.Join(dir, "out.iso"), baseimage.OpenOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer made.Close()
	t, err := made.Tree()
	if err != nil {
		log.Fatal(err)
	}
	for _, n := range t.Root.Children {
		fmt.Println(n.Path(), n.Size())
	}
	// Output:
	// /ks.cfg 5
	// /README 6
}

func rebuildExample(ctx context.Context, dir string) error {
	if err := exampleBase(ctx, dir); err != nil {
		return err
	}
	base, err := baseimage.Open(filepath.Join(dir, "base.iso"), baseimage.OpenOptions{})
	if err != nil {
		return err
	}
	defer base.Close()
	image, err := build.Build(ctx, base, []edit.Step{edit.Add{Source: filepath.Join(dir, "ks.cfg")}}, stage.Options{})
	if err != nil {
		return err
	}
	defer image.Close()
	_, err = image.WriteFile(ctx, filepath.Join(dir, "out.iso"), sink.Options{})
	return err
}

// exampleBase makes the files of the example: ks.cfg, and base.iso with a README.
func exampleBase(ctx context.Context, dir string) error {
	tree := filepath.Join(dir, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{"ks.cfg": "text\n", "tree/README": "hello\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	at := time.Unix(1_600_000_000, 0).UTC()
	img, err := build.Master([]scan.Graft{{Source: tree}}, scan.Options{
		RockRidge: true, Epoch: &at, Texts: iso9660.VolumeTexts{Volume: "EXAMPLE", Created: at, Modified: at},
	})
	if err != nil {
		return err
	}
	defer img.Close()
	_, err = img.WriteFile(ctx, filepath.Join(dir, "base.iso"), sink.Options{})
	return err
}
