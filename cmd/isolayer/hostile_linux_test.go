package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/isolayer/isolayer/internal/isotest/hostile"
)

// matrixCase is one image and one command.
type matrixCase struct {
	t           *testing.T
	row         hostile.Row
	dir         string // of this run alone
	image, twin string
	files       []string // that ls shows
}

func (c *matrixCase) path(name string) string { return filepath.Join(c.dir, name) }

// file is the path that cat prints.
func (c *matrixCase) file() string {
	if c.row.File != "" {
		return c.row.File
	}
	return append(c.files, "/a.txt")[0]
}

// copy is a copy of the image that the command may change.
func (c *matrixCase) copy() string {
	to := c.path("copy.iso")
	if out, err := exec.Command("cp", "--sparse=always", c.image, to).CombinedOutput(); err != nil {
		c.t.Fatalf("%v: %s", err, out)
	}
	return to
}

// ended is how a command ended.
type ended struct {
	code        int
	out, stderr []byte
	took        time.Duration
	rss         int64 // bytes, 0 if not measured
	failure     failure
	seen        *sight // of what it mounted
}

// matrixRun runs a command line in this process.
func matrixRun(t *testing.T, args []string) ended {
	var o ended
	var out, stderr bytes.Buffer
	timer := time.AfterFunc(time.Minute, func() { panic(fmt.Sprint("takes too long: ", args)) })
	defer timer.Stop()
	start := time.Now()
	o.code = run(t.Context(), args, nil, &out, &stderr)
	o.took, o.out, o.stderr = time.Since(start), out.Bytes(), stderr.Bytes()
	return o
}

