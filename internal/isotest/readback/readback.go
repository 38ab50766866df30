// Package readback reads images as this program does, for tests that compare with what
// others read.
//
// Package isotest, which runs those others, knows nothing of ours.
package readback

import (
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/tree"
	"github.com/isolayer/isolayer/internal/verify"
)

// open opens an image until the test ends.
func open(t testing.TB, image string) *extent.File {
	t.Helper()
	files := extent.NewFiles()
	t.Cleanup(func() {
		if err := files.Close(); err != nil {
			t.Error(err)
		}
	})
	f, err := files.Add(image)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// letters name the types of files.
var letters = map[uint32]byte{iso9660.ModeDir: 'd', iso9660.ModeSymlink: 'l', iso9660.ModeChar: 'c', iso9660.ModeBlock: 'b', iso9660.ModeFIFO: 'p', iso9660.ModeRegular: 'f'}

// Manifest lists what is in an image.
func Manifest(t testing.TB, image string) isotest.Manifest {
	t.Helper()
	src := open(t, image)
	img, err := iso9660.Open(src, src.Size(), iso9660.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tr, err := tree.FromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	m := isotest.Manifest{}
	if err := tr.Walk(func(n *tree.Node) error {
		if n.Parent == nil {
			return nil
		}
		x := isotest.Entry{Type: letters[n.Mode&iso9660.ModeType], Perm: n.Mode & 0o7777, UID: int(n.UID), GID: int(n.GID), MTime: n.ModTime.Unix(), Link: n.Link}
		if n.IsRegular() {
			if x.Size, x.SHA256, err = content(img, n); err != nil {
				return err
			}
		}
		m[strings.TrimPrefix(n.Path(), "/")] = x
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return m
}

// content is the size of a file in bytes and its SHA-256.
func content(img *iso9660.Image, n *tree.Node) (size int64, sum string, err error) {
	for _, e := range n.Found {
		if e == nil {
			continue
		}
		r, size, err := img.Open(e)
		if err != nil {
			return 0, "", err
		}
		h := sha256.New()
		_, err = io.Copy(h, io.NewSectionReader(r, 0, size))
		return size, fmt.Sprintf("%x", h.Sum(nil)), err
	}
	return 0, "", fmt.Errorf("%s is in no hierarchy", n.Path())
}

// Verified fails the test if verify finds a problem.
func Verified(t testing.TB, image string) {
	t.Helper()
	src := open(t, image)
	r, err := verify.Image(t.Context(), src, src.Size(), verify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range r.Groups {
		for _, f := range g.Findings {
			if f.Severity == verify.Problem {
				t.Errorf("%s: %s", g.Check, f)
			}
		}
	}
}
