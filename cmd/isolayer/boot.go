package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/qemu"
)

// bootOptions are the flags of boot.
type bootOptions struct {
	firmware, media string
	expect          []string
	timeout         time.Duration
	memory          int
	screenshot      string
	noKVM, asJSON   bool
}

func (a *app) bootCommand() *cobra.Command {
	var o bootOptions
	cmd := &cobra.Command{
		Use:     "boot IMAGE",
		Short:   "Start an image in a virtual machine",
		GroupID: "look",
		Long: `boot starts an image in QEMU and prints what its serial console shows. With
--expect it waits for texts, on the serial console or the text screen, and says by
its exit code whether they came: 0, or 3 if not in time. The image is only read.

Without KVM the processor is emulated: a boot loader takes a second then, a kernel
half a minute.`,
		Example: "  isolayer boot custom.iso --firmware uefi --media usb --expect 'login:'\n" +
			"  isolayer boot custom.iso --timeout 20s --screenshot menu.png",
		Args: needArgs("IMAGE"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.boot(cmd.Context(), args[0], o) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	o.firmware, o.media = string(qemu.BIOS), string(qemu.CD)
	choiceVar(f, &o.firmware, "firmware", "bios|uefi|secure-boot", "start with that firmware")
	choiceVar(f, &o.media, "media", "cd|disk|usb", "attach the image as that")
	f.StringArrayVar(&o.expect, "expect", nil, "wait for `TEXT`; may be repeated, all must come")
	o.timeout = 3 * time.Minute
	f.Var(duration{&o.timeout}, "timeout", "give up after this `TIME`; a plain number is seconds")
	f.StringVar(&o.screenshot, "screenshot", "", "write what the screen shows at the end to `FILE` (PNG)")
	f.IntVar(&o.memory, "memory", 1024, "memory of the machine in `MIB`")
	f.BoolVar(&o.noKVM, "no-kvm", false, "emulate the processor even where KVM is there")
	f.BoolVar(&o.asJSON, "json", false, "print a report as JSON")
	return cmd
}

func (o *bootOptions) options() (qemu.Options, error) {
	out := qemu.Options{
		Firmware: qemu.Firmware(o.firmware), Media: qemu.Media(o.media), Memory: o.memory, Timeout: o.timeout,
		Expect: o.expect, Screenshot: o.screenshot, NoKVM: o.noKVM,
	}
	if o.memory < 64 {
		return out, usagef("machines need 64 MiB and more", "--memory %d is too little", o.memory)
	}
	return out, nil
}

func (a *app) boot(ctx context.Context, image string, o bootOptions) error {
	options, err := o.options()
	if err != nil {
		return err
	}
	if err := bootable(image); err != nil {
		return err
	}
	if !o.asJSON {
		options.Console = a.consoleWriter()
	}
	fmt.Fprintf(a.err, "starting %s: %s, as %s\n", name(image), options.Firmware, options.Media)
	res, err := qemu.Run(ctx, image, options)
	var missing *qemu.MissingError
	if errors.As(err, &missing) {
		return hinted{err, missing.Packages}
	}
	if err != nil {
		return err
	}
	if o.asJSON {
		if err := printJSON(a.out, bootReport{image, o.firmware, o.media, len(res.Missing) == 0, res.Missing, res.Took.Seconds(), res.KVM, res.Ended, res.Console, res.Screen}); err != nil {
			return err
		}
	}
	if len(res.Missing) > 0 {
		return a.bootMissed(image, res, o)
	}
	if len(o.expect) > 0 {
		fmt.Fprintf(a.err, "all texts came in %.1f s\n", res.Took.Seconds())
	}
	return nil
}

// bootable refuses a file that no firmware starts: neither an ISO image nor a disk, which
// has the mark of an MBR or a GPT.
func bootable(image string) error {
	f, err := os.Open(image)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, m := range []struct {
		off   int64
		magic string
	}{{32769, "CD001"}, {32769, "BEA01"}, {510, "\x55\xaa"}, {512, "EFI PART"}, {4096, "EFI PART"}} {
		head := make([]byte, len(m.magic))
		if n, _ := f.ReadAt(head, m.off); string(head[:n]) == m.magic {
			return nil
		}
	}
	return notISO(image, fault.NotISO)
}

// bootReport is what boot prints as JSON.
type bootReport struct {
	Image    string   `json:"image"`
	Firmware string   `json:"firmware"`
	Media    string   `json:"media"`
	OK       bool     `json:"ok"`
	Missing  []string `json:"missing,omitempty"`
	Seconds  float64  `json:"seconds"`
	KVM      bool     `json:"kvm"`
	Ended    bool     `json:"powered_off"`
	Console  string   `json:"console"`
	Screen   string   `json:"screen,omitempty"`
}

// bootMissed says what did not come and what was seen last.
func (a *app) bootMissed(image string, res qemu.Result, o bootOptions) error {
	for _, c := range []struct{ what, text string }{{"the serial console", res.Console}, {"the screen", res.Screen}} {
		if tail := lastLines(c.text, 8); tail != "" && !o.asJSON {
			fmt.Fprintf(a.err, "%s ended with:\n%s\n", c.what, tail)
		}
	}
	hint := fmt.Sprintf("give it more time: --timeout %s", 4*o.timeout)
	if res.Ended {
		hint = "the machine powered off before: look at what it printed"
	}
	return coded{hinted{fmt.Errorf("%s: %s did not come in %.0f s", image, inQuotes(res.Missing), res.Took.Seconds()), hint}, exitCheck}
}

// inQuotes is a list of texts, each in quotes.
func inQuotes(list []string) string {
	var out []string
	for _, s := range list {
		out = append(out, strconv.Quote(s))
	}
	return strings.Join(out, ", ")
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(strings.Join(lines[max(0, len(lines)-n):], "\n"))
}

// consoleWriter passes the console on, to a terminal without control sequences.
func (a *app) consoleWriter() io.Writer {
	if _, ok := terminal(a.out); !ok {
		return a.out
	}
	return plainWriter{a.out}
}

type plainWriter struct{ w io.Writer }

func (p plainWriter) Write(b []byte) (int, error) {
	if _, err := io.WriteString(p.w, qemu.Plain(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}
