package isotest

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// MountOptions adjust [KernelMount].
type MountOptions struct {
	Timeout time.Duration // for all images together; 0 is ten minutes
	Memory  int           // of the guest, MiB; 0 is 512
	Disks   []string      // files that the guest has as /dev/vdd and so on, to read
}

// KernelView is an image as Linux mounts it.
type KernelView struct {
	RR     Manifest // default options: Rock Ridge, else Joliet, else ISO 9660
	Joliet Manifest // norock: Joliet, else ISO 9660; without dots at the end of names
	// Log holds what the kernel said while mounting, each line after "rr: " or
	// "joliet: ". Where it would not mount, the manifest is nil and a line
	// has "mount failed".
	Log []string
}

// KernelMount says how Debian's kernel sees the images, by their paths as
// given. All of them are mounted in one guest, which takes four seconds and two
// more for each 40 MB; the bigdir image takes minutes, as isofs looks for each
// name from the start of its directory. The test fails where the kernel mounts
// an image but cannot read all of it.
func KernelMount(tb testing.TB, opts MountOptions, images ...string) map[string]KernelView {
	tb.Helper()
	script, err := corpus.ReadFile("corpus/vm-manifest.sh")
	if err != nil {
		tb.Fatal(err)
	}
	all, logs := mounted(tb, opts, string(script), images)
	views := make(map[string]KernelView, len(images))
	for i, image := range images {
		n := slot(i)
		views[image] = KernelView{RR: all.below(n + "/rr"), Joliet: all.below(n + "/joliet"), Log: logs[n+".log"]}
	}
	return views
}

// mounted runs a script in a guest that has the images, and reads the trees and logs that
// it writes.
func mounted(tb testing.TB, opts MountOptions, script string, images []string) (Manifest, map[string][]string) {
	tb.Helper()
	qemu, squash, vm := Tool(tb, "qemu-system-x86_64"), Tool(tb, "mksquashfs"), guest(tb)
	dir := tb.TempDir()
	room, err := bundle(tb.Context(), squash, dir, images)
	if err != nil {
		tb.Fatal(err)
	}
	if err := guestInput(dir, room, script); err != nil {
		tb.Fatal(err)
	}
	console, err := boot(tb.Context(), qemu, vm, dir, opts)
	if err != nil {
		tb.Fatalf("guest: %v\n%s", err, console)
	}
	all, logs, err := readViews(filepath.Join(dir, "out"))
	if err != nil {
		tb.Fatalf("read what the guest wrote: %v\n%s", err, console)
	}
	return all, logs
}

// bundle puts the images into one squashfs, as 000, 001 and so on, and reports
// the room that their content may need. A disk for each would end at the number
// of slots, and would cut an image that is no multiple of 512 bytes.
func bundle(ctx context.Context, squash, dir string, images []string) (room int64, err error) {
	in := filepath.Join(dir, "images")
	if err := os.Mkdir(in, 0o755); err != nil {
		return 0, err
	}
	for i, image := range images {
		info, err := os.Stat(image)
		if err != nil {
			return 0, err
		}
		room += info.Size()
		if err := linkOrCopy(image, filepath.Join(in, slot(i))); err != nil {
			return 0, err
		}
	}
	// Uncompressed: what the guest saves in reading it would lose in unpacking.
	cmd := exec.CommandContext(ctx, squash, in, filepath.Join(dir, "bundle"),
		"-noI", "-noD", "-noF", "-noX", "-no-fragments", "-no-duplicates", "-no-progress", "-quiet", "-b", "1M")
	cmd.Env = environ()
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("mksquashfs: %w\n%s", err, out)
	}
	return room, os.RemoveAll(in)
}

