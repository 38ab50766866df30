//go:build bench

package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/isolayer/isolayer/internal/isotest"
)

// TestBenchFleet times the fleet of examples/: an image of 1 GiB for each of 50 hosts, on
// file systems that share blocks and on ext4, and the same Isofile once more.
func TestBenchFleet(t *testing.T) {
	tool, base, work := setup(t)
	fmt.Printf("\n### Isofile: an image for each of 50 hosts, media check stripped\n\n")
	fmt.Println("| file system | 50 images, s | newly allocated MiB | … once the files are closed for good | one image again, all from the store, s | of which its copy alone, s |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, fs := range []string{"btrfs", "xfs", "ext4"} {
		dir := filepath.Join(work, "ext4")
		if fs == "ext4" {
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		} else {
			dir = loop(t, fs)
		}
		isotest.Run(t, "cp", "-r", "../../examples/fleet", dir)
		isotest.Run(t, "cp", base, filepath.Join(dir, "fleet", "base.iso"))
		isofile := filepath.Join(dir, "fleet", "Isofile")
		args := []string{"build", "-f", isofile, "--store", filepath.Join(dir, "store")}
		if fs == "ext4" { // 50 GB of copies: ten do
			isotest.Run(t, "sed", "-i", "31,$d", filepath.Join(dir, "fleet", "hosts.yaml"))
		}
		before := used(t, dir)
		took := timed(t, tool, append(args, "--values", filepath.Join(dir, "fleet", "hosts.yaml"), "-o", filepath.Join(dir, "{{name}}.iso"))...)
		grown := used(t, dir) - before
		// XFS reserves 128 KiB around every block that is copied on write, and gives them
		// back when the inode leaves the cache.
		isotest.Run(t, "sh", "-c", "echo 3 > /proc/sys/vm/drop_caches")
		lasting := used(t, dir) - before
		one := append(args, "--set", "name=a", "--set", "ip=b", "--set", "rack=c", "-o", filepath.Join(dir, "one.iso"))
		timed(t, tool, one...)
		again := timed(t, tool, one...)
		alone := timed(t, "cp", "--reflink=auto", filepath.Join(dir, "one.iso"), filepath.Join(dir, "two.iso"))
		label := fs
		if fs == "ext4" {
			label = "ext4, 10 images"
		}
		fmt.Printf("| %s | %.2f | %.1f | %.1f | %.3f | %.3f |\n", label, took.Seconds(), float64(grown)/(1<<20), float64(lasting)/(1<<20), again.Seconds(), alone.Seconds())
	}
}

// timed runs a program.
func timed(t *testing.T, name string, args ...string) time.Duration {
	t.Helper()
	start := time.Now()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return time.Since(start)
}