// matrixExec runs a command line in a process of its own, and ends it after a while.
func matrixExec(bin string) command {
	return func(t *testing.T, args []string) ended {
		rss := filepath.Join(t.TempDir(), "rss")
		cmd := exec.Command("measure", append([]string{rss, bin}, args...)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if len(args) > 3 && args[0] == "mount" { // the process that serves it is found by that
			cmd.Env = append(os.Environ(), "ISOLAYER_MATRIX="+filepath.Dir(args[len(args)-1]))
		}
		var out limited
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &stderr
		start := time.Now()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Minute, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		err := cmd.Wait()
		timer.Stop()
		if cmd.ProcessState.ExitCode() < 0 {
			t.Errorf("%q: %v", args, err)
		}
		o := ended{code: cmd.ProcessState.ExitCode(), out: out.Bytes(), stderr: stderr.Bytes(), took: time.Since(start)}
		if b, err := os.ReadFile(rss); err != nil {
			t.Error(err)
		} else if _, err := fmt.Sscan(string(b), &o.rss); err != nil {
			t.Error(err)
		}
		return o
	}
}

func init() { programs["measure"] = measure }

// measure runs a command and writes its peak memory to a file. It is a process of its
// own because Linux counts that of the parent until the command begins, and the test is
// large.
func measure() {
	cmd := exec.Command(os.Args[2], os.Args[3:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	_ = cmd.Run() // the exit code decides
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if err := os.WriteFile(os.Args[1], fmt.Append(nil, usage.Maxrss<<10), 0o600); err != nil {
		panic(err)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}

// limited keeps the first bytes of an output.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len() < 16<<20 {
		l.Buffer.Write(p)
	}
	return len(p), nil
}

// TestHostileMatrix runs every command with every hostile image, and with its twin.
// Under ISOLAYER_SOAK each run is a process of its own, of bounded memory, which ends
// within two seconds.
func TestHostileMatrix(t *testing.T) {
	do, every, soak := command(matrixRun), 1, os.Getenv("ISOLAYER_SOAK") != ""
	if testing.Short() {
		every = 8
	}
	if soak {
		do = matrixExec(program(t))
	}
	if os.Geteuid() != 0 {
		t.Log("without root the commands that mount or make devices are not run")
	}
	var slowest, largest ended
	var slowestOf, largestOf string
	runs := 0
	for i, r := range hostile.Rows {
		if i%every != 0 || r.Big && testing.Short() {
			continue
		}
		t.Run(r.ID, func(t *testing.T) {
			m := newMatrixRow(t, r, do)
			for k, v := range verbs {
				switch {
				case v.reads && r.Grow > 1<<30: // it would read terabytes of holes
					continue
				case v.root && os.Geteuid() != 0, v.each > 0 && !soak && (i/every+k)%v.each != 0:
					continue
				}
				o := m.run(t, v)
				if runs++; o.took > slowest.took {
					slowest, slowestOf = o, r.ID+" "+v.name
				}
				if o.rss > largest.rss {
					largest, largestOf = o, r.ID+" "+v.name
				}
			}
		})
	}
	t.Logf("%d rows, %d runs; slowest %s: %v; largest %s: %d MiB", len(hostile.Rows), runs, slowestOf, slowest.took.Round(time.Millisecond), largestOf, largest.rss>>20)
	if soak && slowest.took > patience {
		t.Errorf("%s takes %v", slowestOf, slowest.took)
	}
}

// patience is how long a command may take.
const patience = 2 * time.Second

// matrixRow is a row on disk.
type matrixRow struct {
	matrixCase
	do    command
	noted [2]int // findings and warnings of the image and of the twin
}

func newMatrixRow(t *testing.T, r hostile.Row, do command) *matrixRow {
	dir := t.TempDir()
	m := &matrixRow{matrixCase: matrixCase{t: t, row: r, dir: dir, image: filepath.Join(dir, "image.iso"), twin: filepath.Join(dir, "twin.iso")}, do: do}
	if err := r.Write(m.image, r.Image()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.twin, r.Twin(), 0o644); err != nil {
		t.Fatal(err)
	}
	return m
}

// run runs one command with the image and with the twin.
func (m *matrixRow) run(t *testing.T, v verb) ended {
	twin := m.case_(t, v, m.twin, "twin")
	if v.name == "cat" && len(twin.files) == 0 {
		return ended{} // nothing to print
	}
	o := m.one(t, v, &twin)
	m.note(1, v, o)
	if v.cannot != "" && strings.Contains(o.failure.Error, v.cannot) {
		t.Logf("%s: %s", v.name, o.failure.Error)
	} else if !slices.Contains(v.fine, o.code) || o.failure.Kind != "" || o.seen != nil && len(o.seen.failed) > 0 {
		t.Errorf("%s of the twin: exit code %d, %s", v.name, o.code, o.stderr)
	}
	image := m.case_(t, v, m.image, "image")
	o = m.one(t, v, &image)
	for range 3 { // the machine may be busy with something else
		if o.took <= patience {
			break
		}
		t.Logf("%s takes %v, again", v.name, o.took)
		image = m.case_(t, v, m.image, "image")
		if again := m.one(t, v, &image); again.took < o.took {
			o = again
		}
	}
	m.note(0, v, o)
	if err := m.judge(v, o); err != nil {
		t.Errorf("%s: %v; exit code %d, stderr %s", v.name, err, o.code, o.stderr)
	}
	if limit := 64<<20 + 2*m.row.DirBytes(); o.rss > limit {
		t.Errorf("%s: %d MiB of memory, %d are allowed", v.name, o.rss>>20, limit>>20)
	}
	if v.name == "diff" && m.row.Stage == hostile.Noted && m.noted[0] <= m.noted[1] {
		t.Errorf("nobody reports it")
	}
	return o
}

// case_ is the case of a command and an image, with a directory of its own.
func (m *matrixRow) case_(t *testing.T, v verb, image, which string) matrixCase {
	c := m.matrixCase
	c.t, c.image, c.dir = t, image, filepath.Join(m.dir, which, strings.ReplaceAll(v.name, " ", "-"))
	if image == m.twin {
		c.row.File, c.files = "", nil
		if c.twin = m.twin; v.name == "cat" {
			c.files = m.listed(t, image)
		}
	} else if v.name == "cat" {
		c.files = m.listed(t, image)
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return c
}

// listed are the regular files that ls shows.
func (m *matrixRow) listed(t *testing.T, image string) (out []string) {
	var all []listed
	if o := m.do(t, []string{"ls", "-R", "--json", image}); o.code == exitOK && json.Unmarshal(o.out, &all) == nil {
		for _, l := range all {
			if l.Type == "file" {
				out = append(out, l.Path)
			}
		}
	}
	return out
}

// one runs a command and checks what must hold whatever it says.
func (m *matrixRow) one(t *testing.T, v verb, c *matrixCase) ended {
	before := stamp(t, m.dir)
	o := v.start(c, m.do)
	after := stamp(t, m.dir)
	for path, was := range before {
		if now := after[path]; now != was && !strings.HasPrefix(path, c.dir) {
			t.Errorf("%s changed %s: %s, then %s", v.name, path, was, now)
		}
	}
	for path := range after {
		if _, ok := before[path]; !ok && !strings.HasPrefix(path, c.dir+string(filepath.Separator)) {
			t.Errorf("%s made %s", v.name, path)
		}
	}
	if bytes.Contains(o.stderr, []byte("goroutine ")) {
		t.Errorf("%s panics: %s", v.name, o.stderr)
	}
	if bytes.ContainsAny(append(o.stderr, o.out...), "\x1b\x07") && v.name != "cat" {
		t.Errorf("%s prints control characters", v.name)
	}
	lines := bytes.Split(bytes.TrimSpace(o.stderr), []byte("\n"))
	_ = json.Unmarshal(lines[len(lines)-1], &o.failure) // empty if that is no JSON
	if o.code != exitOK && v.name != "verify" && o.failure.Error == "" && !slices.Contains(v.fine, o.code) {
		t.Errorf("%s: exit code %d without a word", v.name, o.code)
	}
	if _, err := os.Stat(c.path("out.iso")); err == nil && o.code != exitOK {
		t.Errorf("%s: exit code %d, and an output", v.name, o.code)
	}
	if err := os.RemoveAll(c.dir); err != nil { // the next ones look at all that is here
		t.Error(err)
	}
	return o
}

// stamp is the state of all files below dir.
func stamp(t *testing.T, dir string) map[string]string {
	out := map[string]string{}
	root, err := os.OpenRoot(dir) // paths may be too long for the system
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		out[filepath.Join(dir, path)] = fmt.Sprint(info.Mode(), info.Size(), info.ModTime())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// note counts what info and verify tell of an image (0) or its twin (1).
func (m *matrixRow) note(which int, v verb, o ended) {
	var i struct {
		Warnings []string
		Boot     struct{ Findings []any }
		Sessions []any
		Checks   []struct{ Problems, Notices int }
	}
	if json.Unmarshal(o.out, &i) != nil || v.name != "info" && v.name != "verify" {
		return
	}
	m.noted[which] += len(i.Warnings) + len(i.Boot.Findings) + len(i.Sessions)
	for _, c := range i.Checks {
		m.noted[which] += c.Problems + c.Notices
	}
}

// judge compares the outcome of a command with the image with what the row wants.
func (m *matrixRow) judge(v verb, o ended) error {
	r := matrixSight{m.row}
	refuses := v.refuses(r.Stage) || r.Kind == hostile.NotISO
	switch {
	case !refuses && v.cannot != "" && strings.Contains(o.failure.Error, v.cannot):
		return nil
	case !refuses && o.seen != nil:
		return r.seen(o.seen)
	case !refuses && !slices.Contains(v.fine, o.code):
		return fmt.Errorf("it does not read it")
	case !refuses && v.name == "ls" && r.Shows != "" && !bytes.Contains(o.out, quotedText(r.Shows)):
		return fmt.Errorf("%s is not listed in %s", r.Shows, o.out)
	case v.name == "diff" && needsContent(r.Stage) && o.code == exitOK:
		return fmt.Errorf("it takes them for the same")
	case !refuses:
		return nil
	case v.name == "verify" && o.code == exitCheck && bytes.Contains(o.out, fmt.Appendf(nil, `"kind": %q`, r.Kind)):
		return nil
	case slices.Contains(v.fine, o.code) && o.failure.Error == "" && v.name != "verify" && r.Kind != hostile.NotISO:
		return fmt.Errorf("it is not refused")
	case o.failure.Kind != string(r.Kind):
		return fmt.Errorf("kind %q, want %q", o.failure.Kind, r.Kind)
	case r.Kind != hostile.NotISO && r.Kind != hostile.Unsupported && (o.failure.Offset == nil || o.failure.Structure == ""):
		return fmt.Errorf("the place is not told")
	case o.failure.Image == "":
		return fmt.Errorf("the image is not named")
	}
	return nil
}

// quoted is a name as JSON has it, without the quotes.
func quotedText(s string) []byte {
	b, _ := json.Marshal(s) // of a string
	return b[1 : len(b)-1]
}
