package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// Progress kinds, as --progress names them.
const (
	progressAuto  = "auto"
	progressPlain = "plain"
	progressNone  = "none"
)

const (
	barAfter  = time.Second     // shorter work shows no bar
	lineEvery = 5 * time.Second // of plain progress
)

// meter shows how far a job is. done must be called at its end.
type meter struct {
	w     io.Writer
	kind  string
	start time.Time
	last  time.Time
	bars  *mpb.Progress
	bar   *mpb.Bar
}

// newMeter decides how progress is shown: a bar on a terminal, lines if asked
// for, else nothing.
func newMeter(w io.Writer, kind string) *meter {
	now := time.Now()
	m := &meter{w: w, kind: kind, start: now, last: now}
	if width, ok := terminal(w); kind == progressAuto && (!ok || width == 0 || os.Getenv("TERM") == "dumb") {
		m.kind = progressNone
	}
	return m
}

// at notes that done of total bytes are.
func (m *meter) at(done, total int64) {
	switch m.kind {
	case progressPlain:
		if time.Since(m.last) >= lineEvery {
			m.last = time.Now()
			fmt.Fprintf(m.w, "isolayer: %d %% of %s\n", 100*done/max(total, 1), size(total))
		}
	case progressAuto:
		if m.bar == nil && time.Since(m.start) >= barAfter && done < total {
			m.bars = mpb.New(mpb.WithOutput(m.w), mpb.WithWidth(40))
			m.bar = m.bars.AddBar(total,
				mpb.PrependDecorators(decor.Counters(decor.SizeB1024(0), "% .1f / % .1f ")),
				mpb.AppendDecorators(decor.Percentage(), decor.Name(" "), decor.AverageETA(decor.ET_STYLE_GO)),
				mpb.BarRemoveOnComplete())
		}
		if m.bar != nil {
			m.bar.SetCurrent(done)
		}
	}
}

// done takes the bar away.
func (m *meter) done() {
	if m.bar != nil {
		m.bar.Abort(true)
		m.bars.Wait()
	}
}
