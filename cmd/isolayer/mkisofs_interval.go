package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/master/scan"
)

// interval is what xorriso reads in the place of a file:
// --interval:local_fs:FIRST-LAST:ZEROIZERS:FILE, a range of bytes of a file, of which
// parts count as zeros.
type interval struct {
	scan.FileRange
	zero []string
}

const intervalPrefix = "--interval:"

// parseInterval reads what names a file, or a part of one.
func parseInterval(s string) (i interval, err error) {
	spec, ok := strings.CutPrefix(s, intervalPrefix)
	if !ok {
		i.Path = s
		return i, nil
	}
	part := strings.SplitN(spec, ":", 4)
	if len(part) < 4 || part[0] != "local_fs" || part[3] == "" {
		return i, fmt.Errorf("%q: want --interval:local_fs:FIRST-LAST:ZEROIZERS:FILE", s)
	}
	i.Path = part[3]
	if part[2] != "" {
		i.zero = strings.Split(part[2], ",")
	}
	if part[1] == "all" {
		return i, nil
	}
	i.Off, i.Size, err = byteRange(part[1])
	return i, err
}

// byteRange reads FIRST-LAST. With a suffix both count units; the last one belongs to the
// range.
func byteRange(s string) (off, n int64, err error) {
	first, last, ok := strings.Cut(s, "-")
	from, _, err := scaled(first)
	to, unit, err2 := scaled(last)
	if err = errors.Join(err, err2); err != nil || !ok || to+unit <= from {
		return 0, 0, fmt.Errorf("%q: want a range of bytes such as 0s-15s", s)
	}
	return from, to + unit - from, nil
}

// scaled reads a number and the unit that it counts.
func scaled(s string) (n, unit int64, err error) {
	unit = 1
	if s != "" {
		if u, ok := map[byte]int64{'d': 512, 's': 2048, 'k': 1 << 10, 'm': 1 << 20, 'g': 1 << 30, 't': 1 << 40}[s[len(s)-1]]; ok {
			unit, s = u, s[:len(s)-1]
		}
	}
	count, err := strconv.ParseUint(s, 10, 40)
	if err != nil || int64(count) > 1<<62/unit {
		return 0, 0, fmt.Errorf("%q is not a number of bytes", s)
	}
	return int64(count) * unit, unit, nil
}

// read returns the bytes, at most limit.
func (i interval) read(limit int64) (b []byte, err error) {
	f, err := openLocal(i.Path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("%s: not a regular file", i.Path))
	}
	if i.Size > 0 {
		limit = min(limit, i.Size)
	}
	if b, err = io.ReadAll(io.NewSectionReader(f, i.Off, limit)); err != nil {
		return nil, err
	}
	if i.Size > 0 && int64(len(b)) < limit {
		return nil, fmt.Errorf("%s at %d: %w", i.Path, i.Off, io.ErrUnexpectedEOF)
	}
	for _, what := range i.zero {
		if err := zeroize(b, what); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// zeroize clears a partition table in the head of a disk, or a range.
func zeroize(b []byte, what string) error {
	switch what {
	case "zero_mbrpt":
		boot.EraseMBR(b)
	case "zero_gpt":
		boot.EraseGPT(b)
	case "zero_apm":
		boot.EraseAPM(b)
	default:
		from, n, err := byteRange(what)
		if err != nil {
			return fmt.Errorf("%q: want zero_mbrpt, zero_gpt, zero_apm or a range of bytes", what)
		}
		if size := int64(len(b)); from < size {
			clear(b[from:min(from+n, size)])
		}
	}
	return nil
}
