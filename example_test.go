package isolayer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/isolayer/isolayer"
	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/sink"
)

// Put a kickstart file into an image, as the documentation of the package does.
func Example() {
	dir := exampleDir()
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "ks.cfg"), []byte("text\n"), 0o644); err != nil {
		log.Fatal(err)
	}
	if err := rebuildExample(context.Background(), dir); err != nil {
		log.Fatal(err)
	}
	made, err := isolayer.Open(context.Background(), filepath.Join(dir, "out.iso"), isolayer.OpenOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer made.Close()
	files, err := made.FS()
	if err != nil {
		log.Fatal(err)
	}
	content, err := fs.ReadFile(files, "ks.cfg")
	fmt.Printf("%q %v\n", content, err)
	// Output:
	// "text\n" <nil>
}

func rebuildExample(ctx context.Context, dir string) error {
	base, err := isolayer.Open(ctx, filepath.Join(dir, "base.iso"), isolayer.OpenOptions{})
	if err != nil {
		return err
	}
	defer base.Close()
	image, err := base.Build(ctx, []edit.Step{edit.Add{Source: filepath.Join(dir, "ks.cfg")}}, isolayer.BuildOptions{})
	if err != nil {
		return err
	}
	defer image.Close()
	_, err = image.WriteFile(ctx, filepath.Join(dir, "out.iso"), sink.Options{})
	return err
}

