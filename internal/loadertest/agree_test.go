package loadertest_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	lt "github.com/isolayer/isolayer/internal/loadertest"
)

var (
	flagN      = flag.Int("loader.n", 0, "random configurations for each loader; 0 is the usual number")
	flagSeed   = flag.Uint64("loader.seed", 13, "of the first")
	flagOnly   = flag.String("loader.only", "", "loaders, separated by commas")
	flagKeep   = flag.String("loader.keep", "", "directory for what was started")
	flagReplay = flag.String("loader.replay", "", "directory of what was started at another time")
	flagFound  = flag.String("loader.found", "", "directory for those of which isolayer says something else")
)

// differs says how an outcome is not what was predicted, "" where it is.
func differs(p prediction, l lt.Loader, out lt.Outcome) string {
	if !p.starts {
		if out.Started {
			return "said to start nothing"
		}
		return ""
	}
	if !out.Started {
		return "said to start " + p.kernel + " " + p.command
	}
	if path.Base(p.kernel) != path.Base(out.Kernel) {
		return "said to start " + p.kernel + " " + p.command
	}
	if got, want := words(command(l, out)), words(p.command); got != want {
		return fmt.Sprintf("said to give %q", want)
	}
	if got, want := initrds(loaded(l, out)), initrds(p.initrds); p.kernel != lt.Local && got != want {
		return fmt.Sprintf("said to load %q", want)
	}
	return ""
}

// loaded are the initrds of an outcome: UEFI's kernels are told of them and load them themselves.
func loaded(l lt.Loader, out lt.Outcome) (list []string) {
	if l != lt.SystemBoot && l != lt.REFInd {
		return out.Initrd
	}
	for w := range strings.FieldsSeq(out.Command) {
		if name, ok := strings.CutPrefix(w, "initrd="); ok {
			list = append(list, name)
		}
	}
	return list
}

