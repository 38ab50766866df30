package isolayer_test

import (
	"context"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/isolayer/isolayer"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/sink"
)

// exampleDir makes a directory with base.iso, the image that the examples start from.
func exampleDir() string {
	dir, err := os.MkdirTemp("", "isolayer-example-")
	if err != nil {
		log.Fatal(err)
	}
	epoch := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	menu := "default linux\ntimeout 50\nlabel linux\n  kernel vmlinuz\n  append initrd=initrd.img quiet\n"
	image, err := isolayer.Master(context.Background(), []isolayer.Root{
		{Dest: "/README", Content: text("hello\n")},
		{Dest: "/images/root.img", Content: text(strings.Repeat("file system ", 1<<16))},
		{Dest: "/isolinux/initrd.img", Content: text("an initrd")},
		{Dest: "/isolinux/isolinux.bin", Content: text(strings.Repeat("loader ", 512))},
		{Dest: "/isolinux/isolinux.cfg", Content: text(menu)},
		{Dest: "/isolinux/vmlinuz", Content: text("a kernel")},
	}, isolayer.MasterOptions{Label: "EXAMPLE", Joliet: true, BIOS: "/isolinux/isolinux.bin", Epoch: &epoch, MediaCheck: true})
	if err != nil {
		log.Fatal(err)
	}
	defer image.Close()
	if _, err := image.WriteFile(context.Background(), filepath.Join(dir, "base.iso"), sink.Options{}); err != nil {
		log.Fatal(err)
	}
	return dir
}

// text is a source of text.
func text(s string) extent.Source { return extent.Memory("text", []byte(s)) }
