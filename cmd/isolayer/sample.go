package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/sample"
)

func (a *app) sampleCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "sample -o OUT",
		Short:   "Make a small image that boots and says so",
		GroupID: "make",
		Long: `sample makes an image of 2 MiB that boots with BIOS and UEFI, from CD and disk, without
anybody's boot loader: it prints ` + sample.Text + ` on the screen and the first
serial port, and stops. It is something to try commands with, and virtual machines.`,
		Example: "  isolayer sample -o sample.iso && isolayer boot sample.iso --expect " + sample.Text,
		Args:    needArgs(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.sample(cmd.Context(), output) },
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "the image, `FILE`; - is standard output")
	return cmd
}

func (a *app) sample(ctx context.Context, output string) (err error) {
	if _, term := terminal(a.out); output == "" || term && output == "-" {
		return usagef("isolayer sample -o sample.iso", "-o is missing, or a terminal")
	}
	epoch, err := sourceDateEpoch()
	if err != nil {
		return err
	}
	img, err := build.Sample(epoch)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	if _, err := a.write(ctx, img, buildOptions{output: output, progress: progressNone}); err != nil {
		return err
	}
	fmt.Fprintf(a.err, "%s: %s; it prints %s when it boots\n", name(output), size(img.Report.Size), sample.Text)
	return nil
}