// initrds are the names of the files, as loaders write them or stand-ins have them.
func initrds(list []string) string {
	var out []string
	for _, name := range list {
		if base := path.Base(strings.ReplaceAll(name, `\`, "/")); base != "gone" { // which GRUB goes on without
			out = append(out, base)
		}
	}
	return strings.Join(out, " ")
}

func words(s string) string { return strings.Join(strings.Fields(s), " ") }

// command is the command line without what the loader adds by itself.
func command(l lt.Loader, out lt.Outcome) string {
	c := out.Command
	switch l {
	case lt.ISOLINUX, lt.GRUB, lt.GRUBEFI:
		if strings.HasPrefix(c, "BOOT_IMAGE=") {
			_, c, _ = strings.Cut(c, " ")
		}
	case lt.SystemBoot, lt.REFInd:
		c = strings.Join(slices.DeleteFunc(strings.Fields(c), func(w string) bool { return strings.HasPrefix(w, "initrd=") }), " ")
	}
	return c
}

// share is how many configurations are tried with a loader: in each run of the tests, and in
// the long one.
var share = map[lt.Loader]struct{ always, soak int }{
	lt.ISOLINUX: {8, 170}, lt.GRUB: {5, 170}, lt.GRUBLegacy: {4, 20}, lt.GRUBEFI: {1, 20}, lt.SystemBoot: {1, 20}, lt.REFInd: {1, 12},
}

// TestLoadersAgree: what isolayer says a loader starts is what the loader starts.
func TestLoadersAgree(t *testing.T) {
	if testing.Short() {
		t.Skip("boots virtual machines")
	}
	for _, l := range lt.Loaders() {
		if *flagOnly != "" && !slices.Contains(strings.Split(*flagOnly, ","), string(l)) {
			continue
		}
		t.Run(string(l), func(t *testing.T) {
			n := share[l].always
			if os.Getenv("ISOLAYER_SOAK") != "" {
				n = share[l].soak
			}
			if *flagN > 0 {
				n = *flagN
			}
			list := judge(t, l, *flagSeed, n)
			keep(t, *flagKeep, list, func(judged) bool { return true })
			keep(t, *flagFound, list, func(j judged) bool { return compare(j, ours) != "" })
			report(t, list, ours)
		})
	}
}

// judged is a configuration with what its loader started.
type judged struct {
	name string
	m    lt.Medium
	out  lt.Outcome
}

// judge starts n random configurations, two machines at a time.
func judge(t *testing.T, l lt.Loader, seed uint64, n int) []judged {
	lt.Need(t, l)
	list := make([]judged, n)
	var wg sync.WaitGroup
	next := make(chan int)
	for range 2 {
		wg.Go(func() {
			for i := range next {
				s := seed + uint64(i)
				m := lt.Random(l, rand.New(rand.NewPCG(s, 0)))
				begin := time.Now()
				out, err := run(t, m)
				t.Logf("%s-%d: %v: %s", l, s, time.Since(begin).Round(time.Millisecond), out)
				if err != nil {
					t.Errorf("%s %d: %v", l, s, err)
				}
				list[i] = judged{fmt.Sprintf("%s-%d", l, s), m, out}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	return list
}

func run(t *testing.T, m lt.Medium) (out lt.Outcome, err error) {
	dir, err := os.MkdirTemp("", "isolayer-loader-")
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return lt.Run(t.Context(), dir, m)
}

// TestReplay compares what isolayer says with what loaders did at another time.
func TestReplay(t *testing.T) {
	if *flagReplay == "" {
		t.Skip("no -loader.replay")
	}
	names, err := filepath.Glob(filepath.Join(*flagReplay, "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lt.Loaders() {
		var list []judged
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if m, out := lt.Parse(b); m.Loader == l {
				list = append(list, judged{strings.TrimSuffix(filepath.Base(name), ".txtar"), m, out})
			}
		}
		t.Run(string(l), func(t *testing.T) { report(t, list, ours) })
	}
}

// compare says how a model errs, "" where it does not. One that says that it does not know
// does not err.
func compare(j judged, say model) string {
	p := say(j.m)
	if p.unsure != "" {
		return ""
	}
	return differs(p, j.m.Loader, j.out)
}

// report fails where a model errs, and where it does not know too often to be of use.
func report(t *testing.T, list []judged, say model) {
	started, unsure := 0, 0
	for _, j := range list {
		if d := compare(j, say); d != "" {
			t.Errorf("%s: %s, but the loader started %s\n%s", j.name, d, j.out, lt.Format(j.m, nil))
		}
		if j.out.Started {
			started++
		}
		if say(j.m).unsure != "" {
			unsure++
		}
	}
	t.Logf("%d configurations, %d started something, not sure of %d", len(list), started, unsure)
	if len(list) >= 10 && (started < len(list)/4 || unsure > len(list)/3) {
		t.Errorf("of %d configurations %d started something, and of %d isolayer is not sure: that shows little", len(list), started, unsure)
	}
}

// keep writes configurations with what was started.
func keep(t *testing.T, dir string, list []judged, which func(judged) bool) {
	for _, j := range list {
		if dir == "" || !which(j) {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, j.name+".txtar"), lt.Format(j.m, &j.out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestShiftedModelFails: the comparison finds a model that starts the next entry, gives other
// arguments, or says that nothing starts.
func TestShiftedModelFails(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a virtual machine")
	}
	m := lt.Medium{Loader: lt.ISOLINUX, Dir: "isolinux", Files: map[string][]byte{"a": nil, "b": nil, "isolinux/isolinux.cfg": []byte("DEFAULT one\nLABEL one\nKERNEL /a\nAPPEND x\nLABEL two\nKERNEL /b\nAPPEND y\n")}}
	lt.Need(t, m.Loader)
	out, err := run(t, m)
	if err != nil {
		t.Fatal(err)
	}
	j := judged{"shifted", m, out}
	if d := compare(j, ours); d != "" {
		t.Errorf("%s, but it started %s", d, out)
	}
	for name, say := range map[string]model{
		"default":  func(m lt.Medium) prediction { p := ours(m); p.kernel, p.command = "/b", "y"; return p },
		"argument": func(m lt.Medium) prediction { p := ours(m); p.command += " z"; return p },
		"wait":     func(m lt.Medium) prediction { p := ours(m); p.starts = false; return p },
	} {
		if compare(j, say) == "" {
			t.Errorf("a model with another %s goes unnoticed", name)
		}
	}
	other := m
	other.Files = map[string][]byte{"a": nil, "b": nil, "isolinux/isolinux.cfg": []byte(strings.Replace(string(m.Files["isolinux/isolinux.cfg"]), "DEFAULT one", "DEFAULT two", 1))}
	if compare(judged{"other", other, out}, ours) == "" {
		t.Error("the model does not read the default")
	}
}
