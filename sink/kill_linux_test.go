package sink

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/isolayer/isolayer/extent"
)

// victim is set in the process that is to be killed: the base, then the output.
const victim = "SINK_TEST_VICTIM"

// victimMap is what the victim writes.
func victimMap(t testing.TB, base *extent.File) *extent.Map {
	return overlay(t, extent.Whole(base).Resize(base.Size()+1<<20),
		extent.BytesOf(5000, []byte("new")), extent.CopyOf(base.Size()+2048, base, 0, 1<<20-2048))
}

// TestVictim writes one image after the other until it is killed.
func TestVictim(t *testing.T) {
	paths := filepath.SplitList(os.Getenv(victim))
	if len(paths) != 2 {
		t.Skip("only called by TestKill")
	}
	m := victimMap(t, open(t, extent.NewFiles(), paths[0]))
	for _, o := range slices.Repeat([]Options{{worth: &always}, {}}, 1000) {
		if _, err := File(paths[1]).Write(t.Context(), Plan{Map: m}, o); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKill expects the old or the new output, whole, whenever the writer dies.
func TestKill(t *testing.T) {
	rounds := 20
	if os.Getenv("ISOLAYER_SOAK") != "" {
		rounds = 1000
	}
	if testing.Short() {
		rounds = 3
	}
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	base := source(t, extent.NewFiles(), t.TempDir(), noise(r, 20<<20))
	path := filepath.Join(dir, "out.iso")
	old, renewed := []byte("old"), content(t, victimMap(t, base))
	seen := map[bool]int{}
	for round := range rounds {
		if err := os.WriteFile(path, old, 0o666); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0], "-test.run=^TestVictim$")
		cmd.Env = append(os.Environ(), victim+"="+base.Name()+string(filepath.ListSeparator)+path)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(r.Int64N(int64(120 * time.Millisecond))))
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
			t.Fatalf("round %d: %v", round, err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		isOld := bytes.Equal(got, old)
		if !isOld && !bytes.Equal(got, renewed) {
			t.Fatalf("round %d: torn: %d bytes", round, len(got))
		}
		seen[isOld]++
	}
	// A kill between link and rename leaves a whole image under a hidden name.
	left, err := filepath.Glob(filepath.Join(dir, ".*.isolayer-*"))
	t.Logf("%d rounds: %d old, %d new, %d hidden, %v", rounds, seen[true], seen[false], len(left), err)
}
