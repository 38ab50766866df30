package grubscript

import "maps"

// budget bounds what one evaluation costs, whatever the text says.
type budget struct {
	steps   int // commands
	lookups int // of files
	worlds  int // evaluations of a script or an entry with other answers
	nodes   int // entries that were made
	bytes   int // of values that were made
	over    bool
	texts   map[string][]byte
	parsed  map[string]*parsed
	files   []*Source // that were read
}

type parsed struct {
	chunks []chunk
	err    error
}

func newBudget() *budget {
	return &budget{steps: 1 << 19, lookups: 1 << 16, worlds: 1 << 12, nodes: 1 << 14, bytes: 1 << 25, texts: map[string][]byte{}, parsed: map[string]*parsed{}}
}

// status is what a command returned.
type status struct {
	failed  bool
	unknown string // a condition that nobody but the machine knows; failed is the guess
}

var (
	done   = status{}
	failed = status{failed: true}
)

// depends is a status that is known at the machine only.
func depends(on string, guess bool) status { return status{failed: !guess, unknown: on} }

// machine runs a script.
type machine struct {
	fw     *Firmware
	ctx    *context
	args   *args
	funcs  map[string]*function
	loops  map[string]*Device // devices that loopback made
	oracle *oracle
	budget *budget

	status   status
	depth    int // statements inside of others
	sources  int // files inside of others
	active   int // loops
	breaks   int
	again    bool     // continue instead of break
	back     bool     // return
	stopped  bool     // nothing runs any more: boot, exit, a limit
	extracts int      // inside of commands that take entries only
	regexps  bool     // stars stand for names
	here     Span     // the command that runs
	chain    []string // the files of the menus around
	config   *Source  // the one that was run last as a whole

	boot     *Boot // what the commands have loaded
	out      *outcome
	assigned []*Assignment
}

// outcome is what a run did.
type outcome struct {
	menus   []*Menu // that were shown, in order
	seconds int     // of waiting
	remarks *[]Remark
}

// fork makes a machine for an entry: it changes nothing of this one.
func (m *machine) fork(o *oracle) *machine {
	n := *m
	n.ctx = m.ctx.clone()
	n.funcs, n.loops = maps.Clone(m.funcs), maps.Clone(m.loops)
	n.oracle = o
	n.boot = &Boot{}
	n.out = &outcome{remarks: m.out.remarks}
	n.status, n.depth, n.active, n.breaks, n.back, n.stopped, n.again = done, 0, 0, 0, false, false, false
	n.assigned = m.assigned[:len(m.assigned):len(m.assigned)]
	return &n
}

// limit notes that something was too much and stops.
func (m *machine) limit(at Span) {
	if !m.budget.over {
		m.remark(at, "more than this program follows; the rest is not looked at")
	}
	m.budget.over, m.stopped = true, true
}

// halted reports whether the statement that runs ends here.
func (m *machine) halted() bool { return m.stopped || m.back || m.breaks > 0 }

// source runs a text that was read: chunk by chunk.
func (m *machine) source(src *Source, key string) {
	p := m.budget.parsed[key]
	if p == nil || key == "" {
		p = &parsed{}
		p.chunks, p.err = parse(src)
		if key != "" {
			m.budget.parsed[key] = p
		}
	}
	for _, c := range p.chunks {
		if m.halted() {
			return
		}
		if c.err != nil {
			m.remark(c.span, c.err.Error()+": "+brief(c.span))
			m.status = failed
			continue
		}
		m.run(c.list)
	}
	if p.err != nil {
		m.limit(src.span(0, 0))
	}
}

// brief is the first line of what a span has.
func brief(s Span) string {
	text := string(s.Source.Text[s.Start:s.End])
	text = text[:endOf(text, "\r\n")]
	if len(text) > 60 {
		text = text[:57] + "..."
	}
	return text
}

// run runs statements one behind the other.
func (m *machine) run(list []node) {
	if m.depth++; m.depth > maxNesting {
		m.limit(list[0].at())
	}
	defer func() { m.depth-- }()
	for _, n := range list {
		if m.halted() {
			return
		}
		if m.budget.steps--; m.budget.steps < 0 {
			m.limit(n.at())
			return
		}
		m.node(n)
	}
}

func (m *machine) node(n node) {
	switch n := n.(type) {
	case *simple:
		m.simple(n)
	case *conditional:
		m.conditional(n)
	case *loop:
		m.loop(n)
	case *repeat:
		m.repeat(n)
	case *function:
		m.funcs[n.name] = n
	}
}

// test runs a condition and returns what it says, as far as that is known; else what is
// supposed in this world.
func (m *machine) test(cond []node) bool {
	m.run(cond)
	return m.holds()
}

// holds decides whether the last command succeeded.
func (m *machine) holds() bool {
	if m.status.unknown != "" {
		ok := m.decide(m.status.unknown, !m.status.failed)
		m.status = status{failed: !ok}
	}
	return !m.status.failed
}

func (m *machine) conditional(n *conditional) {
	ok := m.test(n.cond)
	switch {
	case m.halted():
	case ok:
		m.run(n.then)
	case n.otherwise != nil:
		m.run(n.otherwise)
	default:
		m.status = done
	}
}

func (m *machine) loop(n *loop) {
	words, _ := m.expand(n.words)
	m.active++
	m.status = done
	for _, w := range words {
		m.assign(&Assignment{Name: n.name, Value: w.word, How: "for", Span: n.span})
		m.run(n.body)
		if m.endRound() {
			break
		}
	}
	m.active--
}

// endRound handles break and continue; true ends the loop.
func (m *machine) endRound() bool {
	switch {
	case m.stopped || m.back:
		return true
	case m.breaks == 0:
		return false
	case m.breaks == 1 && m.again:
		m.breaks = 0
		return false
	}
	m.breaks--
	return true
}

// maxRounds bounds while and until.
const maxRounds = 1 << 10

func (m *machine) repeat(n *repeat) {
	m.active++
	defer func() { m.active-- }()
	for range maxRounds {
		if ok := m.test(n.cond); ok == n.until || m.stopped || m.back {
			return
		}
		m.run(n.body)
		if m.endRound() {
			return
		}
	}
	m.limit(n.span)
}

// simple runs a command.
func (m *machine) simple(n *simple) {
	args, body := m.expand(n.words)
	if len(args) == 0 {
		return
	}
	invert := args[0].word.String() == "!"
	if invert {
		if args = args[1:]; len(args) == 0 {
			m.status = failed
			return
		}
	}
	m.here = n.span
	c := &call{machine: m, name: args[0].word.String(), args: args[1:], body: body, span: n.span, first: args[0]}
	m.status = m.dispatch(c)
	if invert {
		m.status.failed = !m.status.failed
	}
}

// function runs a function of the script with arguments.
func (m *machine) function(f *function, words []Word) status {
	old, active := m.args, m.active
	m.args, m.active = &args{words: words}, 0
	m.run(f.body)
	m.args, m.active = old, active
	m.back = false
	return m.status
}
