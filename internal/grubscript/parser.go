package grubscript

import (
	"errors"
	"strings"
)

// The limits on what a source may have.
const (
	maxTokens  = 1 << 18
	maxNesting = 64 // GRUB's own limit on running statements inside of others
)

// Errors of reading.
var (
	ErrSyntax = errors.New("GRUB does not understand this and skips it")
	ErrLimit  = errors.New("more than this program reads")
)

// parser builds statements. GRUB reads line by line; depth is what keeps it reading.
type parser struct {
	l      *lexer
	tok    token
	depth  int
	nested int
	left   int
}

// parse reads a source in chunks, as GRUB does.
func parse(src *Source) ([]chunk, error) {
	p := &parser{l: newLexer(src), left: maxTokens}
	var out []chunk
	p.advance()
	for p.tok.kind != tokEnd {
		if p.left < 0 || len(src.Text) > MaxSource {
			return out, ErrLimit
		}
		if p.tok.kind == tokNewline {
			p.advance()
			continue
		}
		out = append(out, p.chunk(src))
	}
	return out, nil
}

// chunk reads statements up to a line end outside of them.
func (p *parser) chunk(src *Source) (c chunk) {
	start := p.tok.start
	p.depth, p.nested = 0, 0
	c.list, c.err = p.script()
	end := p.tok.start
	if c.err != nil {
		end = p.recover()
	}
	c.span = src.span(start, max(start, end))
	return c
}

// script reads statements that end with a line end or a semicolon each.
func (p *parser) script() (list []node, err error) {
	for p.tok.kind != tokEnd && p.tok.kind != tokNewline {
		var n node
		if p.is("function") {
			n, err = p.function()
		} else {
			n, err = p.command()
		}
		if err != nil {
			return nil, err
		}
		list = append(list, n)
		switch p.tok.kind {
		case tokSemicolon:
			p.advance()
		case tokNewline, tokEnd:
		default:
			return nil, ErrSyntax
		}
	}
	return list, nil
}

// recover skips the lines that were read when a mistake was found: those up to the end
// of the token that is one.
func (p *parser) recover() int {
	end := len(p.l.s)
	if n := strings.IndexByte(p.l.s[min(p.tok.end, end):], '\n'); n >= 0 && p.tok.kind != tokNewline {
		end = p.tok.end + n
	} else if p.tok.kind == tokNewline {
		end = p.tok.start
	}
	p.l.pos = end
	p.advance()
	return end
}

func (p *parser) advance() {
	p.left--
	if p.left < 0 {
		p.tok = token{kind: tokEnd, start: len(p.l.s), end: len(p.l.s)}
		return
	}
	p.tok = p.l.next()
}

func (p *parser) is(reserved string) bool {
	return p.tok.kind == tokReserved && p.tok.text == reserved
}

func (p *parser) expect(reserved string) error {
	if !p.is(reserved) {
		return ErrSyntax
	}
	p.advance()
	return nil
}

func (p *parser) newlines() {
	for p.tok.kind == tokNewline {
		p.advance()
	}
}

// delimiters takes a semicolon or line end and the line ends behind it.
func (p *parser) delimiters() bool {
	if p.tok.kind != tokNewline && p.tok.kind != tokSemicolon {
		return false
	}
	p.advance()
	p.newlines()
	return true
}

// commands reads a list of at least one, up to what cannot begin a command; delimited
// reports whether the last ended with a delimiter.
func (p *parser) commands() (list []node, delimited bool, err error) {
	if p.nested++; p.nested > maxNesting {
		return nil, false, ErrLimit
	}
	defer func() { p.nested-- }()
	p.newlines()
	for {
		n, err := p.command()
		if err != nil {
			return nil, false, err
		}
		list = append(list, n)
		if !p.delimiters() {
			return list, false, nil
		}
		if !p.begins() {
			return list, true, nil
		}
	}
}

// begins reports whether a command begins here.
func (p *parser) begins() bool {
	switch p.tok.kind {
	case tokName, tokWord:
		return true
	case tokReserved:
		return p.is("if") || p.is("for") || p.is("while") || p.is("until")
	}
	return false
}

// list reads commands that end with a delimiter.
func (p *parser) list() ([]node, error) {
	list, delimited, err := p.commands()
	if err == nil && !delimited {
		err = ErrSyntax
	}
	return list, err
}