// guestInput writes the disks the guest reads its program from and writes its
// findings to. Names that share content are archived each with their own, so
// the second disk is large; it stays sparse.
func guestInput(dir string, room int64, script string) error {
	var in bytes.Buffer
	w := tar.NewWriter(&in)
	if err := w.WriteHeader(&tar.Header{Name: "run", Mode: 0o755, Size: int64(len(script))}); err != nil {
		return err
	}
	if _, err := w.Write([]byte(script)); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "in"), in.Bytes(), 0o644); err != nil {
		return err
	}
	out := filepath.Join(dir, "out")
	if err := os.WriteFile(out, nil, 0o644); err != nil {
		return err
	}
	return os.Truncate(out, (8*room+256<<20)&^0xfff)
}

// boot runs the guest until it powers off.
func boot(ctx context.Context, qemu, vm, dir string, opts MountOptions) (console []byte, err error) {
	if opts.Timeout == 0 {
		opts.Timeout = 10 * time.Minute
	}
	if opts.Memory == 0 {
		opts.Memory = 512
	}
	ctx, cancel := context.WithTimeout(ctx, opts.Timeout)
	defer cancel()
	kernel := filepath.Join(vm, "vmlinux")
	if !exists(kernel) {
		kernel = filepath.Join(vm, "bzImage")
	}
	args := []string{
		"-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "1", "-m", fmt.Sprint(opts.Memory),
		"-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
		"-kernel", kernel, "-initrd", filepath.Join(vm, "initramfs"),
		"-append", "console=ttyS0,115200 quiet loglevel=3 tsc=reliable no_timer_check panic=-1 random.trust_cpu=on mitigations=off",
	}
	disks := []string{filepath.Join(dir, "in") + ",readonly=on", filepath.Join(dir, "out"), filepath.Join(dir, "bundle") + ",readonly=on"}
	for _, d := range opts.Disks {
		disks = append(disks, strings.ReplaceAll(d, ",", ",,")+",readonly=on")
	}
	for i, disk := range disks {
		args = append(args, "-drive", fmt.Sprintf("id=disk%d,if=none,format=raw,cache=unsafe,file=%s", i, disk), "-device", fmt.Sprintf("virtio-blk-pci,drive=disk%d", i))
	}
	console, err = exec.CommandContext(ctx, qemu, args...).CombinedOutput()
	if err == nil && !bytes.Contains(console, []byte("VM-RC 0 ")) {
		err = errors.New("its program failed")
	}
	return console, errors.Join(err, ctx.Err())
}

// readViews reads the archives of vm-manifest.sh, one behind the other: logs, then trees.
func readViews(path string) (all Manifest, logs map[string][]string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	if logs, err = readLogs(r); err != nil {
		return nil, nil, err
	}
	all = Manifest{}
	for {
		part, err := readTar(r)
		if err != nil {
			return nil, nil, err
		}
		if len(part) == 0 {
			return nil, nil, io.ErrUnexpectedEOF
		}
		if _, end := part["END"]; end {
			return all, logs, nil
		}
		maps.Copy(all, part)
	}
}

// readLogs reads an archive of texts, each into its lines.
func readLogs(r io.Reader) (map[string][]string, error) {
	logs := map[string][]string{}
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return logs, nil
		}
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(t)
		if err != nil {
			return nil, err
		}
		if len(text) > 0 {
			logs[tarPath(h.Name)] = strings.Split(strings.TrimSpace(string(text)), "\n")
		}
	}
}

// below is the tree below dir, nil where there is no dir.
func (m Manifest) below(dir string) Manifest {
	if _, ok := m[dir]; !ok {
		return nil
	}
	out := Manifest{}
	for path, e := range m {
		if rest, ok := strings.CutPrefix(path, dir+"/"); ok {
			out[rest] = e
		}
	}
	return out
}

func slot(i int) string { return fmt.Sprintf("%03d", i) }

// linkOrCopy gives the file a second name, or a copy where that cannot be. A
// symbolic link would be bundled as one.
func linkOrCopy(from, to string) (err error) {
	if from, err = filepath.EvalSymlinks(from); err != nil {
		return err
	}
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, info.Mode().Perm()|0o200)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
