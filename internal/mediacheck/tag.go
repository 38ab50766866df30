// Package mediacheck computes and checks the checksums that installer media carry in
// the application use field of their first volume descriptor: those of isomd5sum,
// which implantisomd5 writes and checkisomd5 and dracut check, and those of SUSE's
// tagmedia and checkmedia.
//
// Both cover the volume as its descriptor gives its size, not the file, and take the
// field that holds them as spaces. They find damage, not tampering.
package mediacheck

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"
)

// Where the tags are: the application use field of the descriptor in block 16
// (ECMA-119 8.4.32). Programs look nowhere else.
const (
	Offset = 16*blockSize + 883
	Size   = 512
)

const (
	blockSize  = 2048
	sectorSize = 512
	// offSpaceSizeBE is the half of the volume space size that isomd5sum reads.
	offSpaceSizeBE = 84
)

// Kind names the programs that understand a tag.
type Kind string

// The kinds.
const (
	ISOMD5     Kind = "isomd5sum"
	Checkmedia Kind = "checkmedia"
)

// Of isomd5sum's tags.
const (
	defaultSkip      = 15
	defaultFragments = 20
	// fragmentDigits is how many digits the sums of all fragments have together.
	fragmentDigits = 60
	warning        = "THIS IS NOT THE SAME AS RUNNING MD5SUM ON THIS ISO!!"
)

var (
	// ErrMalformed reports tags that their programs would not understand.
	ErrMalformed = errors.New("malformed media check")
	// ErrShort reports a volume that is too short for a media check: checkisomd5 fails
	// on it whatever the tags say.
	ErrShort = errors.New("volume too short for a media check")
)

// Tag is what the field says.
type Tag struct {
	Kind   Kind
	Digest string // md5, sha1, sha224, sha256, sha384, sha512
	Sum    string // lower-case hexadecimal
	// Skip is how many blocks of 2 KiB at the end of the volume are not covered, Pad how
	// many of those count as zeros.
	Skip, Pad int64

	// Of isomd5sum: sums of the first part, the first two parts, and so on, of which
	// there is one more than Fragments; and whether the vendor supports the medium.
	Fragments    int
	FragmentSums string
	Supported    bool

	// Of checkmedia: the sector of 512 bytes where a signature block begins, 0 for none,
	// and a partition with a sum of its own.
	Signature int64
	Partition *Partition

	pairs []pair // of checkmedia, as found
}

// Partition is a range of sectors of 512 bytes with a sum of its own.
type Partition struct {
	Start, Count int64
	Sum          string
}

// pair is a key with its value.
type pair struct{ key, value string }

// digests are the hashes, by their names.
var digests = []struct {
	name string
	new  func() hash.Hash
}{
	{"md5", md5.New},
	{"sha1", sha1.New},
	{"sha224", sha256.New224},
	{"sha256", sha256.New},
	{"sha384", sha512.New384},
	{"sha512", sha512.New},
}

func newHash(name string) hash.Hash {
	for _, d := range digests {
		if d.name == name {
			return d.new()
		}
	}
	return nil
}

// New is an empty tag of isomd5sum.
func New() *Tag {
	return &Tag{Kind: ISOMD5, Digest: "md5", Skip: defaultSkip, Fragments: defaultFragments}
}

// Parse reads the field of a volume descriptor. It returns nil if no tag is there.
func Parse(field []byte) (*Tag, error) {
	if len(field) != Size {
		return nil, fmt.Errorf("a field of %d bytes: %w", len(field), ErrMalformed)
	}
	t := &Tag{}
	for part := range strings.SplitSeq(strings.TrimRight(string(field), " \x00"), ";") {
		key, value, _ := strings.Cut(part, "=")
		t.pairs = append(t.pairs, pair{strings.TrimSpace(key), strings.TrimSpace(value)})
	}
	for _, p := range t.pairs {
		if err := t.read(strings.ToLower(p.key), p.value); err != nil {
			return nil, fmt.Errorf("%s: %w", p.key, err)
		}
	}
	switch {
	case t.Kind == "":
		return nil, nil
	case len(t.Sum) != 2*newHash(t.Digest).Size():
		return nil, fmt.Errorf("%ssum of %d digits: %w", t.Digest, len(t.Sum), ErrMalformed)
	case t.Fragments > 0 && (t.Kind != ISOMD5 || len(t.FragmentSums) != t.digits()*t.Fragments):
		t.Fragments, t.FragmentSums = 0, "" // programs then check the whole only
	}
	return t, nil
}

