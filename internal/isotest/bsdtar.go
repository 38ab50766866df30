package isotest

import (
	"archive/tar"
	"errors"
	"io"
	"os/exec"
	"path"
	"strings"
	"testing"
)

// Bsdtar is the tree that libarchive reads from the image. It prefers Rock
// Ridge over Joliet, reads no UDF, and loses the slash of a symbolic link at
// the end of an SL entry. It leaves out a directory whose extent was read
// before. What it complains about goes to the test's log; a test that cares
// has [BsdtarErrors].
//
// Three times in 20,000 images it listed nothing, without a word, and everything when it was
// asked again about the same bytes; so it is asked again.
func Bsdtar(tb testing.TB, image string) Manifest {
	tb.Helper()
	m := bsdtar(tb, image)
	if len(m) == 0 {
		m = bsdtar(tb, image)
		tb.Logf("bsdtar %s: nothing, then %d names; the SHA-256 is %s", image, len(m), SHA256File(tb, image))
	}
	return m
}

func bsdtar(tb testing.TB, image string) Manifest {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), Tool(tb, "bsdtar"), "-cf", "-", "--format=pax", "@"+image)
	cmd.Env = environ()
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	m, readErr := readTar(out)
	_, drainErr := io.Copy(io.Discard, out) // the padding behind the archive
	waitErr := cmd.Wait()                   // also after a complaint
	if err := errors.Join(readErr, drainErr); err != nil || waitErr != nil && len(m) == 0 {
		tb.Fatalf("bsdtar %s: %v %v\n%s", image, err, waitErr, complaints.String())
	}
	if complaints.Len() > 0 {
		tb.Logf("bsdtar %s: %s", image, complaints.String())
	}
	return m
}

// BsdtarErrors is what libarchive complains about when it reads the whole
// image, empty if nothing.
func BsdtarErrors(tb testing.TB, image string) string {
	tb.Helper()
	_, stderr, err := run(tb, "bsdtar", "-cf", "-", "--format=pax", "@"+image)
	if err != nil && len(stderr) == 0 {
		return err.Error()
	}
	return strings.TrimSpace(string(stderr))
}

var tarTypes = map[byte]byte{
	tar.TypeReg: 'f', tar.TypeDir: 'd', tar.TypeSymlink: 'l', tar.TypeChar: 'c', tar.TypeBlock: 'b', tar.TypeFifo: 'p',
}

// readTar reads one archive and no byte behind it. A hard link becomes a file
// with the content it links to.
func readTar(r io.Reader) (Manifest, error) {
	m := Manifest{}
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return m, err
		}
		e := Entry{
			Type: tarTypes[h.Typeflag], Perm: uint32(h.Mode & 0o7777),
			UID: h.Uid, GID: h.Gid, MTime: h.ModTime.Unix(),
		}
		switch h.Typeflag {
		case tar.TypeReg:
			if e.SHA256, e.Size, err = digest(t); err != nil {
				return m, err
			}
		case tar.TypeLink:
			first := m[tarPath(h.Linkname)]
			e.Type, e.Size, e.SHA256 = first.Type, first.Size, first.SHA256
		case tar.TypeSymlink:
			e.Link = h.Linkname
		}
		if name := tarPath(h.Name); name != "" {
			m[name] = e
		}
	}
}

// tarPath is the name without "./" in front and "/" behind, empty for the root.
func tarPath(name string) string {
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}
