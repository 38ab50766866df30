//go:build bench

package bench

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/isolayer/isolayer/internal/isotest"
)

// views are programs that show an image at $MNT.
var views = []struct {
	name, mount, umount string
	once                bool // is measured in one round only
}{
	{name: "isolayer, FUSE", mount: `"$ISOLAYER" mount --view fuse "$BASE" "$MNT"`, umount: `"$ISOLAYER" umount "$MNT"`},
	{name: "isolayer, EROFS", mount: `"$ISOLAYER" mount --view erofs "$BASE" "$MNT"`, umount: `"$ISOLAYER" umount "$MNT"`},
	{name: "fuseiso", mount: `fuseiso "$BASE" "$MNT"`, umount: `fusermount -u "$MNT"`},
	// It reads the archive from its start for each request: what takes longer than
	// patience is stopped.
	{name: "archivemount", mount: `archivemount -o readonly "$BASE" "$MNT"`, umount: `umount "$MNT"`, once: true},
}

// patience is how long one read of the large file may take.
const patience = 20 * time.Second

// bigSize is that of the large file, in MiB.
const bigSize = 400

// viewBench is a folder with images, and where they are mounted.
type viewBench struct {
	t               *testing.T
	tool, work, mnt string
}

// TestReading prints how fast views are read: one large file, and the list of many small
// ones. Medians of BENCH_ROUNDS.
func TestReading(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounts and drops caches, needs root")
	}
	for _, p := range []string{"fuseiso", "archivemount", "fusermount", "genisoimage"} {
		isotest.Tool(t, p)
	}
	tool, err := filepath.Abs("../../bin/isolayer")
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	v := &viewBench{t, tool, work, filepath.Join(work, "mnt")}
	if err := os.Mkdir(v.mnt, 0o755); err != nil {
		t.Fatal(err)
	}
	v.large()
	v.many()
}

func (v *viewBench) run(script string, env ...string) time.Duration {
	v.t.Helper()
	cmd := exec.Command("bash", "-ec", script)
	cmd.Env = append(os.Environ(), append(env, "ISOLAYER="+v.tool, "MNT="+v.mnt, "WORK="+v.work)...)
	log, err := os.Create(filepath.Join(v.work, "log")) // servers would hold a pipe open
	if err != nil {
		v.t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	start := time.Now()
	if err := cmd.Run(); err != nil {
		msg, _ := os.ReadFile(log.Name())
		v.t.Fatalf("%s: %v\n%s", script, err, msg)
	}
	return time.Since(start)
}

func (v *viewBench) dropCaches() {
	v.run(`sync; echo 3 > /proc/sys/vm/drop_caches`)
}

// read reads a file, as long as that may take, and returns MiB/s.
func (v *viewBench) read(path string) (rate float64, stopped bool) {
	v.t.Helper()
	f, err := os.Open(path)
	if err != nil {
		v.t.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 1<<17)
	start, sum := time.Now(), 0
	for !stopped {
		n, err := f.Read(buf)
		sum += n
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			v.t.Fatal(err)
		}
		stopped = time.Since(start) > patience
	}
	return float64(sum) / (1 << 20) / time.Since(start).Seconds(), stopped
}

// rates are those of one view: with nothing cached, with the image cached, and again.
type rates struct {
	cold, image, warm []float64
	stopped           bool
}

func (r *rates) add(to *[]float64, rate float64, stopped bool) {
	*to = append(*to, rate)
	r.stopped = r.stopped || stopped
}

