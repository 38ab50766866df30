package verify

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/internal/bootcfg"
)

// labelled are files in which FreeBSD's loader and kernel read which medium to mount.
var labelled = []string{"boot/loader.conf", "boot/loader.conf.local", "etc/fstab"}

// device is a medium by its label, as FreeBSD names it.
var device = regexp.MustCompile(`/dev/iso9660/([^\s"':,;]+)`)

// devices looks up the labels in the names of devices.
func (s *scanner) devices() error {
	have := slices.Clone(s.labels)
	for _, l := range s.labels {
		have = append(have, strings.ReplaceAll(l, " ", "%20"), strings.ReplaceAll(l, " ", "_"))
	}
	for _, name := range labelled {
		text, err := s.files.Read(name, bootcfg.MaxSize)
		if err := s.readable(err); err != nil {
			return err
		}
		n := 0
		for line := range bytes.Lines(text) {
			n++
			m := device.FindSubmatch(line)
			if m == nil || bytes.HasPrefix(bytes.TrimSpace(line), []byte("#")) || bytes.ContainsAny(m[1], "$%{}@") && !bytes.Contains(m[1], []byte("%20")) {
				continue
			}
			s.names++
			if !slices.Contains(have, string(m[1])) {
				s.tell(Problem, "/"+name, n, "looks for the label %q, the image has %q", m[1], s.labels)
			}
		}
	}
	return nil
}
