package isofile_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isolayer/isolayer/internal/isofile"
	"github.com/isolayer/isolayer/internal/recipe"
)

// TestOrigins: files are of the layer that put them there, also where they were renamed
// since; what is gone has no origin.
func TestOrigins(t *testing.T) {
	k := newKit(t, files)
	r, err := recipe.Parse("Isofile", []byte("FROM scratch\nLABEL who=me\nCOPY ks.cfg /a/f\nRENAME /a /b\nCOPY dir /d\nREMOVE /d/one\nCOPY run.sh /d/keep.log\n"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := k.Build(t.Context(), r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Close()
	m, err := res.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	at := func(layer int, path, text string) isofile.Origin {
		return isofile.Origin{Path: path, SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(text))), Layer: res.Layers[layer].Digest}
	}
	if d := cmp.Diff([]isofile.Origin{at(0, "/b/f", "text\n"), at(4, "/d/keep.log", "#!/bin/sh\n"), at(2, "/d/sub/two", "22")}, m.Files); d != "" {
		t.Error(d)
	}
	var text []string
	for _, s := range m.Steps {
		text = append(text, s.Instruction)
	}
	if want := []string{"COPY ks.cfg /a/f", "RENAME /a /b", "COPY dir /d", "REMOVE /d/one", "COPY run.sh /d/keep.log"}; !slices.Equal(text, want) || m.Labels["who"] != "me" || m.Base != "scratch" || m.Digest == "" {
		t.Errorf("manifest: %+v", m)
	}
}
