package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/isolayer/isolayer/internal/isotest/hostile"
)

// sight is what can be seen in a mounted image.
type sight struct {
	took   time.Duration
	served int64            // peak memory of the process that serves it, bytes; 0 if there is none
	failed map[string]error // by path
	paths  []string
}

// mounted shows the image at a directory, looks at all that is there, and takes it away.
func mounted(c *matrixCase, v verb, do command) ended {
	dir := c.path("mnt")
	if err := os.Mkdir(dir, 0o755); err != nil {
		c.t.Fatal(err)
	}
	o := do(c.t, v.args(c))
	if o.code != exitOK {
		return o
	}
	s := look(c.t, dir)
	o.seen, o.took, o.rss = &s, o.took+s.took, max(o.rss, s.served)
	guarded(c.t, dir, v.name == "mount --rw")
	if end := do(c.t, []string{"umount", dir}); end.code != exitOK {
		c.t.Errorf("umount: exit code %d, %s", end.code, end.stderr)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		c.t.Errorf("%v, %v are left at the mount point", left, err)
	}
	return o
}

// look walks through dir, reads links, and the ends of files. It follows no link and
// opens no device.
func look(t *testing.T, dir string) sight {
	s := sight{failed: map[string]error{}}
	timer := time.AfterFunc(time.Minute, func() { panic("a mounted image takes too long to look at") })
	defer timer.Stop()
	start := time.Now()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		at := "/" + strings.TrimPrefix(strings.TrimPrefix(p, dir), "/")
		if d == nil {
			return err
		}
		s.paths = append(s.paths, at)
		if err == nil {
			err = lookAt(p, d)
		}
		if err != nil {
			s.failed[at] = err
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	s.took = time.Since(start)
	s.served = servedBy(dir)
	return s
}

func lookAt(p string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	if _, err := unix.Llistxattr(p, nil); err != nil && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	switch {
	case d.Type() == fs.ModeSymlink:
		_, err = os.Readlink(p)
		return err
	case !d.Type().IsRegular():
		return nil
	}
	f, err := os.Open(p)
	if err != nil {
		return err
	}
	defer f.Close()
	const end = 64 << 10
	for _, off := range []int64{0, max(0, info.Size()-end)} {
		n := min(end, info.Size()-off)
		if _, err := io.ReadFull(io.NewSectionReader(f, off, n), make([]byte, n)); err != nil {
			return err
		}
	}
	return nil
}

// servedBy is the peak memory of the process that serves what is mounted at dir.
func servedBy(dir string) (peak int64) {
	list, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, p := range list {
		b, err := os.ReadFile(p)
		if err != nil || !strings.Contains(string(b), "ISOLAYER_MATRIX="+filepath.Dir(dir)+"\x00") {
			continue
		}
		b, _ = os.ReadFile(filepath.Join(filepath.Dir(p), "status"))
		for line := range strings.Lines(string(b)) {
			var kib int64
			if n, _ := fmt.Sscanf(line, "VmHWM: %d", &kib); n == 1 {
				peak = max(peak, kib<<10)
			}
		}
	}
	return peak
}

// matrixSight is a row, as it looks when mounted.
type matrixSight struct{ hostile.Row }

// seen compares what was seen with what the row wants: all can be read but the file
// whose content cannot be.
func (r matrixSight) seen(s *sight) error {
	broken := r.Stage == hostile.Content || r.Stage == hostile.Unpack
	if broken && s.failed[r.File] == nil {
		return fmt.Errorf("%s can be read", r.File)
	}
	for p, err := range s.failed {
		if !broken || p != r.File {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	if !slices.ContainsFunc(s.paths, func(p string) bool { return strings.HasPrefix(p, r.Shows) }) {
		return fmt.Errorf("%s is not there: %q", r.Shows, s.paths)
	}
	return nil
}

// guarded: what an image holds gives nobody rights, and cannot be written to unless
// that was asked for.
func guarded(t *testing.T, dir string, writable bool) {
	list, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(dir))
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	for _, want := range []string{"nosuid", "nodev"} {
		if !strings.Contains(","+list[0].Options+",", ","+want+",") {
			t.Errorf("mounted with %s, without %s", list[0].Options, want)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o644); (err == nil) != writable || err != nil && !errors.Is(err, syscall.EROFS) {
		t.Errorf("writable: %v; a file is made: %v", writable, err)
	}
}
