//go:build bench

package bench

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/isolayer/isolayer/internal/isotest"
)

// masters are the ways to make an image of a directory.
var masters = []job{
	{name: "isolayer master", args: `"$ISOLAYER" master -r -J -joliet-long -V BENCH -progress none -o "$OUT" "$TREE" 2>/dev/null`},
	{name: "genisoimage", args: `genisoimage -quiet -r -J -joliet-long -V BENCH -o "$OUT" "$TREE" 2>/dev/null`},
	{name: "xorriso -as mkisofs", args: `xorriso -as mkisofs -quiet -r -J -joliet-long -V BENCH -o "$OUT" "$TREE" 2>/dev/null`},
}

// TestBenchMaster prints the tables of mastering: the tree of the medium image, and, with
// BENCH_FILES=500000, as many small files.
func TestBenchMaster(t *testing.T) {
	tool, base, work := setup(t)
	tree := filepath.Join(work, "tree")
	isotest.Run(t, "xorriso", "-osirrox", "on", "-indev", base, "-extract", "/", tree)
	isotest.Run(t, "chmod", "-R", "u+w", tree)
	fmt.Printf("\n### Mastering %s on %s\n\n", filepath.Base(base), fsType(work))
	masterTable(t, tool, tree, work, rounds())
	n, err := strconv.Atoi(os.Getenv("BENCH_FILES"))
	if err != nil {
		return
	}
	for _, files := range []int{n / 4, n} {
		many := filepath.Join(work, "many")
		smallFiles(t, many, files)
		fmt.Printf("\n### Mastering %d files of 80 bytes on %s\n\n", files, fsType(work))
		masterTable(t, tool, many, work, 1)
		if err := os.RemoveAll(many); err != nil {
			t.Fatal(err)
		}
	}
}

// smallFiles makes a tree of so many files, a thousand in each directory.
func smallFiles(t *testing.T, dir string, n int) {
	t.Helper()
	for i := range n {
		sub := filepath.Join(dir, fmt.Sprintf("dir%04d", i/1000))
		if i%1000 == 0 {
			if err := os.MkdirAll(sub, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		text := bytes.Repeat(fmt.Appendf(nil, "%7d\n", i), 10)
		if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("small-file-%06d.txt", i)), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// masterTable races the programs in shuffled order.
func masterTable(t *testing.T, tool, tree, work string, rounds int) {
	t.Helper()
	wall, cpu, rss := make([][]time.Duration, len(masters)), make([][]time.Duration, len(masters)), make([]int64, len(masters))
	for round := range rounds + 1 { // the first one warms the cache
		for _, i := range rand.Perm(len(masters)) {
			out := filepath.Join(work, "out.iso")
			// The CPU time of the fsync, which isolayer makes itself, is everybody's.
			cmd := exec.Command("bash", "-c", masters[i].args+` && sync "$OUT"`)
			cmd.Env = append(os.Environ(), "ISOLAYER="+tool, "OUT="+out, "TREE="+tree)
			start := time.Now()
			if text, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", masters[i].name, err, text)
			}
			took := time.Since(start)
			usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
			if round > 0 {
				wall[i] = append(wall[i], took)
				cpu[i] = append(cpu[i], cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
			}
			rss[i] = max(rss[i], usage.Maxrss)
			if err := os.Remove(out); err != nil {
				t.Fatal(err)
			}
			syscall.Sync()
		}
	}
	fmt.Println("| program | median s | min–max s | time relative to isolayer | CPU s | CPU relative | peak memory MiB |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for i, j := range masters {
		w, c := median(wall[i]).Seconds(), median(cpu[i]).Seconds()
		fmt.Printf("| %s | %.3f | %.3f–%.3f | %.2f | %.2f | %.2f | %.0f |\n", j.name, w,
			slices.Min(wall[i]).Seconds(), slices.Max(wall[i]).Seconds(), w/median(wall[0]).Seconds(), c, c/median(cpu[0]).Seconds(), float64(rss[i])/1024)
	}
}
