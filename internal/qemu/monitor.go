package qemu

import (
	"encoding/json"
	"fmt"
	"net"
	"time"
)

// monitor speaks QMP, the control protocol of QEMU.
type monitor struct {
	conn net.Conn
	dec  *json.Decoder
}

// answerTime is how long a machine under emulation may take to answer.
const answerTime = 20 * time.Second

func dial(path string) (*monitor, error) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	m := &monitor{conn, json.NewDecoder(conn)}
	var greeting map[string]any
	if err := conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return nil, err
	}
	if err := m.dec.Decode(&greeting); err != nil {
		return nil, fmt.Errorf("read greeting: %w", err)
	}
	return m, m.do("qmp_capabilities", nil)
}

// do runs a command and waits for its answer, passing over events.
func (m *monitor) do(command string, args map[string]any) error {
	if err := m.conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	request := map[string]any{"execute": command}
	if args != nil {
		request["arguments"] = args
	}
	if err := json.NewEncoder(m.conn).Encode(request); err != nil {
		return fmt.Errorf("send %s: %w", command, err)
	}
	for {
		var answer struct {
			Return json.RawMessage
			Error  *struct{ Desc string }
		}
		if err := m.dec.Decode(&answer); err != nil {
			return fmt.Errorf("read answer to %s: %w", command, err)
		}
		switch {
		case answer.Error != nil:
			return fmt.Errorf("%s: %s", command, answer.Error.Desc)
		case answer.Return != nil:
			return nil
		}
	}
}

func (m *monitor) close() error { return m.conn.Close() }
