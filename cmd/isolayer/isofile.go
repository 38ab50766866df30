package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/isolayer/isolayer/internal/isofile"
	"github.com/isolayer/isolayer/internal/recipe"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/store"
	"github.com/isolayer/isolayer/internal/workspace/strategy"
	"github.com/isolayer/isolayer/sink"
)

// isofileOptions are the flags of build -f.
type isofileOptions struct {
	file       string
	tag        string
	set        []string
	values     string
	buildArgs  []string
	secrets    []string
	noCache    bool
	verifyBase bool
	store      string
	manifest   string
	print      bool
}

func (o *isofileOptions) addFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.file, "file", "f", "", "make the image that an `Isofile` describes")
	f.StringVarP(&o.tag, "tag", "t", "", "keep the image's layers under `NAME:TAG`")
	f.StringArrayVar(&o.set, "set", nil, "`KEY=VALUE` for templates: {{KEY}}")
	f.StringVar(&o.values, "values", "", "values for templates from a YAML `FILE`; a list makes an image of each, named by {{KEY}} in -o")
	f.StringArrayVar(&o.buildArgs, "build-arg", nil, "`NAME=VALUE` for ARG")
	f.StringArrayVar(&o.secrets, "secret", nil, "a file for RUN --mount=type=secret: `id=ID,src=FILE`")
	f.BoolVar(&o.noCache, "no-cache", false, "carry out every instruction again")
	f.BoolVar(&o.verifyBase, "verify-base", false, "compute the digest of the base again")
	f.StringVar(&o.manifest, "manifest", "", "write to `FILE` what the image was made of, as JSON")
	f.BoolVar(&o.print, "print-isofile", false, "print the Isofile of this command line and stop")
	storeVar(f, &o.store)
}

func storeVar(f *pflag.FlagSet, dir *string) {
	f.StringVar(dir, "store", "", "the `DIR`ectory of layers and images (default $ISOLAYER_STORE or ~/.local/share/isolayer)")
}

// storeThere opens a store that is to be looked at: one that is named must be there.
func storeThere(dir string) (*store.Store, error) {
	if dir != "" && !here(dir) {
		return nil, hinted{fmt.Errorf("there is no store in %s", dir), "isolayer build -f makes one"}
	}
	return openStore(dir)
}

// openStore opens the store that a flag or the environment names.
func openStore(dir string) (*store.Store, error) {
	if dir == "" {
		dir = os.Getenv("ISOLAYER_STORE")
	}
	if dir == "" {
		data := os.Getenv("XDG_DATA_HOME")
		if data == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return nil, hinted{err, "name a directory with --store or ISOLAYER_STORE"}
			}
			data = filepath.Join(home, ".local", "share")
		}
		dir = filepath.Join(data, "isolayer")
		s, err := store.Open(dir)
		if err != nil {
			err = hinted{err, "name a directory with --store or ISOLAYER_STORE"}
		}
		return s, err
	}
	return store.Open(dir)
}

// storeToBuild opens the store for a build, and returns what is to be done behind it. Where
// there is no home to keep layers in, as on many build servers, they are kept until then.
func (a *app) storeToBuild(o buildOptions) (s *store.Store, drop func() error, err error) {
	keep := func() error { return nil }
	s, err = openStore(o.isofileOptions.store)
	if err == nil || o.isofileOptions.store != "" || os.Getenv("ISOLAYER_STORE") != "" || o.tag != "" {
		return s, keep, err
	}
	dir, terr := os.MkdirTemp("", "isolayer-store-")
	if terr != nil {
		return nil, keep, errors.Join(err, terr)
	}
	drop = func() error { return os.RemoveAll(dir) }
	fmt.Fprintf(a.err, "isolayer: layers are kept until the end of this build only: %v; ISOLAYER_STORE names a directory for them\n", err)
	if s, err = store.Open(dir); err != nil {
		return nil, keep, errors.Join(err, drop())
	}
	return s, drop, nil
}

// unusedValues warns of values that go into no template.
func (a *app) unusedValues(r *recipe.Recipe, o buildOptions) {
	if o.values == "" && len(o.set) == 0 || r.Templates() {
		return
	}
	from := "the values of --set"
	if o.values != "" {
		from = "the values of " + name(o.values)
	}
	fmt.Fprintf(a.err, "isolayer: warning: %s change nothing in an image: no instruction of %s has --template\n", from, name(o.file))
}

// pairs reads KEY=VALUE flags.
func pairs(flag string, list []string) (map[string]string, error) {
	out := map[string]string{}
	for _, s := range list {
		k, v, ok := strings.Cut(s, "=")
		if !ok || k == "" {
			return nil, usagef("want "+flag+" KEY=VALUE", "%s %q has no name or no value", flag, s)
		}
		out[k] = v
	}
	return out, nil
}

// fleet reads the values: one set, or several of a list.
func (o *isofileOptions) fleet() (list []map[string]string, several bool, err error) {
	set, err := pairs("--set", o.set)
	if err != nil || o.values == "" {
		return []map[string]string{set}, false, err
	}
	b, err := os.ReadFile(o.values)
	if err != nil {
		return nil, false, err
	}
	list, several, err = recipe.Values(o.values, b)
	for _, values := range list {
		maps.Copy(values, set)
	}
	return list, several, err
}