func (t *Tag) read(key, value string) (err error) {
	number := func(most int64) int64 {
		n, e := strconv.ParseInt(value, 10, 64)
		if e != nil || n < 0 || n > most {
			err = fmt.Errorf("%q is not a number up to %d: %w", value, most, ErrMalformed)
		}
		return n
	}
	bare, iso := strings.CutPrefix(key, "iso ")
	if name, ok := strings.CutSuffix(bare, "sum"); ok && newHash(name) != nil {
		if t.Sum, t.Digest, t.Kind = strings.ToLower(value), name, Checkmedia; iso {
			t.Kind = ISOMD5
		}
		if _, err := hex.DecodeString(t.Sum); err != nil {
			return fmt.Errorf("%q: %w", value, ErrMalformed)
		}
		return nil
	}
	switch key {
	case "skipsectors":
		t.Skip = number(1 << 32)
	case "pad":
		t.Pad = number(1 << 32)
	case "rhlisostatus":
		t.Supported = value == "1"
	case "fragment count":
		t.Fragments = int(number(fragmentDigits))
	case "fragment sums":
		t.FragmentSums = strings.ToLower(value)
	case "signature":
		t.Signature = number(1 << 40)
	case "partition":
		p := &Partition{}
		if n, _ := fmt.Sscanf(value, "%d,%d,%s", &p.Start, &p.Count, &p.Sum); n < 3 || p.Start < 0 || p.Count <= 0 || p.Start > 1<<40 || p.Count > 1<<40 {
			return fmt.Errorf("%q is not a start, a length and a sum: %w", value, ErrMalformed)
		}
		t.Partition = p
	}
	return err
}

// digits is how many digits of each sum a fragment has.
func (t *Tag) digits() int { return fragmentDigits / max(1, t.Fragments) }

// Field is the field with the tag, padded with spaces.
func (t *Tag) Field() ([]byte, error) {
	var s string
	if t.Kind == ISOMD5 {
		status := 0
		if t.Supported {
			status = 1
		}
		s = fmt.Sprintf("ISO %sSUM = %s;SKIPSECTORS = %d;RHLISOSTATUS=%d;", strings.ToUpper(t.Digest), t.Sum, t.Skip, status)
		if t.Fragments > 0 {
			s += fmt.Sprintf("FRAGMENT SUMS = %s;FRAGMENT COUNT = %d;", t.FragmentSums, t.Fragments)
		}
		s += warning
	} else {
		s = t.pairText()
	}
	if len(s) > Size {
		return nil, fmt.Errorf("%d bytes for a field of %d: %w", len(s), Size, ErrMalformed)
	}
	return append([]byte(s), strings.Repeat(" ", Size-len(s))...), nil
}

// pairText are the pairs of checkmedia with the present values, others as found.
func (t *Tag) pairText() string {
	var out []string
	for _, p := range t.pairs {
		switch key := strings.ToLower(p.key); {
		case key == t.Digest+"sum":
			p.value = t.Sum
		case key == "signature" && t.Signature == 0, key == "partition" && t.Partition == nil:
			continue
		case key == "partition":
			p.value = fmt.Sprintf("%d,%d,%s", t.Partition.Start, t.Partition.Count, t.Partition.Sum)
		case p.value == "":
			out = append(out, p.key)
			continue
		}
		out = append(out, p.key+"="+p.value)
	}
	return strings.Join(slices.DeleteFunc(out, func(s string) bool { return s == "" }), ";")
}

// Blocks is the size of the volume in blocks as the programs of this tag read it
// from the descriptor in block 16.
func Blocks(descriptor []byte) int64 {
	return int64(binary.BigEndian.Uint32(descriptor[offSpaceSizeBE:]))
}

// Covered is how many bytes of a volume the sum is computed over.
func (t *Tag) Covered(blocks int64) (int64, error) {
	n := (blocks - t.Skip - t.Pad) * blockSize
	if n <= 0 || blocks > 1<<32 {
		return 0, fmt.Errorf("%d blocks, of which %d are left out: %w", blocks, t.Skip+t.Pad, ErrShort)
	}
	return n, nil
}
