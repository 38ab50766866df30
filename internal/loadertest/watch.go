package loadertest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// watch looks at a machine until it ends or its own time is over.
type watch struct {
	m      Medium
	dir    string
	ended  <-chan error
	conn   net.Conn
	dec    *json.Decoder
	screen string
	gone   bool          // it ended by itself
	since  time.Duration // when the menu without countdown was first seen, 0 for not
	last   time.Duration // the machine's time when last asked
	same   int           // how often it was that
}

// run returns without error where the machine ended, or waits for somebody.
func (w *watch) run(ctx context.Context) error {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-w.ended:
			w.gone = true
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if w.conn == nil && w.dial() != nil {
			continue // not up yet, or already gone
		}
		now, err := w.now()
		if err != nil {
			continue // it ends now
		}
		w.look()
		if w.same++; now != w.last {
			w.last, w.same = now, 0
		}
		if w.waits(now) || now > w.m.limit() || w.same > 4 && w.halted() || w.same > maxSame {
			return nil
		}
	}
}

// maxSame is after how many answers with the same second a machine counts as stopped.
const maxSame = 120

// halted reports a processor that sleeps and listens to no interrupt: a loader that died.
func (w *watch) halted() bool {
	var registers string
	if w.do("human-monitor-command", map[string]any{"command-line": "info registers"}, &registers) != nil {
		return false
	}
	m := flagsRegister.FindStringSubmatch(registers)
	if m == nil || !strings.Contains(registers, "HLT=1") {
		return false
	}
	flags, err := strconv.ParseUint(m[1], 16, 64)
	return err == nil && flags&0x200 == 0
}

var flagsRegister = regexp.MustCompile(`[ER]FL=([0-9a-f]+)`)

// limit is the machine's time at which nothing more is expected: what the loaders take until
// they read their configuration, doubled, and the patience.
func (m Medium) limit() time.Duration {
	patience := m.Patience
	if patience == 0 {
		patience = time.Minute
	}
	switch m.Loader {
	case ISOLINUX:
		return 50*time.Second + patience
	case GRUB, GRUBLegacy:
		return 900*time.Second + patience // a search of all disks in vain takes minutes of it
	}
	return 300*time.Second + patience
}

// waits reports whether GRUB shows a menu that does not count down, its prompt, or, in the
// old one, an error: as it polls, waiting for its limit takes seconds.
func (w *watch) waits(now time.Duration) bool {
	if grub := w.m.Loader == GRUB || w.m.Loader == GRUBLegacy; !grub || strings.Contains(w.screen, "automatically in") || !grubWaits.MatchString(w.screen) {
		w.since = 0
		return false
	}
	if w.since == 0 {
		w.since = now
	}
	return now-w.since > 5*time.Second
}

var grubWaits = regexp.MustCompile(`Press enter to boot the selected OS|(?m)^grub> *$|Error \d+: .*\n\nPress any key to continue`)

// look reads the text screen of a BIOS machine.
func (w *watch) look() {
	if w.m.Loader.uefi() {
		return
	}
	file := filepath.Join(w.dir, "screen")
	if w.do("pmemsave", map[string]any{"val": 0xb8000, "size": 80 * 25 * 2, "filename": file}, nil) != nil {
		return
	}
	if b, err := os.ReadFile(file); err == nil && len(b) == 80*25*2 {
		w.screen = textScreen(b)
	}
}

// textScreen decodes the memory of a text screen of 80 columns.
func textScreen(b []byte) string {
	var out strings.Builder
	for row := 0; (row+1)*160 <= len(b); row++ {
		line := make([]byte, 80)
		for i := range line {
			if line[i] = b[row*160+2*i]; line[i] == 0 {
				line[i] = ' '
			} else if line[i] < ' ' || line[i] > '~' {
				line[i] = '.'
			}
		}
		out.WriteString(strings.TrimRight(string(line), " ") + "\n")
	}
	return strings.Trim(out.String(), "\n")
}

func (w *watch) dial() error {
	conn, err := net.Dial("unix", filepath.Join(w.dir, "qmp"))
	if err != nil {
		return err
	}
	w.conn, w.dec = conn, json.NewDecoder(conn)
	var greeting map[string]any
	if err := w.dec.Decode(&greeting); err != nil {
		return err
	}
	return w.do("qmp_capabilities", nil, nil)
}

// now is the machine's time since it was switched on.
func (w *watch) now() (time.Duration, error) {
	var t struct {
		Year  int `json:"tm_year"`
		Month int `json:"tm_mon"`
		Day   int `json:"tm_mday"`
		Hour  int `json:"tm_hour"`
		Min   int `json:"tm_min"`
		Sec   int `json:"tm_sec"`
	}
	if err := w.do("qom-get", map[string]any{"path": "/machine", "property": "rtc-time"}, &t); err != nil {
		return 0, err
	}
	return time.Duration(((t.Day-1)*24+t.Hour)*3600+t.Min*60+t.Sec) * time.Second, nil
}

// do runs a command of QMP and decodes its answer, passing over events.
func (w *watch) do(command string, args, into any) error {
	request := map[string]any{"execute": command}
	if args != nil {
		request["arguments"] = args
	}
	if err := w.conn.SetDeadline(time.Now().Add(realLimit)); err != nil {
		return err
	}
	if err := json.NewEncoder(w.conn).Encode(request); err != nil {
		return err
	}
	for {
		var answer struct {
			Return json.RawMessage
			Error  *struct{ Desc string }
		}
		if err := w.dec.Decode(&answer); err != nil {
			return err
		}
		switch {
		case answer.Error != nil:
			return fmt.Errorf("%s: %s", command, answer.Error.Desc)
		case answer.Return != nil && into != nil:
			return json.Unmarshal(answer.Return, into)
		case answer.Return != nil:
			return nil
		}
	}
}
