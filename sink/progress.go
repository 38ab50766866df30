package sink

import "time"

// tick is the shortest time between two calls of Options.Progress.
const tick = 50 * time.Millisecond

// meter counts bytes and passes the count on, not too often.
type meter struct {
	report      func(done, total int64) // nil: nobody listens
	done, total int64
	last        time.Time
	// behind, unless nil, is how far somebody is whose work counts as well.
	behind func() int64
}

func newMeter(report func(done, total int64), total int64) *meter {
	return &meter{report: report, total: total}
}

func (m *meter) add(n int64) {
	m.done += n
	done := m.done
	if m.behind != nil {
		done = min(done, m.behind())
	}
	// The end is left to finish, which comes after everything else succeeded.
	if m.report == nil || done == m.total {
		return
	}
	if now := time.Now(); now.Sub(m.last) >= tick {
		m.last = now
		m.report(done, m.total)
	}
}

func (m *meter) finish() {
	if m.report != nil {
		m.report(m.total, m.total)
	}
}
