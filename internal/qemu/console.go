package qemu

import (
	"io"
	"regexp"
	"strings"
	"sync"
)

// maxConsole bounds what is kept of a console; the oldest half goes first.
const maxConsole = 8 << 20

// console collects what a machine prints.
type console struct {
	mu   sync.Mutex
	buf  []byte
	copy io.Writer
}

// Write collects p. An error of the copy ends the copy, not the machine.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buf = append(c.buf, p...); len(c.buf) > maxConsole {
		c.buf = append([]byte(nil), c.buf[len(c.buf)/2:]...)
	}
	if c.copy != nil {
		if _, err := c.copy.Write(p); err != nil {
			c.copy = nil
		}
	}
	return len(p), nil
}

func (c *console) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Plain(string(c.buf))
}

// sequences are the control sequences of terminals (ECMA-48 5.4) and single controls
// that do more than end a line.
var sequences = regexp.MustCompile("\x1b\\[[0-?]*[ -/]*[@-~]|\x1b[()#][0-9A-Za-z]|\x1b.|[\x00-\x08\x0b-\x1f\x7f]")

// Plain takes control sequences out of what a machine printed, so that it can be
// searched, and shown on a terminal without doing anything to it.
func Plain(s string) string {
	return sequences.ReplaceAllString(strings.ToValidUTF8(s, "?"), "")
}

// textScreen decodes the memory of a text screen of 80 columns: a character and an
// attribute each. Only ASCII is decoded; frames and the like become dots.
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
		out.WriteString(strings.TrimRight(string(line), " "))
		out.WriteByte('\n')
	}
	return strings.Trim(out.String(), "\n")
}