// buildRecipe makes the images of an Isofile.
func (a *app) buildRecipe(ctx context.Context, o buildOptions, options stage.Options) (err error) {
	r, err := readIsofile(o.file)
	if err != nil {
		return err
	}
	fleet, several, err := o.fleet()
	if err != nil {
		return err
	}
	a.unusedValues(r, o)
	s, drop, err := a.storeToBuild(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop()) }()
	release, err := s.Use()
	if err != nil {
		return err
	}
	defer release()
	k, err := a.builder(s, o, options, several)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.Close()) }()
	outputs := map[string]bool{}
	for _, values := range fleet {
		out, err := recipe.Render("-o", o.output, values)
		if err != nil {
			return err
		}
		if several && outputs[out] {
			return usagef("use a value that differs, such as -o 'out/{{name}}.iso'", "-o names %s twice", out)
		}
		outputs[out] = true
	}
	if several && o.tag != "" && !strings.Contains(o.tag, "{{") {
		return usagef("use a value, such as -t 'site/{{name}}'", "one name for several images")
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for n, values := range fleet {
		if several && n == 0 { // the others find what they share
			if err := a.buildOne(ctx, k, r, values, o, several); err != nil {
				return err
			}
			continue
		}
		g.Go(func() error { return a.buildOne(ctx, k, r, values, o, several) })
	}
	return g.Wait()
}

func readIsofile(path string) (*recipe.Recipe, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return recipe.Parse(path, b)
}

// builder is what makes the images.
func (a *app) builder(s *store.Store, o buildOptions, options stage.Options, quiet bool) (*isofile.Builder, error) {
	args, err := pairs("--build-arg", o.buildArgs)
	if err != nil {
		return nil, err
	}
	secrets := map[string]string{}
	for _, spec := range o.secrets {
		id, src := "", ""
		for part := range strings.SplitSeq(spec, ",") {
			switch k, v, _ := strings.Cut(part, "="); k {
			case "id":
				id = v
			case "src", "source":
				src = v
			}
		}
		if id == "" || src == "" {
			return nil, usagef("want --secret id=ID,src=FILE", "--secret %q names no id or no file", spec)
		}
		if secrets[id], err = filepath.Abs(src); err != nil {
			return nil, err
		}
	}
	context, err := filepath.Abs(filepath.Dir(o.file))
	if err != nil {
		return nil, err
	}
	options.MediaCheck = ""
	if !quiet {
		options.Working = a.working(o.progress, "   ")
	}
	if o.mediaCheck != "auto" {
		options.MediaCheck = stage.MediaCheck(o.mediaCheck)
	}
	k := &isofile.Builder{
		Store: s, Context: context, Args: args, Secrets: secrets, NoCache: o.noCache, VerifyBase: o.verifyBase,
		Limits: a.limits, Options: options, Fetch: fetch, Run: strategy.Runner(a.workspace("", 0), a.say),
	}
	var mu sync.Mutex
	said := map[string]bool{}
	k.Say = func(b isofile.Progress) {
		mu.Lock()
		defer mu.Unlock()
		b.Warnings = slices.DeleteFunc(slices.Clone(b.Warnings), func(w string) bool {
			was := said[w]
			said[w] = true
			return was && quiet // one for all images
		})
		a.sayStep(b, quiet)
	}
	return k, nil
}

// sayStep reports a step as builds of containers do.
// Where several images are made, only warnings stand.
func (a *app) sayStep(b isofile.Progress, quiet bool) {
	if !quiet {
		cached := ""
		if b.Cached {
			cached = "CACHED "
		}
		if !b.Begun {
			fmt.Fprintf(a.err, "=> %s[%d/%d] %s\n", cached, b.Step, b.Of, name(b.Text))
		} else if b.Took >= 100*time.Millisecond {
			fmt.Fprintf(a.err, "   done in %.1fs\n", b.Took.Seconds())
		}
		for _, n := range b.Notes {
			fmt.Fprintf(a.err, "   %s\n", plain(n))
		}
	}
	for _, w := range b.Warnings {
		fmt.Fprintf(a.err, "isolayer: warning: %s\n", plain(w))
	}
}

// buildOne makes one image.
func (a *app) buildOne(ctx context.Context, k *isofile.Builder, r *recipe.Recipe, values map[string]string, o buildOptions, several bool) (err error) {
	start := time.Now()
	if o.output, err = recipe.Render("-o", o.output, values); err != nil {
		return err
	}
	if o.tag, err = recipe.Render("-t", o.tag, values); err != nil {
		return err
	}
	if err := mayWrite(o); err != nil {
		return err
	}
	b, err := k.Build(ctx, r, values)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if o.tag != "" {
		if _, err := k.Store.Tag(ctx, o.tag, b.Config, b.Layers); err != nil {
			return err
		}
	}
	if o.dryRun {
		return a.dryRun(b.Image, o)
	}
	if o.output == "" { // only the layers were wanted
		fmt.Fprintf(a.err, "%s: %d layers\n", name(o.tag), len(b.Layers))
		return nil
	}
	var res sink.Result
	if several {
		if err := os.MkdirAll(filepath.Dir(o.output), 0o755); err != nil {
			return err
		}
		o.progress = progressNone
	}
	if res, err = a.write(ctx, b.Image, o); err != nil {
		return err
	}
	if o.manifest != "" {
		if err := writeManifest(ctx, b, o); err != nil {
			return err
		}
	}
	return a.built(b.Image, res, o, start)
}

// fetch gets a file by HTTP.
func fetch(ctx context.Context, url string, w io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the server answers %s", resp.Status)
	}
	n, err := io.Copy(w, resp.Body)
	if err == nil && resp.ContentLength >= 0 && n != resp.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	return err
}
