package grubscript

// node is a statement.
type node interface{ at() Span }

// word is an argument as written.
type word struct {
	parts []part
	span  Span
	block *block // the { … } behind a command
}

// block is what stands in braces. It is run later, with arguments of its own.
type block struct {
	list []node
	span Span // with the braces
}

// simple is a command with its arguments.
type simple struct {
	words []word
	span  Span
}

// conditional is an if with what it tests. An elif is one inside of otherwise.
type conditional struct {
	cond, then, otherwise []node
	span                  Span
}

// loop is a for with the variable it sets.
type loop struct {
	name  string
	words []word
	body  []node
	span  Span
}

// repeat is a while or an until.
type repeat struct {
	cond, body []node
	until      bool
	span       Span
}

// function is a definition, which counts from the moment it is read.
type function struct {
	name string
	body []node
	span Span
}

func (n *simple) at() Span      { return n.span }
func (n *conditional) at() Span { return n.span }
func (n *loop) at() Span        { return n.span }
func (n *repeat) at() Span      { return n.span }
func (n *function) at() Span    { return n.span }

// chunk is what GRUB reads before it runs anything: a line, and as many behind it as a
// statement needs. One mistake in it and nothing of it is run.
type chunk struct {
	list []node
	err  error
	span Span
}
