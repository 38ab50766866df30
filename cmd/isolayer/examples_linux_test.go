package main

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/isolayer/isolayer/internal/isotest"
)

// example builds an Isofile of examples/ in a copy of its folder and returns the folder.
func example(t *testing.T, bin, name, base string, args ...string) (dir, said string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), name)
	isotest.Run(t, "cp", "-r", filepath.Join("..", "..", "examples", name), dir)
	args = append([]string{"build", "-f", filepath.Join(dir, "Isofile"), "--build-arg", "BASE=" + base, "--store", filepath.Join(dir, "store")}, args...)
	for k, a := range args {
		args[k] = strings.ReplaceAll(a, "DIR", dir)
	}
	out, err := exec.Command(bin, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return dir, string(out)
}

func cat(t *testing.T, bin, image, path string) string {
	t.Helper()
	out, err := exec.Command(bin, "cat", image, path).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", path, err, out)
	}
	return string(out)
}

// layerBytes is how many bytes a store keeps.
func layerBytes(t *testing.T, store string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(store, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		n += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestExamples builds what examples/ has, on images of the distributions it is for.
func TestExamples(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	bin := program(t)
	isotest.Tool(t, "createrepo_c")

	dir, _ := example(t, bin, "kickstart", isotest.Image(t, "rhel-like-small"), "-o", "DIR/out.iso")
	out := filepath.Join(dir, "out.iso")
	if !strings.Contains(cat(t, bin, out, "/isolinux/isolinux.cfg"), "inst.ks=") || !strings.Contains(cat(t, bin, out, "/isolinux/isolinux.cfg"), "console=ttyS0,115200") {
		t.Error("kickstart: the menu does not name the kickstart file, or the console")
	}
	if !strings.Contains(cat(t, bin, out, "/extra/repodata/repomd.xml"), "<repomd") {
		t.Error("kickstart: no repository")
	}
	isotest.Run(t, "checkisomd5", out)
	if n := layerBytes(t, filepath.Join(dir, "store")); n > 256<<10 {
		t.Errorf("kickstart: layers of %d bytes", n)
	}

	debian, _, _ := isotest.Family(t, filepath.Join("..", "..", "internal", "distro", "testdata", "debian.txtar"))
	dir, said := example(t, bin, "preseed", debian, "-o", "DIR/out.iso")
	if s := cat(t, bin, filepath.Join(dir, "out.iso"), "/boot/grub/grub.cfg"); !strings.Contains(s, "preseed") {
		t.Errorf("preseed: the menu does not name the preseed file:\n%s\n%s", s, said)
	}

	dir, _ = example(t, bin, "rescue", isotest.Image(t, "grub-rescue-cdrom"), "-o", "DIR/out.iso")
	m := isotest.Bsdtar(t, filepath.Join(dir, "out.iso"))
	if m["tools/check.sh"].Perm != 0o755 || m["check"].Link != "tools/check.sh" || m["tools/VERSION"].Size != 18 {
		t.Errorf("rescue: %v %v %v", m["tools/check.sh"], m["check"], m["tools/VERSION"])
	}

	dir, _ = example(t, bin, "fleet", isotest.Image(t, "rhel-like-small"), "--values", "DIR/hosts.yaml", "-o", "DIR/out/{{name}}.iso")
	list, err := filepath.Glob(filepath.Join(dir, "out", "*.iso"))
	if err != nil || len(list) != 50 {
		t.Fatalf("fleet: %d images, %v", len(list), err)
	}
	ks := cat(t, bin, filepath.Join(dir, "out", "node37.iso"), "/ks.cfg")
	if !strings.Contains(ks, "--ip=192.0.2.37") || !strings.Contains(ks, "host ${HOSTNAME} is rack 4") {
		t.Errorf("fleet: %s", ks)
	}
}

// TestCachedOnce: a command runs once; its result is kept with all that it printed into
// files, and gives the same bytes; in another store it is another.
func TestCachedOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	bin, dir := program(t), t.TempDir()
	base := isotest.Image(t, "grub-rescue-cdrom")
	isofile := filepath.Join(dir, "Isofile")
	if err := os.WriteFile(isofile, []byte("ARG BASE\nFROM ${BASE}\nRUN date +%N > now; cat /proc/sys/kernel/random/uuid >> now\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	build := func(store, name string) string {
		out := filepath.Join(dir, name)
		if msg, err := exec.Command(bin, "build", "-f", isofile, "--build-arg", "BASE="+base, "--store", filepath.Join(dir, store), "-o", out).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, msg)
		}
		return isotest.SHA256File(t, out)
	}
	first := build("a", "1.iso")
	if build("a", "2.iso") != first {
		t.Error("kept, the result differs")
	}
	if build("b", "3.iso") == first {
		t.Error("the command did not run")
	}
}

// TestBakeKilled kills builds of an Isofile at random moments: the store stays good, and the
// next build gives the image that it gives in a fresh one.
func TestBakeKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	kills := 20
	if os.Getenv("ISOLAYER_SOAK") != "" {
		kills = 200
	}
	bin, dir := program(t), t.TempDir()
	base := isotest.Image(t, "grub-rescue-cdrom")
	isofile := filepath.Join(dir, "Isofile")
	text := "ARG BASE\nFROM ${BASE}\nCOPY big /big\nRUN cp big big2\nRENAME /boot/grub/fonts /fonts\nRUN rm -r boot/grub/locale || true\nVOLID KILLED\n"
	for name, content := range map[string][]byte{isofile: []byte(text), filepath.Join(dir, "big"): make([]byte, 8<<20)} {
		if err := os.WriteFile(name, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	command := func(store string) (*exec.Cmd, string) {
		out := filepath.Join(dir, store+".iso")
		cmd := exec.Command(bin, "build", "-f", isofile, "--build-arg", "BASE="+base, "--store", filepath.Join(dir, store), "-o", out)
		cmd.Env = append(os.Environ(), "TMPDIR="+dir)
		return cmd, out
	}
	whole := func(store string) string {
		cmd, out := command(store)
		if msg, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, msg)
		}
		return isotest.SHA256File(t, out)
	}
	start := time.Now()
	want := whole("fresh")
	took := time.Since(start)
	r := rand.New(rand.NewPCG(3, uint64(kills)))
	killed := 0
	for n := 0; killed < kills && n < 10*kills; n++ {
		if n%4 == 0 {
			if err := os.RemoveAll(filepath.Join(dir, "store")); err != nil {
				t.Fatal(err)
			}
		}
		cmd, out := command("store")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(r.Float64() * float64(took)))
		_ = cmd.Process.Kill()
		if cmd.Wait() != nil {
			killed++
		}
		if _, err := os.Stat(out); err == nil && isotest.SHA256File(t, out) != want {
			t.Fatal("a torn image")
		}
		if n%4 == 3 {
			if got := whole("store"); got != want {
				t.Fatal("after kills, the image differs")
			}
			if err := os.Remove(out); err != nil {
				t.Fatal(err)
			}
		}
	}
	if killed < kills {
		t.Errorf("only %d builds were killed in time", killed)
	}
	if got := whole("store"); got != want {
		t.Error("after kills, the image differs")
	}
	if out, err := exec.Command(bin, "prune", "--store", filepath.Join(dir, "store")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	err := filepath.WalkDir(filepath.Join(dir, "store"), func(p string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), ".") {
			err = fmt.Errorf("left behind: %s", p)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
