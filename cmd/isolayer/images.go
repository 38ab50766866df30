package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isolayer/isolayer/internal/isofile"
	"github.com/isolayer/isolayer/internal/store"
	"github.com/isolayer/isolayer/sink"
)

func (a *app) imagesCommand() *cobra.Command {
	var dir string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "images", Short: "List the images whose layers are kept", GroupID: "store",
		Long: `images lists what build -f Isofile -t NAME:TAG has kept: name, base, layers and their size.`,
		Args: needArgs(),
		RunE: func(*cobra.Command, []string) error {
			s, err := storeThere(dir)
			if err != nil {
				return err
			}
			list, err := s.Images()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.out, list)
			}
			for _, i := range list {
				fmt.Fprintf(a.out, "%-30s %-24s %3d layers %10s  %s\n", name(i.Name), name(i.Config.Base), len(i.Manifest.Layers), size(layersSize(i)), shortDigest(i.Digest))
			}
			return nil
		},
	}
	storeVar(cmd.Flags(), &dir)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func layersSize(i store.Image) (n int64) {
	for _, l := range i.Manifest.Layers {
		n += l.Size
	}
	return n
}

func shortDigest(d store.Digest) string {
	return string(d)[:min(len(d), len("sha256:")+12)]
}

func (a *app) historyCommand() *cobra.Command {
	var dir string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "history NAME", Short: "Tell how a kept image was made", GroupID: "store",
		Long: `history shows the instructions that made an image, with the layer that each gave.`,
		Args: needArgs("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := storeThere(dir)
			if err != nil {
				return err
			}
			list, err := s.Images()
			if err != nil {
				return err
			}
			for _, i := range list {
				if i.Name != args[0] {
					continue
				}
				if asJSON {
					return printJSON(a.out, i.Config)
				}
				fmt.Fprintf(a.out, "%-20s %10s  FROM %s\n", shortDigest(i.Config.Digest), "", name(i.Config.Base))
				for _, h := range i.Config.History {
					fmt.Fprintf(a.out, "%-20s %10s  %s\n", shortDigest(h.Layer), size(h.Size), name(h.Instruction))
				}
				return nil
			}
			return hinted{fmt.Errorf("there is no image %s", args[0]), "isolayer images lists them"}
		},
	}
	storeVar(cmd.Flags(), &dir)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) pruneCommand() *cobra.Command {
	var dir string
	var all, asJSON bool
	cmd := &cobra.Command{
		Use: "prune", Short: "Remove layers that no kept image needs", GroupID: "store",
		Long: `prune removes layers that no named image needs, and what killed runs left in the store.`,
		Args: needArgs(),
		RunE: func(*cobra.Command, []string) error {
			s, err := storeThere(dir)
			if err != nil {
				return err
			}
			p, err := s.Prune(all)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.out, struct {
					Files int   `json:"files"`
					Bytes int64 `json:"bytes"`
				}{p.Files, p.Bytes})
			}
			fmt.Fprintf(a.err, "%d files removed, %s\n", p.Files, size(p.Bytes))
			return nil
		},
	}
	storeVar(cmd.Flags(), &dir)
	cmd.Flags().BoolVar(&all, "all", false, "remove the named images too")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// writeManifest writes what an image was made of.
func writeManifest(ctx context.Context, b *isofile.Result, o buildOptions) error {
	m, err := b.Manifest()
	if err != nil {
		return err
	}
	m.Tool = "isolayer " + version
	_, err = sink.Write(ctx, strings.ReplaceAll(o.manifest, "{{output}}", o.output), func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(m)
	})
	return err
}
