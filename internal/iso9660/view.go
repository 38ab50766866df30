package iso9660

import (
	"iter"
	"time"
)

// view is an entry as it is recorded in a directory.
type view struct {
	Parent *Entry // physical; the root is its own

	dir  *directory // nil for what is none
	more *more      // nil for most
	at   uint32     // where the record begins in the bytes of Parent
	cl   bool       // the record has a CL entry
}

// extra returns what few entries have, to be changed.
func (e *view) extra() *more {
	if e.more == nil {
		e.more = &more{}
	}
	return e.more
}

// Record returns the record: the first one of a file with several sections.
func (e *view) Record() Record {
	if e.more != nil && e.more.raws != nil {
		return e.more.raws[0].Record
	}
	b := e.Parent.dir.data[e.at:]
	return Record(b[:b[0]:b[0]])
}

// Off returns the byte offset of the record in the image.
func (e *view) Off() int64 { return e.raw().Off }

// raw is the first record with its continuation areas.
func (e *view) raw() Raw {
	if e.more != nil && e.more.raws != nil {
		return e.more.raws[0]
	}
	return Raw{Off: e.Parent.dir.off + int64(e.at), Record: e.Record()}
}

// Raws returns the entry's record, or one a section if the file has several.
func (e *view) Raws() []Raw {
	if e.more != nil && e.more.raws != nil {
		return e.more.raws
	}
	return []Raw{e.raw()}
}

// Sequence yields what Raws returns.
func (e *view) Sequence() iter.Seq[Raw] {
	return func(yield func(Raw) bool) {
		if e.more == nil || e.more.raws == nil {
			yield(e.raw())
			return
		}
		for _, raw := range e.more.raws {
			if !yield(raw) {
				return
			}
		}
	}
}

// Records yields the records of Raws.
func (e *view) Records() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		for raw := range e.Sequence() {
			if !yield(raw.Record) {
				return
			}
		}
	}
}

// rules are those of the hierarchy.
func (e *view) rules() *rules { return e.Parent.dir.rules }

// Attributes returns what Rock Ridge says of the entry; zero without it. A root has those of
// its own "." record.
func (e *view) Attributes() Attributes {
	if e.isRoot() {
		a := e.Parent.Own()
		a.hasCL = false
		return a
	}
	return e.rules().decode(e.raw(), e.skip())
}

func (e *view) isRoot() bool { return &e.Parent.view == e }

// skip is how many bytes stand in front of the system use entries.
func (e *view) skip() int {
	if r := e.Record(); e.Parent.Parent == e.Parent && r.isSelf() {
		return spAt(r)
	}
	return e.rules().skip
}

// zisofs describes how the content is compressed, nil if it is not.
func (e *view) zisofs() *Zisofs {
	if e.Size() == 0 {
		return nil
	}
	return e.Attributes().Compressed
}

// Name returns the name as this hierarchy shows it.
func (e *view) Name() string {
	if e.isRoot() {
		return ""
	}
	r := e.rules()
	if r.h == Joliet {
		return jolietShown(e.Record().ID())
	}
	if r.susp {
		if name := e.raw().named(e.skip()); len(name) > 0 {
			return string(name)
		}
	}
	return isoName(e.Record())
}

// IsDir reports a directory. The placeholder of a relocated one is none, whatever its flags.
func (e *view) IsDir() bool { return e.Record().Flags()&FlagDirectory != 0 && !e.cl }

// Associated reports an associated file (a resource fork), which no listing shows.
func (e *view) Associated() bool { return e.Record().Flags()&FlagAssociated != 0 }

// Sections returns where the content lies, none for an empty file.
func (e *view) Sections() []Section { return e.AppendSections(nil) }

// AppendSections appends the sections to out.
func (e *view) AppendSections(out []Section) []Section {
	if e.cl { // whatever its record says of an extent is that of the directory
		return out
	}
	for r := range e.Records() {
		if r.Size() > 0 {
			out = append(out, Section{r.LBA() + LBA(r.XAR()), int64(r.Size())})
		}
	}
	return out
}

// Start returns the first block of the content, 0 for an empty file.
func (e *view) Start() LBA {
	if e.cl {
		return 0
	}
	for r := range e.Records() {
		if r.Size() > 0 {
			return r.LBA() + LBA(r.XAR())
		}
	}
	return 0
}

// Size returns the stored length of the content in bytes.
func (e *view) Size() int64 {
	var n int64
	if e.cl {
		return 0
	}
	for r := range e.Records() {
		n += int64(r.Size())
	}
	return n
}

// ModTime returns the modification time: that of Rock Ridge, else the recording date.
func (e *view) ModTime() time.Time { return e.Stat().Time }

// StMode returns st_mode. Without Rock Ridge everything is readable by all.
func (e *view) StMode() uint32 { return e.Stat().Mode }

// Stat returns what a listing shows of the entry: what Rock Ridge says, else what a plain
// record comes to. Links are counted as they are recorded.
func (e *view) Stat() Stat {
	a := e.Attributes()
	s := Stat{Mode: e.mode(&a), Nlink: a.Nlink, UID: a.UID, GID: a.GID, Serial: a.Serial, Major: a.Major, Minor: a.Minor, Time: a.Modified, Link: a.Link}
	if s.Time.IsZero() {
		s.Time = e.Record().Time()
	}
	return s
}

// mode is st_mode of an entry with the given attributes.
func (e *view) mode(a *Attributes) uint32 {
	switch {
	case e.IsDir() && a.px > 0:
		return ModeDir | a.Mode&0o7777 // the record's flag decides what it is
	case e.IsDir():
		return ModeDir | 0o555
	case a.px == 0:
		return ModeRegular | 0o444
	case a.Mode&ModeType == ModeDir || a.Mode&ModeType == 0:
		return ModeRegular | a.Mode&0o7777
	}
	return a.Mode
}

// last is the record of the last section.
func (e *view) last() Raw {
	if e.more != nil && e.more.raws != nil {
		return e.more.raws[len(e.more.raws)-1]
	}
	return e.raw()
}
