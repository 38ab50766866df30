package fault

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync/atomic"
)

// Limits bound what reading one image may cost. They are far above the largest real
// images and keep memory and time bounded on hostile ones. Zero fields mean the default.
type Limits struct {
	Descriptors int64 // volume descriptors of a session
	Depth       int64 // levels of directories
	Records     int64 // directory records, those of all hierarchies together
	DirBytes    int64 // of one directory
	TreeBytes   int64 // of all directories of all hierarchies
	Areas       int64 // continuation areas of one record
	AreaBytes   int64 // of the continuation areas of one record
	Aliases     int64 // directories listed a second time
	OutBytes    int64 // of content that one command extracts
}

// Defaults are the limits of an image of size bytes. Content may be as large as the
// image 256 times over, but always 1 GiB: files may share extents and be compressed.
func Defaults(size int64) Limits {
	out := int64(math.MaxInt64)
	if size < out>>8 {
		out = max(size<<8, 1<<30)
	}
	return Limits{
		Descriptors: 64, Depth: 256, Records: 1 << 20, DirBytes: 64 << 20, TreeBytes: 256 << 20,
		Areas: 32, AreaBytes: 64 << 10, Aliases: 1000, OutBytes: out,
	}
}

// Unlimited are the limits for what this program made itself.
func Unlimited() (l Limits) {
	for _, n := range names {
		*n.field(&l) = math.MaxInt64
	}
	return l
}

// names are the limits in the order in which they are documented.
var names = []struct {
	name  string
	field func(*Limits) *int64
}{
	{"descriptors", func(l *Limits) *int64 { return &l.Descriptors }},
	{"depth", func(l *Limits) *int64 { return &l.Depth }},
	{"records", func(l *Limits) *int64 { return &l.Records }},
	{"dir-bytes", func(l *Limits) *int64 { return &l.DirBytes }},
	{"tree-bytes", func(l *Limits) *int64 { return &l.TreeBytes }},
	{"areas", func(l *Limits) *int64 { return &l.Areas }},
	{"area-bytes", func(l *Limits) *int64 { return &l.AreaBytes }},
	{"aliases", func(l *Limits) *int64 { return &l.Aliases }},
	{"out-bytes", func(l *Limits) *int64 { return &l.OutBytes }},
}

// Names lists the limits that Parse knows.
func Names() (out []string) {
	for _, n := range names {
		out = append(out, n.name)
	}
	return out
}

// Parse reads "records=4M,depth=1000": names of Names, numbers with K, M, G or T for
// powers of 1024. "none" lifts a limit.
func Parse(s string) (Limits, error) {
	var l Limits
next:
	for part := range strings.SplitSeq(s, ",") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		for _, n := range names {
			if n.name != name {
				continue
			}
			v, err := number(value)
			if err != nil {
				return l, fmt.Errorf("%s: %w", part, err)
			}
			*n.field(&l) = v
			continue next
		}
		return l, fmt.Errorf("%q is none of %s", name, strings.Join(Names(), ", "))
	}
	return l, nil
}

func number(s string) (int64, error) {
	if s == "none" {
		return math.MaxInt64, nil
	}
	shift := 0
	if n := len(s); n > 1 {
		if i := strings.IndexByte("KMGT", s[n-1]); i >= 0 {
			s, shift = s[:n-1], 10*(i+1)
		}
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil || v <= 0 || v > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%q is not a number of 1 or more", s)
	}
	return v << shift, nil
}

// or fills zero fields from d.
func (l Limits) or(d Limits) Limits {
	for _, n := range names {
		if p := n.field(&l); *p == 0 {
			*p = *n.field(&d)
		}
	}
	return l
}

// Budget counts what reading one image has cost. It is safe for concurrent use.
// See RATIONALE.md, "One budget an image, counted, not timed".
type Budget struct {
	Limits
	records, treeBytes, aliases, outBytes atomic.Int64

	from  *Budget // of a fork
	start [4]int64
}

// NewBudget is the budget of an image of size bytes; limits that are zero are those of
// Defaults.
func NewBudget(size int64, l Limits) *Budget { return &Budget{Limits: l.or(Defaults(size))} }

// Record charges n directory records.
func (b *Budget) Record(n int64) error { return charge(&b.records, n, b.Records, "records", Limit) }

// Directory charges a directory of n bytes.
func (b *Budget) Directory(n int64) error {
	if n > b.DirBytes {
		return Exceed(Limit, "dir-bytes", "a directory of %d bytes, %d are allowed", n, b.DirBytes)
	}
	return charge(&b.treeBytes, n, b.TreeBytes, "tree-bytes", Limit)
}

// Alias charges a directory that is listed a second time.
func (b *Budget) Alias() error { return charge(&b.aliases, 1, b.Aliases, "aliases", Loop) }

// Out charges n bytes of content that leave the image.
func (b *Budget) Out(n int64) error {
	return charge(&b.outBytes, n, b.OutBytes, "out-bytes", Bomb)
}

// Fork returns a budget of the same limits that counts on from what b counts now, for
// reading beside what b is charged for; see Join.
func (b *Budget) Fork() *Budget {
	f := &Budget{Limits: b.Limits, from: b}
	for i, sum := range b.sums() {
		f.start[i] = sum.Load()
		f.sums()[i].Store(f.start[i])
	}
	return f
}

// Join charges the budget that f is a fork of with what f was charged for, and reports
// whether all of it was left; else it charges nothing.
func (f *Budget) Join() bool {
	b := f.from
	for i, sum := range f.sums() {
		if n := sum.Load() - f.start[i]; charge(b.sums()[i], n, b.limits()[i], "", Limit) != nil {
			for j := range i { // what was taken before
				b.sums()[j].Add(f.start[j] - f.sums()[j].Load())
			}
			return false
		}
	}
	return true
}

func (b *Budget) sums() [4]*atomic.Int64 {
	return [4]*atomic.Int64{&b.records, &b.treeBytes, &b.aliases, &b.outBytes}
}

func (b *Budget) limits() [4]int64 {
	return [4]int64{b.Records, b.TreeBytes, b.Aliases, b.OutBytes}
}

// charge adds n; a sum that would not fit an int64 is above every limit.
func charge(sum *atomic.Int64, n, limit int64, name string, kind Kind) error {
	for {
		old := sum.Load()
		if n < 0 || n > limit-old {
			return Exceed(kind, name, "more than %d", limit)
		}
		if sum.CompareAndSwap(old, old+n) {
			return nil
		}
	}
}
