package baseimage

import (
	"errors"
	"io"
	"sync"
)

// Owned are things to close, once.
type Owned struct {
	mu   sync.Mutex
	List []io.Closer
}

func (o *Owned) Add(c io.Closer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.List = append(o.List, c)
}

// Close implements io.Closer. Only the first call does something.
func (o *Owned) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var errs []error
	for _, c := range o.List {
		errs = append(errs, c.Close())
	}
	o.List = nil
	return errors.Join(errs...)
}
