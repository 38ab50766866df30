//go:build bench

// Package bench times isolayer beside other programs in one run.
//
//	make bench                          medium image (1 GiB), 9 rounds
//	BENCH_ROUNDS=15 BENCH_IMAGE=my.iso make bench
package bench

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/isolayer/isolayer/internal/isotest"
)

// job is one way to get the changed image.
type job struct {
	name    string
	args    string // a shell command; $BASE, $OUT, $KS, $WORK are set
	prepare string // another one, which is not timed
}

var jobs = []job{
	{name: "isolayer build", args: `"$ISOLAYER" build "$BASE" --add "$KS" -o "$OUT" --media-check strip --progress none 2>/dev/null`},
	{name: "cp", args: `cp "$BASE" "$OUT"`},
	{name: "xorriso, modify", args: `xorriso -indev "$BASE" -outdev "$OUT" -joliet on -boot_image any replay -map "$KS" /ks.cfg >/dev/null 2>&1`},
	{name: "classic: extract, genisoimage, isohybrid", args: `mkdir "$WORK/tree"; xorriso -osirrox on -indev "$BASE" -extract / "$WORK/tree" >/dev/null 2>&1; chmod -R u+w "$WORK/tree"; cp "$KS" "$WORK/tree/"
		genisoimage -quiet -U -r -T -J -joliet-long -V 'CentOS 7 x86_64' -b isolinux/isolinux.bin -c isolinux/boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table -eltorito-alt-boot -e images/efiboot.img -no-emul-boot -o "$OUT" "$WORK/tree" >/dev/null 2>&1
		isohybrid --uefi "$OUT" 2>/dev/null; rm -rf "$WORK/tree"`},
}

func rounds() int {
	if n, err := strconv.Atoi(os.Getenv("BENCH_ROUNDS")); err == nil {
		return n
	}
	return 9
}

// setup finds the program and the image, and makes a folder to work in.
func setup(t *testing.T) (tool, base, work string) {
	t.Helper()
	base = os.Getenv("BENCH_IMAGE")
	if base == "" {
		base = isotest.Image(t, "rhel-like-medium")
	}
	tool, err := filepath.Abs("../../bin/isolayer")
	if err != nil {
		t.Fatal(err)
	}
	work = t.TempDir()
	if root := os.Getenv("BENCH_DIR"); root != "" {
		if work, err = os.MkdirTemp(root, "isolayer-bench-"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(work) })
	}
	if err := os.WriteFile(filepath.Join(work, "ks.cfg"), []byte("text\nreboot\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return tool, base, work
}

// TestBench prints tables of docs/benchmarks.md, as do the tests below.
func TestBench(t *testing.T) {
	tool, base, work := setup(t)
	info, err := os.Stat(base)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("Image: %d bytes. %d rounds in shuffled order, medians; every program is followed by an fsync of its output, within its time.\n\n", info.Size(), rounds())
	fmt.Printf("Machine: %s, %d processors, Linux %s.\n", runtime.GOARCH, runtime.NumCPU(), release())
	fmt.Printf("\n### New file on %s\n\n", fsType(work))
	table(race(t, jobs, tool, base, work))
	for _, fs := range []string{"btrfs", "xfs"} {
		reflink(t, fs, tool, base)
	}
	reads(t, tool, base, work)
}

// result is what one job took.
type result struct {
	job
	wall    []time.Duration
	rss     int64 // KiB
	written int64 // bytes, as the kernel counts what processes write
}

// race runs the jobs in shuffled order, round by round.
func race(t *testing.T, jobs []job, tool, base, work string) []result {
	ks := filepath.Join(work, "ks.cfg")
	if err := os.WriteFile(ks, []byte("text\nreboot\n"), 0o644); err != nil { // on a file system made for the race
		t.Fatal(err)
	}
	res := make([]result, len(jobs))
	for i, j := range jobs {
		res[i].job = j
	}
	for round := range rounds() + 1 { // the first one warms the cache
		for _, i := range rand.Perm(len(jobs)) {
			out := filepath.Join(work, "out.iso")
			wall, usage := run(t, jobs[i], tool, base, out, ks, work)
			if round > 0 {
				res[i].wall = append(res[i].wall, wall)
			}
			res[i].rss, res[i].written = max(res[i].rss, usage.Maxrss), usage.Oublock*512
			if err := os.Remove(out); err != nil {
				t.Fatal(err)
			}
			syscall.Sync()
		}
	}
	return res
}

func run(t *testing.T, j job, tool, base, out, ks, work string) (time.Duration, *syscall.Rusage) {
	shell := func(args string) *exec.Cmd {
		cmd := exec.Command("bash", "-c", args)
		cmd.Env = append(os.Environ(), "ISOLAYER="+tool, "BASE="+base, "OUT="+out, "KS="+ks, "WORK="+work)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s: %v\n%s", j.name, err, &stderr)
		}
		return cmd
	}
	if j.prepare != "" {
		shell(j.prepare)
		syscall.Sync()
	}
	start := time.Now()
	cmd := shell(j.args)
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	return time.Since(start), cmd.ProcessState.SysUsage().(*syscall.Rusage)
}

