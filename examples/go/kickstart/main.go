// Command kickstart puts a kickstart file into an installer image: kickstart BASE KS OUT.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/isolayer/isolayer"
	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/sink"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: kickstart BASE KS OUT")
	}
	if err := run(context.Background(), os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, path, ks, out string) error {
	base, err := isolayer.Open(ctx, path, isolayer.OpenOptions{})
	if err != nil {
		return err
	}
	defer base.Close()
	steps := []edit.Step{edit.Add{Source: ks, Dest: "/ks.cfg"}, edit.Kargs{Args: []string{"inst.ks=cdrom:/ks.cfg"}}}
	image, err := base.Build(ctx, steps, isolayer.BuildOptions{})
	if err != nil {
		return err
	}
	defer image.Close()
	result, err := image.WriteFile(ctx, out, sink.Options{})
	fmt.Println(result.Size, "bytes,", image.Report().Written, "of them new")
	return err
}
