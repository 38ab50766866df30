// Package examples_test builds and runs the programs beside it, each as a stranger would.
package examples_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/isolayer/isolayer"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/sink"
)

// programs are the commands, built, in a directory with base.iso.
func programs(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "./...").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file := func(path, text string) isolayer.Root {
		return isolayer.Root{Dest: path, Content: extent.Memory(path, []byte(text))}
	}
	image, err := isolayer.Master(t.Context(), []isolayer.Root{
		file("/README", "hello\n"), file("/isolinux/initrd.img", "an initrd"), file("/isolinux/vmlinuz", "a kernel"),
		file("/isolinux/isolinux.bin", strings.Repeat("loader ", 512)),
		file("/isolinux/isolinux.cfg", "default a\nlabel a\n  kernel vmlinuz\n  append initrd=initrd.img\n"),
	}, isolayer.MasterOptions{Label: "EXAMPLE", BIOS: "/isolinux/isolinux.bin"})
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	if _, err := image.WriteFile(t.Context(), filepath.Join(dir, "base.iso"), sink.Options{}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestProgramsAreShort: each can be read at a glance.
func TestProgramsAreShort(t *testing.T) {
	list, err := filepath.Glob("*/main.go")
	if err != nil || len(list) != 5 {
		t.Errorf("%s, %v", list, err)
	}
	for _, name := range list {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(text, []byte("\n")); n > 40 {
			t.Errorf("%s has %d lines", name, n)
		}
	}
}

// TestPrograms runs each of them.
func TestPrograms(t *testing.T) {
	if testing.Short() {
		t.Skip("builds five programs")
	}
	dir := programs(t)
	t.Run("files", func(t *testing.T) { files(t, dir) })
	t.Run("readme", func(t *testing.T) { readme(t, dir) })
	t.Run("serve", func(t *testing.T) { serve(t, dir) })
}

// readme is what README.md and its translation have, as a program.
func readme(t *testing.T, dir string) {
	var before string
	for _, name := range []string{"README.md", "README.zh-CN.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), "```go\n")
		block, _, ok := strings.Cut(rest, "```")
		if !ok || before != "" && block != before {
			t.Errorf("%s has not the program that the other has: %q", name, block)
		}
		before = block
	}
	source := filepath.Join(t.TempDir(), "main.go")
	program := fmt.Sprintf(`package main

import (
	"context"

	"github.com/isolayer/isolayer"
	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/sink"
)

func main() {
	if err := run(context.Background(), []byte("of the readme")); err != nil {
		panic(err)
	}
}

func run(ctx context.Context, kickstart []byte) error {
%s}
`, before)
	if err := os.WriteFile(source, []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", dir, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, program)
	}
	for _, args := range [][]string{{"main"}, {"extract", "custom.iso", "ks.cfg"}} {
		c := exec.CommandContext(t.Context(), filepath.Join(dir, args[0]), args[1:]...)
		c.Dir = dir
		out, err := c.CombinedOutput()
		if err != nil || len(args) > 1 && string(out) != "of the readme" {
			t.Errorf("%s: %v\n%s", args, err, out)
		}
	}
}

// files: what one writes the others read, and the gate lets through what is named only.
func files(t *testing.T, dir string) {
	run := func(fails bool, program string, args ...string) string {
		t.Helper()
		c := exec.CommandContext(t.Context(), filepath.Join(dir, program), args...)
		c.Dir = dir
		out, err := c.CombinedOutput()
		if (err != nil) != fails {
			t.Errorf("%s %s: %v\n%s", program, args, err, out)
		}
		return string(out)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("my.ks", "text\n")
	run(false, "kickstart", "base.iso", "my.ks", "custom.iso")
	if got := run(false, "extract", "custom.iso", "ks.cfg"); got != "text\n" {
		t.Errorf("%q", got)
	}
	if got := run(false, "extract", "custom.iso", "isolinux/isolinux.cfg"); !strings.Contains(got, "inst.ks=cdrom:/ks.cfg") {
		t.Errorf("%q", got)
	}
	if got := run(false, "extract", "custom.iso"); !strings.Contains(got, " ks.cfg\n") {
		t.Errorf("%q", got)
	}
	run(false, "gate", "custom.iso", "base.iso", "/ks.cfg", "/isolinux/isolinux.cfg")
	if got := run(true, "gate", "custom.iso", "base.iso", "/ks.cfg"); !strings.Contains(got, "changed /isolinux/isolinux.cfg") {
		t.Errorf("%q", got)
	}
	write("Isofile", "ARG name=none\nFROM base.iso\nARG name\nSYMLINK ${name} /link\nREMOVE /README\n")
	run(false, "isofile", ".", "made.iso", "name=it")
	if got := run(false, "extract", "made.iso"); !strings.Contains(got, "link\n") || strings.Contains(got, "README") {
		t.Errorf("%q", got)
	}
	for _, program := range []string{"kickstart", "extract", "gate", "isofile"} {
		if got := run(true, program); strings.Contains(got, "panic") {
			t.Error(got)
		}
	}
}

// serve: each host has an image of its own, any part of it at once.
func serve(t *testing.T, dir string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	var said bytes.Buffer
	c := exec.CommandContext(t.Context(), filepath.Join(dir, "serve"), filepath.Join(dir, "base.iso"), address)
	c.Stderr = &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Wait()
	defer c.Process.Kill()
	get := func(host, part string) (int, []byte) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/"+host+".iso", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Range", part)
		response, err := http.DefaultClient.Do(request)
		for n := 0; err != nil && n < 100; n++ { // it may not listen yet
			time.Sleep(100 * time.Millisecond)
			response, err = http.DefaultClient.Do(request)
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, &said)
		}
		defer response.Body.Close()
		b, err := io.ReadAll(response.Body)
		if err != nil {
			t.Error(err)
		}
		return response.StatusCode, b
	}
	for _, host := range []string{"alpha", "beta"} {
		code, b := get(host, "bytes=0-")
		if code != http.StatusPartialContent || bytes.Count(b, []byte(host)) != 1 {
			t.Errorf("%s: %d, %d bytes", host, code, len(b))
		}
		if code, head := get(host, "bytes=32769-32773"); code != http.StatusPartialContent || string(head) != "CD001" {
			t.Errorf("%s: %d, %q", host, code, head)
		}
	}
	if code, _ := get(strings.Repeat("x", 70), ""); code != http.StatusNotFound {
		t.Error(code)
	}
}