func (p *parser) command() (node, error) {
	switch {
	case p.is("if"):
		return p.conditional()
	case p.is("for"):
		return p.loop()
	case p.is("while"), p.is("until"):
		return p.repeat()
	case p.tok.kind != tokName && p.tok.kind != tokWord:
		return nil, ErrSyntax
	}
	return p.simple()
}

func (p *parser) simple() (node, error) {
	n := &simple{}
	start := p.tok.start
	end := start
	for p.tok.kind == tokName || p.tok.kind == tokWord || p.tok.kind == tokReserved {
		n.words = append(n.words, word{parts: p.tok.parts, span: p.span(p.tok.start, p.tok.end)})
		end = p.tok.end
		p.advance()
	}
	if p.tok.kind == tokOpen {
		b, last, err := p.block()
		if err != nil {
			return nil, err
		}
		n.words = append(n.words, word{block: b, span: b.span})
		end = last
	}
	n.span = p.span(start, end)
	return n, nil
}

func (p *parser) span(start, end int) Span { return p.l.src.span(start, end) }

func (p *parser) block() (b *block, end int, err error) {
	start := p.tok.start
	p.advance()
	list, _, err := p.commands()
	if err != nil {
		return nil, 0, err
	}
	if p.tok.kind != tokClose {
		return nil, 0, ErrSyntax
	}
	end = p.tok.end
	p.advance()
	return &block{list: list, span: p.span(start, end)}, end, nil
}

// conditional reads from an if or elif on to the fi.
func (p *parser) conditional() (node, error) {
	start := p.tok.start
	n, err := p.clause()
	if err != nil {
		return nil, err
	}
	end := p.tok.end
	if err := p.expect("fi"); err != nil {
		return nil, err
	}
	n.span = p.span(start, end)
	return n, nil
}

// clause reads what stands between if or elif and fi.
func (p *parser) clause() (n *conditional, err error) {
	if p.nested++; p.nested > maxNesting {
		return nil, ErrLimit
	}
	defer func() { p.nested-- }()
	n = &conditional{}
	start := p.tok.start
	p.advance()
	if n.cond, err = p.list(); err != nil {
		return nil, err
	}
	n.span = p.span(start, p.tok.start)
	if err = p.expect("then"); err != nil {
		return nil, err
	}
	if n.then, err = p.list(); err != nil {
		return nil, err
	}
	switch {
	case p.is("else"):
		p.advance()
		n.otherwise, err = p.list()
	case p.is("elif"):
		var sub *conditional
		if sub, err = p.clause(); err == nil {
			n.otherwise = []node{sub}
		}
	}
	return n, err
}

func (p *parser) loop() (node, error) {
	n := &loop{}
	start := p.tok.start
	p.advance()
	if p.tok.kind != tokName {
		return nil, ErrSyntax
	}
	n.name = p.tok.text
	p.advance()
	if err := p.expect("in"); err != nil {
		return nil, err
	}
	for p.tok.kind == tokName || p.tok.kind == tokWord || p.tok.kind == tokReserved {
		n.words = append(n.words, word{parts: p.tok.parts, span: p.span(p.tok.start, p.tok.end)})
		p.advance()
	}
	if !p.delimiters() {
		return nil, ErrSyntax
	}
	var err error
	n.body, n.span, err = p.body(start)
	return n, err
}

func (p *parser) repeat() (node, error) {
	n := &repeat{until: p.is("until")}
	start := p.tok.start
	p.advance()
	var err error
	if n.cond, err = p.list(); err != nil {
		return nil, err
	}
	n.body, n.span, err = p.body(start)
	return n, err
}

// body reads do … done.
func (p *parser) body(start int) (list []node, s Span, err error) {
	if err = p.expect("do"); err != nil {
		return nil, s, err
	}
	if list, err = p.list(); err != nil {
		return nil, s, err
	}
	s = p.span(start, p.tok.end)
	return list, s, p.expect("done")
}

func (p *parser) function() (node, error) {
	n := &function{}
	start := p.tok.start
	p.advance()
	if p.tok.kind != tokName {
		return nil, ErrSyntax
	}
	n.name = p.tok.text
	p.advance()
	p.newlines()
	if p.tok.kind != tokOpen {
		return nil, ErrSyntax
	}
	p.advance()
	var err error
	if n.body, err = p.list(); err != nil {
		return nil, err
	}
	if p.tok.kind != tokClose {
		return nil, ErrSyntax
	}
	n.span = p.span(start, p.tok.end)
	p.advance()
	return n, nil
}
