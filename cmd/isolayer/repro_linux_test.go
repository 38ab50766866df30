package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/isolayer/isolayer/internal/isotest"
)

// variation is a condition that must not show in an image.
type variation struct {
	name string
	pre  string   // shell, run in the folder of the sources
	run  string   // what the commands are run with
	env  []string // of the commands
	root bool     // only root can make it
	make func(dir string, names []string) error
}

// reproduced is what is run under every variation; the names on the command line
// are the same, since a user chooses them.
const reproduced = `"$BIN" build "$BASE" --add tree:/extra --add big:/images/big --rm /EULA --mv /repodata:/repo -o "$OUT/out.iso" &&
"$BIN" layer create "$BASE" "$OUT/out.iso" -o "$OUT/change.tar.zst" &&
"$BIN" build -f Isofile --build-arg BASE="$BASE" --store "$OUT/store" -t it -o "$OUT/isofile.iso" >"$OUT/log" 2>&1 &&
"$BIN" images --json --store "$OUT/store" | grep '"digest"' >"$OUT/digests"`

// reproducedIsofile has a command, which makes files with times and modes of its own.
const reproducedIsofile = `ARG BASE
FROM ${BASE}
COPY tree /extra/
RUN umask 077; mkdir made; date >made/../made/x; echo always >made/x; chmod 0640 made/x; touch -d 2001-02-03 made/x; rm EULA
RENAME /repodata /repo
KARG console=ttyS0
VOLID REPRODUCED
`

var variations = []variation{
	{name: "as it is"},
	{name: "again"},
	{name: "another folder", run: `cp -a . "$WORK/elsewhere" && cd "$WORK/elsewhere" &&`},
	{name: "nobody", root: true, run: `chmod -R a+rX . && setpriv --reuid 65534 --regid 65534 --clear-groups`},
	{name: "umask 077", run: `umask 077;`},
	{name: "umask 0", run: `umask 0;`},
	{name: "time zone", env: []string{"TZ=Pacific/Kiritimati"}},
	{name: "locale", env: []string{"LC_ALL=tr_TR.UTF-8", "LANG=tr_TR.UTF-8", "LANGUAGE=tr"}},
	{name: "C locale", env: []string{"LC_ALL=C"}},
	{name: "one thread", env: []string{"GOMAXPROCS=1"}},
	{name: "many threads", env: []string{"GOMAXPROCS=16"}},
	{name: "one processor", run: `taskset -c 0`},
	{name: "much collecting", env: []string{"GOGC=1"}},
	{name: "no environment", run: `env -i BIN="$BIN" BASE="$BASE" OUT="$OUT" SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" PATH="$PATH"`},
	{name: "another file system", run: `OUT=$(mktemp -d /dev/shm/isolayer-XXXXXX); trap 'mv "$OUT"/* "$WORK/"; rmdir "$OUT"' EXIT;`},
	{name: "sources on another file system", run: `D=$(mktemp -d /dev/shm/isolayer-XXXXXX); trap 'rm -rf "$D"' EXIT; cp -a . "$D"; cd "$D";`},
	{name: "base on another file system", run: `D=$(mktemp -d /dev/shm/isolayer-XXXXXX); trap 'rm -rf "$D"' EXIT; cp "$BASE" "$D/"; BASE=$D/$(basename "$BASE");`},
	{name: "files made backwards", make: func(dir string, names []string) error { return makeFiles(dir, names, true) }},
	{name: "later times", pre: `find . -exec touch -h -d 2030-01-01T00:00:00Z {} +`},
	{name: "other times of files", pre: `find tree -type f -exec touch -d 2024-06-01T12:00:00.123456789Z {} +`},
	{name: "other modes", pre: `find . -type f ! -perm /111 -exec chmod 0640 {} +; find . -mindepth 1 -type d -exec chmod 0700 {} +`},
	{name: "other owners", root: true, pre: `chown -R 1234:4321 .`},
	{name: "holes", pre: `cp --sparse=always big b2 && mv b2 big`},
	{name: "another priority", run: `ionice -c 3 nice -n 19`},
}

func makeFiles(dir string, names []string, backwards bool) error {
	for i := range names {
		if backwards {
			i = len(names) - 1 - i
		}
		p := filepath.Join(dir, names[i])
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			return err
		}
		content := fmt.Appendf(nil, "content of %s\n", names[i])
		if names[i] == "big" {
			content = append(make([]byte, 1<<20), content...)
		}
		mode := os.FileMode(0o644)
		if filepath.Ext(p) == ".sh" {
			mode = 0o755
		}
		if err := os.WriteFile(p, content, mode); err != nil {
			return err
		}
	}
	return nil
}

// TestReproducible: the same base, edits and epoch, or the same Isofile, give the same
// image and the same layers, whoever builds it, where, when and with what.
func TestReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("makes real images")
	}
	bin, base := program(t), isotest.Image(t, "rhel-like-small")
	var names []string
	for i := range 200 {
		names = append(names, fmt.Sprintf("tree/%c/ïtem %d.sh", 'a'+i%7, i), fmt.Sprintf("tree/File%d", i))
	}
	names = append(names, "big")
	var want [4]string
	for _, v := range variations {
		if v.root && os.Getuid() != 0 {
			t.Logf("%s: needs root", v.name)
			continue
		}
		work := t.TempDir()
		for _, p := range []string{work, filepath.Dir(work), filepath.Dir(bin), filepath.Dir(filepath.Dir(bin)), bin} {
			if err := os.Chmod(p, 0o755); err != nil { // for nobody
				t.Fatal(err)
			}
		}
		src, out := filepath.Join(work, "src"), filepath.Join(work, "out")
		fill := v.make
		if fill == nil {
			fill = func(dir string, names []string) error { return makeFiles(dir, names, false) }
		}
		if err := fill(src, names); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(src, "Isofile"), []byte(reproducedIsofile), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(out, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(out, 0o777); err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(work, "base.iso")
		isotest.Run(t, "cp", "--reflink=auto", "--no-preserve=mode", base, copied)
		script := filepath.Join(work, "reproduced.sh")
		if err := os.WriteFile(script, []byte("set -e\n"+reproduced+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("bash", "-c", fmt.Sprintf("set -e\n%s\n%s bash %s", v.pre, v.run, script))
		cmd.Dir = src
		cmd.Env = append(os.Environ(), "BIN="+bin, "BASE="+copied, "OUT="+out, "WORK="+out, "SOURCE_DATE_EPOCH=1700000000")
		cmd.Env = append(cmd.Env, v.env...)
		if msg, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", v.name, err, msg)
		}
		var got [4]string
		for k, name := range []string{"out.iso", "change.tar.zst", "isofile.iso", "digests"} {
			if got[k] = isotest.SHA256File(t, filepath.Join(out, name)); want[k] != "" && got[k] != want[k] {
				t.Errorf("%s: %s differs", v.name, name)
			}
		}
		if want[0] == "" {
			want = got
		}
		if err := os.RemoveAll(work); err != nil {
			t.Fatal(err)
		}
	}
}