// Open an image and list what is in it.
func ExampleBase_FS() {
	dir := exampleDir()
	defer os.RemoveAll(dir)

	base, err := isolayer.Open(context.Background(), filepath.Join(dir, "base.iso"), isolayer.OpenOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer base.Close()
	files, err := base.FS()
	if err != nil {
		log.Fatal(err)
	}
	err = fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && !d.IsDir() {
			fmt.Println(path, info.Size())
		}
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// README 6
	// images/root.img 786432
	// isolinux/boot.cat 2048
	// isolinux/initrd.img 9
	// isolinux/isolinux.bin 3584
	// isolinux/isolinux.cfg 87
	// isolinux/vmlinuz 8
}

// Say what an image is and what it starts.
func ExampleBase_Info() {
	dir := exampleDir()
	defer os.RemoveAll(dir)

	base, err := isolayer.Open(context.Background(), filepath.Join(dir, "base.iso"), isolayer.OpenOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer base.Close()
	info, err := base.Info()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Label, info.UUID)
	for _, b := range info.Boots {
		fmt.Println(b.Loader, b.Platforms, b.Title, b.Kernel, b.Args)
	}
	// Output:
	// EXAMPLE 2026-01-01-00-00-00-00
	// isolinux [BIOS] linux vmlinuz initrd=initrd.img quiet
}

// Add a kickstart file that only the program has, and arguments for every kernel.
func ExampleBase_Build() {
	dir := exampleDir()
	defer os.RemoveAll(dir)
	ctx := context.Background()

	base, err := isolayer.Open(ctx, filepath.Join(dir, "base.iso"), isolayer.OpenOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer base.Close()
	image, err := base.Build(ctx, []edit.Step{
		edit.Put{Path: "/ks.cfg", Content: []byte("text\nreboot\n")},
		edit.Kargs{Args: []string{"inst.ks=cdrom:/ks.cfg", "-quiet"}},
		edit.Label{ID: "CUSTOM"},
	}, isolayer.BuildOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer image.Close()
	report := image.Report()
	fmt.Println(report.Added, "added,", len(report.Warnings), "warnings")
	for path, changes := range report.BootFiles {
		fmt.Println(path, changes)
	}
	if _, err := image.WriteFile(ctx, filepath.Join(dir, "custom.iso"), sink.Options{}); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 1 added, 0 warnings
	// /isolinux/isolinux.cfg map[entries:1]
}

// Write an image to a stream: an upload, a pipe, a checksum.
func ExampleImage_Stream() {
	dir := exampleDir()
	defer os.RemoveAll(dir)
	ctx := context.Background()

	base, err := isolayer.Open(ctx, filepath.Join(dir, "base.iso"), isolayer.OpenOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer base.Close()
	image, err := base.Build(ctx, []edit.Step{edit.Remove{Pattern: "/README"}}, isolayer.BuildOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer image.Close()
	sum := sha256.New()
	result, err := image.Stream(ctx, sum, sink.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Size == image.Size(), len(sum.Sum(nil)))
	// Output:
	// true 32
}

// Serve an image that was never written: clients may ask for any part of it.
func ExampleImage_ReadAt() {
	dir := exampleDir()
	defer os.RemoveAll(dir)
	ctx := context.Background()

	base, err := isolayer.Open(ctx, filepath.Join(dir, "base.iso"), isolayer.OpenOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer base.Close()
	planned, err := base.Build(ctx, []edit.Step{edit.Put{Path: "/ks.cfg", Content: []byte("text\n")}}, isolayer.BuildOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer planned.Close()
	image, err := planned.Seal(ctx, nil) // computes the media check, which stands in front
	if err != nil {
		log.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"`+digest+`"`)
		http.ServeContent(w, r, "custom.iso", time.Time{}, io.NewSectionReader(image, 0, image.Size()))
	}))
	defer server.Close()

	request, err := http.NewRequest(http.MethodGet, server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Range", "bytes=32769-32773")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	part, err := io.ReadAll(response.Body)
	fmt.Printf("%d %s %v\n", response.StatusCode, part, err)
	// Output:
	// 206 CD001 <nil>
}

// Plan once, and make an image for each host of it: only the slot differs.
func ExampleImage_With() {
	dir := exampleDir()
	defer os.RemoveAll(dir)
	ctx := context.Background()

	base, err := isolayer.Open(ctx, filepath.Join(dir, "base.iso"), isolayer.OpenOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer base.Close()
	slot := extent.NewSlot("host name", 16)
	image, err := base.Build(ctx, []edit.Step{edit.Put{Path: "/hostname", Source: slot}}, isolayer.BuildOptions{MediaCheck: isolayer.MediaStrip})
	if err != nil {
		log.Fatal(err)
	}
	defer image.Close()
	fmt.Println(image.Sealed())
	for _, host := range []string{"alpha", "beta"} {
		variant, err := image.With(map[*extent.Slot][]byte{slot: fmt.Appendf(nil, "%-15s\n", host)})
		if err != nil {
			log.Fatal(err)
		}
		if _, err := variant.WriteTo(ctx, sink.File(filepath.Join(dir, host+".iso")), sink.Options{}); err != nil {
			log.Fatal(err)
		}
		fmt.Println(host, variant.Sealed())
	}
	// Output:
	// false
	// alpha true
	// beta true
}

// Open an image that is in no file: here one that was just planned.
func ExampleOpenSource() {
	ctx := context.Background()
	planned, err := isolayer.Master(ctx, []isolayer.Root{{Dest: "/README", Content: extent.Memory("text", []byte("hello\n"))}}, isolayer.MasterOptions{Label: "SMALL"})
	if err != nil {
		log.Fatal(err)
	}
	defer planned.Close()
	base, err := isolayer.OpenSource(ctx, extent.Compose("small.iso", planned.Map()), isolayer.OpenOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer base.Close()
	files, err := base.FS()
	if err != nil {
		log.Fatal(err)
	}
	content, err := fs.ReadFile(files, "README")
	fmt.Printf("%q %v\n", content, err)
	// Output:
	// "hello\n" <nil>
}

// Check an image, as a gate in CI does: here one with a damaged media check.
func ExampleBase_Verify() {
	dir := exampleDir()
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "base.iso")
	for _, damaged := range []bool{false, true} {
		if damaged {
			b, err := os.ReadFile(path)
			if err != nil {
				log.Fatal(err)
			}
			if err := os.WriteFile(path, bytes.Replace(b, []byte("hello"), []byte("jello"), 1), 0o644); err != nil {
				log.Fatal(err)
			}
		}
		base, err := isolayer.Open(context.Background(), path, isolayer.OpenOptions{})
		if err != nil {
			log.Fatal(err)
		}
		defer base.Close()
		found, err := base.Verify(context.Background(), isolayer.VerifyOptions{})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(found.Problems, "problems")
		for _, f := range found.List {
			if f.Severity == isolayer.Problem {
				fmt.Println(f.Check)
			}
		}
	}
	// Output:
	// 0 problems
	// 1 problems
	// media check
}

// Compare an image with the one it was made of.
func ExampleBase_Diff() {
	dir := exampleDir()
	defer os.RemoveAll(dir)
	ctx := context.Background()

	base, err := isolayer.Open(ctx, filepath.Join(dir, "base.iso"), isolayer.OpenOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer base.Close()
	image, err := base.Build(ctx, []edit.Step{
		edit.Move{Old: "/README", New: "/docs/README"},
		edit.Put{Path: "/ks.cfg", Content: []byte("text\n")},
	}, isolayer.BuildOptions{MediaCheck: isolayer.MediaStrip})
	if err != nil {
		log.Fatal(err)
	}
	defer image.Close()
	made, err := isolayer.OpenSource(ctx, extent.Compose("planned", image.Map()), isolayer.OpenOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer made.Close()
	changes, err := made.Diff(ctx, base, isolayer.DiffOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range changes.Files {
		fmt.Printf("%s %s %q\n", c.Kind, c.Name, c.From)
	}
	// Output:
	// added /docs ""
	// moved /docs/README "/README"
	// added /ks.cfg ""
}

// Keep a change as a layer, and apply it again.
func ExampleBase_WriteLayer() {
	dir := exampleDir()
	defer os.RemoveAll(dir)
	ctx := context.Background()

	base, err := isolayer.Open(ctx, filepath.Join(dir, "base.iso"), isolayer.OpenOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer base.Close()
	steps := []edit.Step{edit.Put{Path: "/ks.cfg", Content: []byte("text\n")}, edit.Remove{Pattern: "/README"}}
	image, err := base.Build(ctx, steps, isolayer.BuildOptions{MediaCheck: isolayer.MediaStrip})
	if err != nil {
		log.Fatal(err)
	}
	defer image.Close()
	changed, err := isolayer.OpenSource(ctx, extent.Compose("changed", image.Map()), isolayer.OpenOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer changed.Close()
	var layer bytes.Buffer
	if _, err := changed.WriteLayer(ctx, base, &layer, isolayer.LayerOptions{}); err != nil {
		log.Fatal(err)
	}

	steps = []edit.Step{edit.Layer{Source: extent.Memory("layer", layer.Bytes())}}
	again, err := base.Build(ctx, steps, isolayer.BuildOptions{MediaCheck: isolayer.MediaStrip})
	if err != nil {
		log.Fatal(err)
	}
	defer again.Close()
	report := again.Report()
	fmt.Println(report.Added, "added,", report.Removed, "removed")
	// Output:
	// 1 added, 1 removed
}

// Make a new image of a directory.
func ExampleMaster() {
	dir, err := os.MkdirTemp("", "isolayer-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "README"), []byte("hello\n"), 0o644); err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	image, err := isolayer.Master(ctx, []isolayer.Root{
		{Source: dir},
		{Dest: "/etc/version", Content: extent.Memory("version", []byte("7\n"))},
	}, isolayer.MasterOptions{Label: "MY_DISK", Joliet: true})
	if err != nil {
		log.Fatal(err)
	}
	defer image.Close()
	if _, err := image.WriteFile(ctx, filepath.Join(dir, "disk.iso"), sink.Options{}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(image.Report().Added, "files")
	// Output:
	// 2 files
}

// Build what an Isofile states. The second time nothing has to be done again.
func ExampleBuildIsofile() {
	dir := exampleDir()
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "ks.cfg"), []byte("text\n"), 0o644); err != nil {
		log.Fatal(err)
	}
	file, err := isolayer.ParseIsofile("Isofile", []byte("FROM base.iso\nCOPY ks.cfg /\nKARG inst.ks=cdrom:/ks.cfg\n"))
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		image, err := isolayer.BuildIsofile(context.Background(), file, isolayer.IsofileOptions{
			Context: dir, Store: filepath.Join(dir, "store"),
			Progress: func(step, of int, text string, done, cached bool) {
				if done {
					fmt.Printf("%d/%d %s, cached: %t\n", step, of, text, cached)
				}
			},
		})
		if err != nil {
			log.Fatal(err)
		}
		defer image.Close()
	}
	// Output:
	// 1/3 FROM base.iso, cached: false
	// 2/3 COPY ks.cfg /, cached: false
	// 3/3 KARG inst.ks=cdrom:/ks.cfg, cached: false
	// 1/3 FROM base.iso, cached: false
	// 2/3 COPY ks.cfg /, cached: true
	// 3/3 KARG inst.ks=cdrom:/ks.cfg, cached: true
}