func median(d []time.Duration) time.Duration {
	d = slices.Clone(d)
	slices.Sort(d)
	return d[len(d)/2]
}

// table prints medians and ratios to the first row.
func table(res []result) {
	fmt.Println("| program | median s | min–max s | time relative to isolayer | peak memory MiB |")
	fmt.Println("|---|---|---|---|---|")
	own := median(res[0].wall).Seconds()
	for _, r := range res {
		m := median(r.wall).Seconds()
		fmt.Printf("| %s | %.3f | %.3f–%.3f | %.2f | %.0f |\n", r.name, m, slices.Min(r.wall).Seconds(), slices.Max(r.wall).Seconds(), m/own, float64(r.rss)/1024)
	}
}

// reflink times a build on a file system that shares blocks, made for it.
func reflink(t *testing.T, fs, tool, base string) {
	if os.Getuid() != 0 {
		fmt.Printf("\n### %s: not measured, needs root for a loop mount\n", fs)
		return
	}
	mnt := loop(t, fs)
	local := filepath.Join(mnt, "base.iso")
	isotest.Run(t, "cp", base, local)
	isotest.Run(t, "sync", "-f", mnt)
	fmt.Printf("\n### New file on %s (loop)\n\n", fs)
	before := used(t, mnt)
	res := race(t, []job{jobs[0], {name: "cp --reflink=never", args: `cp --reflink=never "$BASE" "$OUT"`}}, tool, local, mnt)
	table(res)
	out := filepath.Join(mnt, "out.iso")
	run(t, jobs[0], tool, local, out, filepath.Join(mnt, "ks.cfg"), mnt)
	isotest.Run(t, "sync", "-f", mnt)
	fmt.Printf("\nNewly allocated by one build: %.2f MiB.\n", float64(used(t, mnt)-before)/(1<<20))
}

// loop makes a file system in a file and mounts it.
func loop(t *testing.T, fs string) string {
	t.Helper()
	dir := t.TempDir()
	disk, mnt := filepath.Join(dir, "disk"), filepath.Join(dir, "mnt")
	script := fmt.Sprintf(`truncate -s 6G %[1]s; mkfs.%[3]s -q %[1]s; mkdir %[2]s; mount -o loop %[1]s %[2]s`, disk, mnt, fs)
	if out, err := exec.Command("bash", "-ec", script).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", fs, err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", mnt).Run() })
	return mnt
}

func used(t *testing.T, dir string) int64 {
	isotest.Run(t, "sync", "-f", dir)
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Blocks-st.Bfree) * st.Bsize
}

var preadLine = regexp.MustCompile(`(?m)= (\d+)$`)

// reads counts the bytes that planning reads from the base.
func reads(t *testing.T, tool, base, work string) {
	log := filepath.Join(work, "strace")
	cmd := exec.Command("strace", "-f", "-y", "-e", "trace=read,pread64", "-P", base, "-o", log,
		tool, "build", base, "--add", filepath.Join(work, "ks.cfg"), "--dry-run", "-o", filepath.Join(work, "out.iso"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for _, m := range preadLine.FindAllSubmatch(b, -1) {
		n, _ := strconv.ParseInt(string(m[1]), 10, 64)
		sum += n
	}
	info, err := os.Stat(base)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("\nRead from the base besides the copying: %.2f MiB, %.3f %% of it.\n", float64(sum)/(1<<20), 100*float64(sum)/float64(info.Size()))
}

func release() string {
	b, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(b))
}

func fsType(dir string) string {
	out, err := exec.Command("stat", "-f", "-c", "%T", dir).Output()
	if err != nil {
		return "?"
	}
	return strings.TrimSpace(string(out))
}