func (v *viewBench) large() {
	v.run(fmt.Sprintf(`mkdir "$WORK/big"; dd if=/dev/urandom of="$WORK/big/file" bs=1M count=%d; genisoimage -quiet -R -o "$WORK/big.iso" "$WORK/big"; rm -r "$WORK/big"; sync -f "$WORK"`, bigSize))
	image := filepath.Join(v.work, "big.iso")
	env, inside := "BASE="+image, filepath.Join(v.mnt, "file")
	var file rates
	all := make([]rates, len(views))
	for round := range rounds() {
		v.dropCaches()
		rate, _ := v.read(image)
		file.add(&file.cold, rate, false)
		rate, _ = v.read(image)
		file.add(&file.warm, rate, false)
		for i, view := range views {
			if view.once && round > 0 {
				continue
			}
			r := &all[i]
			v.run(view.mount, env)
			v.dropCaches()
			rate, stopped := v.read(inside)
			r.add(&r.cold, rate, stopped)
			v.run(view.umount, env)
			v.read(image)
			v.run(view.mount, env)
			rate, stopped = v.read(inside)
			r.add(&r.image, rate, stopped)
			rate, stopped = v.read(inside)
			r.add(&r.warm, rate, stopped)
			v.run(view.umount, env)
		}
	}
	fmt.Printf("\n### Reading a file of %d MiB, MiB/s, medians of %d rounds\n\n| view | cold | image cached | once more |\n|---|---|---|---|\n", bigSize, rounds())
	fmt.Printf("| the image file itself | %.0f | – | %.0f |\n", middle(file.cold), middle(file.warm))
	for i, r := range all {
		note := ""
		if r.stopped {
			note = fmt.Sprintf(" (one round, each read stopped after %v)", patience)
		}
		fmt.Printf("| %s%s | %.1f | %.1f | %.1f |\n", views[i].name, note, middle(r.cold), middle(r.image), middle(r.warm))
	}
	fuse, peer := all[0], all[2]
	const mb = 1e6 / (1 << 20)
	aim("FUSE cold beside fuseiso", middle(fuse.cold)/middle(peer.cold), 1.5)
	aim("FUSE with the image cached beside fuseiso", middle(fuse.image)/middle(peer.image), 1.5)
	aim("FUSE cold beside archivemount", middle(fuse.cold)/middle(all[3].cold), 1.5)
	aim("FUSE cold, MiB/s", middle(fuse.cold), min(0.9*middle(file.cold), 450*mb))
	aim("EROFS cold beside FUSE", middle(all[1].cold)/middle(fuse.cold), 1)
}

// many lists 100 000 files.
func (v *viewBench) many() {
	dir := filepath.Join(v.work, "many")
	for i := range 100_000 {
		p := filepath.Join(dir, fmt.Sprint(i/1000), fmt.Sprint("file-", i))
		if i%1000 == 0 {
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				v.t.Fatal(err)
			}
		}
		if err := os.WriteFile(p, []byte(fmt.Sprintln(i)), 0o644); err != nil {
			v.t.Fatal(err)
		}
	}
	v.run(`genisoimage -quiet -R -o "$WORK/many.iso" "$WORK/many"; sync -f "$WORK"`)
	env := "BASE=" + filepath.Join(v.work, "many.iso")
	const list = `find "$DIR" -ls > /dev/null`
	var ext4 [2][]time.Duration
	all := make([][2][]time.Duration, 3)
	for range rounds() {
		v.dropCaches()
		for j := range ext4 {
			ext4[j] = append(ext4[j], v.run(list, "DIR="+dir))
		}
		for i := range all {
			v.run(views[i].mount, env)
			v.dropCaches()
			for j := range all[i] {
				all[i][j] = append(all[i][j], v.run(list, "DIR="+v.mnt))
			}
			v.run(views[i].umount, env)
		}
	}
	fmt.Printf("\n### find -ls over 100 000 files, s, medians of %d rounds\n\n| view | first, cold | second |\n|---|---|---|\n", rounds())
	fmt.Printf("| %s | %.2f | %.2f |\n", fsType(v.work), median(ext4[0]).Seconds(), median(ext4[1]).Seconds())
	for i, r := range all {
		fmt.Printf("| %s | %.2f | %.2f |\n", views[i].name, median(r[0]).Seconds(), median(r[1]).Seconds())
	}
	for j, name := range []string{"first", "second"} {
		aim("ext4 beside FUSE, find, "+name, median(ext4[j]).Seconds()/median(all[0][j]).Seconds(), 1.0/3)
	}
}

// aim prints whether a figure is what it should be at least.
func aim(what string, got, want float64) {
	word := "met"
	if got < want {
		word = "MISSED"
	}
	fmt.Printf("\n%s: %.2f, at least %.2f: %s\n", what, got, want, word)
}

// middle is the median.
func middle(x []float64) float64 {
	d := make([]time.Duration, len(x))
	for i, f := range x {
		d[i] = time.Duration(f * 1e6)
	}
	return float64(median(d)) / 1e6
}
