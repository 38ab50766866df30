package isofile

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/distro"
	"github.com/isolayer/isolayer/internal/localtree"
	"github.com/isolayer/isolayer/internal/recipe"
)

// special are the instructions of installers: an answer file, or files for the initrd.
func (c *run) special(ctx context.Context, i *recipe.Instruction, words []string) ([]edit.Step, []string, error) {
	if i.Name == "INITRD" {
		return c.initrd(ctx, i, words)
	}
	kind := distro.Kind(strings.ToLower(i.Name))
	if err := number(i, words, 1, "FILE"); err != nil {
		return nil, nil, err
	}
	p, err := c.source(words[0])
	if err != nil {
		return nil, nil, err
	}
	if _, ok := i.Flag("template"); ok {
		text, err := renderFile(p, c.Context, c.values)
		return []edit.Step{edit.AnswerFile{Kind: kind, Source: p, Content: []byte(text)}}, []string{fmt.Sprintf("%x", sha256.Sum256([]byte(text)))}, err
	}
	d, err := c.fileSum(ctx, p)
	return []edit.Step{edit.AnswerFile{Kind: kind, Source: p}}, []string{string(d)}, err
}

// initrd reads INITRD SRC [DST].
func (c *run) initrd(ctx context.Context, i *recipe.Instruction, words []string) ([]edit.Step, []string, error) {
	if len(words) == 0 || len(words) > 2 {
		return nil, nil, fmt.Errorf("%w: want INITRD SRC [DST]", recipe.ErrSyntax)
	}
	if _, ok := i.Flag("template"); ok {
		return nil, nil, fmt.Errorf("%w: INITRD takes files as they are", errors.ErrUnsupported)
	}
	p, err := c.source(words[0])
	if err != nil {
		return nil, nil, err
	}
	a := edit.Add{Source: p}
	if len(words) == 2 {
		a.Dest = words[1]
	}
	info, err := os.Stat(p)
	if err != nil {
		return nil, nil, baseimage.Bare(err)
	}
	var inputs []string
	err = localtree.Walk(p, info, nil, func(e localtree.Entry) error {
		sum := e.Link
		if e.Info.Mode().IsRegular() {
			digest, err := c.fileSum(ctx, e.Path)
			if err != nil {
				return err
			}
			sum = string(digest)
		}
		inputs = append(inputs, fmt.Sprintf("%s %s %t %s", e.Rel, e.Info.Mode().Type(), e.Info.Mode()&0o111 != 0, sum))
		return nil
	})
	return []edit.Step{edit.InitrdAdd{Adds: []edit.Add{a}}}, inputs, err
}
