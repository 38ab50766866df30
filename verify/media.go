package verify

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"github.com/isolayer/isolayer/iso9660"
)

const (
	// hashStep is how isomd5sum reads; fragments end with such steps.
	hashStep = 32768
	// minFragment is the shortest fragment that checkisomd5 works with.
	minFragment = hashStep
	// fragmentDigits is how many digits all fragment sums have together.
	fragmentDigits = 60
)

// blank is a range of bytes that a digest takes as filled with one byte.
type blank struct {
	from, to int64
	fill     byte
}

// tagArea is where the tags of media checks are: they are taken as spaces.
var tagArea = blank{iso9660.LBA(16).Offset() + iso9660.OffAppUse, iso9660.LBA(16).Offset() + iso9660.OffAppUse + iso9660.AppUseSize, ' '}

// mediaCheck recomputes the media checksum of the image.
func (c *checker) mediaCheck() (string, error) {
	p := c.img.Primary()
	switch {
	case p.MediaCheck() == "":
		return "none", nil
	case p.Block != 16:
		return "", nil
	case p.MediaCheck() == "isomd5sum":
		return c.isomd5()
	}
	return c.checkmedia()
}

// tag returns the value between key and the next semicolon, without spaces.
func tag(b []byte, key string) string {
	_, rest, ok := bytes.Cut(b, []byte(key))
	if !ok {
		return ""
	}
	value, _, _ := bytes.Cut(rest, []byte(";"))
	return strings.TrimSpace(string(value))
}

// isomd5 checks the tags of implantisomd5.
func (c *checker) isomd5() (string, error) {
	p := c.img.Primary()
	use, at := p.AppUse(), tagArea.from
	want, sums := tag(use, "ISO MD5SUM = "), tag(use, "FRAGMENT SUMS = ")
	skip, err := strconv.ParseInt(tag(use, "SKIPSECTORS = "), 10, 32)
	// Programs take the size from the big-endian half.
	blocks := int64(binary.BigEndian.Uint32(p.Raw[iso9660.OffSpaceSize+4:]))
	if err != nil || len(want) != 32 || skip < 0 || skip >= blocks {
		c.at(Problem, at, "isomd5sum tags: malformed")
		return "isomd5sum", nil
	}
	total := (blocks - skip) * iso9660.BlockSize
	if total > c.in.size {
		c.at(Problem, at, "isomd5sum: it covers %d bytes, the image has %d", total, c.in.size)
		return "isomd5sum", nil
	}
	count, err := strconv.ParseInt(tag(use, "FRAGMENT COUNT = "), 10, 32)
	if err != nil || count < 1 || count > fragmentDigits || sums == "" {
		count, sums = 0, ""
	}
	f := &fragments{h: md5.New(), size: max(1, total/(count+1)), digits: int(fragmentDigits / max(1, count))}
	if err := c.digest(f, total, []blank{tagArea}); err != nil {
		return "", err
	}
	if got := hex.EncodeToString(f.h.Sum(nil)); got != strings.ToLower(want) {
		c.at(Problem, at, "isomd5sum: MD5 is %s, the tag says %s%s", got, want, f.damaged(sums))
	} else if count > 0 && sums != string(f.sums) {
		c.at(Problem, at, "isomd5sum: fragment sums are %s, the tag says %s", f.sums, sums)
	}
	if count > 0 && f.size < minFragment {
		c.at(Notice, at, "isomd5sum: the volume is so small that checkisomd5 fails with any tag")
	}
	return "isomd5sum " + want, nil
}

// fragments computes the sums of isomd5sum: of each fragment the first digits of
// the state so far.
type fragments struct {
	h      hash.Hash
	size   int64
	digits int
	off    int64
	last   int64
	sums   []byte
}

// Write takes the next hashStep bytes.
func (f *fragments) Write(b []byte) (int, error) {
	n, err := f.h.Write(b)
	if cur := f.off / f.size; cur != f.last {
		f.last = cur
		for _, d := range f.h.Sum(nil)[:min(f.digits, md5.Size)] {
			f.sums = append(f.sums, strconv.FormatUint(uint64(d), 16)[0])
		}
	}
	f.off += int64(n)
	return n, err
}

// damaged tells the fragment with the first difference.
func (f *fragments) damaged(sums string) string {
	for k := 0; (k+1)*f.digits <= min(len(sums), len(f.sums)); k++ {
		if i := k * f.digits; string(f.sums[i:i+f.digits]) != sums[i:i+f.digits] {
			return fmt.Sprintf("; the first difference is between bytes %d and %d", int64(k)*f.size, int64(k+1)*f.size+hashStep)
		}
	}
	return ""
}

// checkmediaDigests are the keys of SUSE's tags.
var checkmediaDigests = []struct {
	key string
	new func() hash.Hash
}{
	{"md5sum=", md5.New},
	{"sha1sum=", sha1.New},
	{"sha224sum=", sha256.New224},
	{"sha256sum=", sha256.New},
	{"sha384sum=", sha512.New384},
	{"sha512sum=", sha512.New},
}

// checkmedia checks the tags of SUSE's tagmedia.
func (c *checker) checkmedia() (string, error) {
	use, at := c.img.Primary().AppUse(), tagArea.from
	total := int64(c.img.Primary().SpaceSize()) * iso9660.BlockSize
	if total > c.in.size {
		c.at(Problem, at, "checkmedia: it covers %d bytes, the image has %d", total, c.in.size)
		return "checkmedia", nil
	}
	blanks := []blank{{0, sectorSize, 0}, tagArea}
	if pad, err := strconv.ParseInt(tag(use, "pad="), 10, 32); err == nil && pad > 0 {
		blanks = append(blanks, blank{max(0, total-pad*iso9660.BlockSize), total, 0})
	}
	if sig, err := strconv.ParseInt(tag(use, "signature="), 10, 32); err == nil && sig > 0 {
		blanks = append(blanks, blank{sig*sectorSize + 64, sig*sectorSize + iso9660.BlockSize, 0})
	}
	for _, d := range checkmediaDigests {
		want := tag(use, d.key)
		if want == "" {
			continue
		}
		h := d.new()
		if err := c.digest(h, total, blanks); err != nil {
			return "", err
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != strings.ToLower(want) {
			c.at(Problem, at, "checkmedia: %s%s, the tag says %s", d.key, got, want)
		}
		return "checkmedia " + d.key + want, nil
	}
	c.at(Problem, at, "checkmedia tags: malformed")
	return "checkmedia", nil
}

// digest writes the first total bytes, blanked, in steps of hashStep.
func (c *checker) digest(w interface{ Write([]byte) (int, error) }, total int64, blanks []blank) error {
	buf := make([]byte, hashStep)
	for off := int64(0); off < total; {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		b := buf[:min(hashStep, total-off)]
		if n, err := c.in.ReadAt(b, off); n < len(b) {
			return fmt.Errorf("read %d bytes at %d: %w", len(b), off, err)
		}
		for _, x := range blanks {
			from, to := max(x.from-off, 0), min(x.to-off, int64(len(b)))
			for i := from; i < to; i++ {
				b[i] = x.fill
			}
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		off += int64(len(b))
		if c.options.Progress != nil {
			c.options.Progress(off, total)
		}
	}
	return nil
}
