package refresh

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/apply"
	"github.com/isolayer/isolayer/internal/distro"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/initrd"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/tree"
)

// signs returns what a signature of the base signs, nil for other files.
func signs(b *checks, n *tree.Node) *tree.Node {
	p := stage.Slashless(n.Path())
	if n.Name == "InRelease" {
		return b.base.Exact(path.Join(path.Dir(p), "Release"))
	}
	for _, ext := range slices.Backward(stage.SignatureEndings) {
		if name, ok := strings.CutSuffix(p, ext); ok {
			if signed := b.base.Exact(name); signed != nil && signed.IsRegular() {
				return signed
			}
		}
	}
	return nil
}

// broken lists the signatures of the base that do not fit any more what they sign.
func (b *checks) broken() (out []layout.Signature) {
	family := distro.Recognise(stage.Medium(b.s.Base, b.base)).Family
	_ = b.base.Walk(func(n *tree.Node) error {
		if !n.IsRegular() {
			return nil
		}
		signed := signs(b, n)
		if signed == nil {
			return nil
		}
		sig, is := b.tree.Exact(stage.Slashless(n.Path())), b.tree.Exact(stage.Slashless(signed.Path()))
		if sig == nil || !b.same(n, sig) || is != nil && b.same(signed, is) {
			return nil
		}
		s := layout.Signature{Path: n.Path(), Signs: signed.Path()}
		if family.Signatures != nil {
			s.Meaning = family.Signatures(signed.Path())
		}
		if s.Meaning == "" {
			s.Meaning = "who checks it refuses the file; nothing on the medium is known to"
			if strings.Contains(path.Base(signed.Path()), ".cfg") || strings.HasSuffix(n.Name, ".sig") {
				s.Meaning = "a boot loader that checks signatures (GRUB with check_signatures=enforce) refuses the file"
			}
		}
		out = append(out, s)
		return nil
	})
	return out
}

// ErrSign reports a signature that could not be made.
var ErrSign = errors.New("sign")

// resign makes signatures anew that do not fit any more, by the key of Options.Resign,
// and reports whether it made any.
func (b *checks) resign() (changed bool, err error) {
	key := b.s.Options.Resign
	if key == "" {
		return false, nil
	}
	for _, x := range b.stale() {
		is := b.tree.Exact(stage.Slashless(x.Signs))
		sum, err := b.sum(is, crypto.SHA256)
		if err != nil {
			return false, err
		}
		if b.signed[x.Path] == sum {
			continue
		}
		old, err := b.s.Reader().Content(b.base.Exact(stage.Slashless(x.Path)), 1<<20)
		if err != nil {
			return false, err
		}
		r, size, err := b.content(is)
		if err != nil {
			return false, err
		}
		text := make([]byte, size)
		if got, err := r.ReadAt(text, 0); int64(got) < size {
			return false, err
		}
		sig, err := sign(b.s.Ctx, key, path.Base(x.Path), old, text)
		if err != nil {
			return false, fmt.Errorf("%s: %w", x.Path, err)
		}
		n := b.s.Tree.Exact(stage.Slashless(x.Path))
		if err := b.s.Tree.Do(tree.Put{Path: n.Path(), Attr: n.Attr, Source: fat.Bytes(sig)}); err != nil {
			return false, err
		}
		b.signed[x.Path] = sum
		b.s.Changed(x.Path, "signed anew", 1)
		changed = true
	}
	return changed, nil
}

// stale are the signatures to be made: those broken by the edit, and those made here of
// what has changed since.
func (b *checks) stale() []layout.Signature {
	out := b.broken()
	for p := range b.signed {
		if n := b.base.Exact(stage.Slashless(p)); n != nil {
			out = append(out, layout.Signature{Path: p, Signs: signs(b, n).Path()})
		}
	}
	out = slices.DeleteFunc(out, func(x layout.Signature) bool {
		return b.tree.Exact(stage.Slashless(x.Signs)) == nil || strings.HasSuffix(x.Path, ".p7s") || strings.HasSuffix(x.Path, ".cms.sig")
	})
	slices.SortFunc(out, func(a, b layout.Signature) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// sign runs gpg: a detached signature, with armor if the old one has it, or for
// InRelease a signed text.
func sign(ctx context.Context, key, name string, old, text []byte) ([]byte, error) {
	args := []string{"--batch", "--yes", "--local-user", key, "--digest-algo", "SHA256"}
	switch {
	case name == "InRelease":
		args = append(args, "--clearsign")
	case bytes.HasPrefix(old, []byte("-----BEGIN")):
		args = append(args, "--armor", "--detach-sign")
	default:
		args = append(args, "--detach-sign")
	}
	return gpg(ctx, text, args...)
}

// gpg runs GnuPG with the user's keyring.
func gpg(ctx context.Context, in []byte, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "gpg", args...)
	cmd.Stdin = bytes.NewReader(in)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w: gpg: %w: %s", ErrSign, err, bytes.TrimSpace(complaint.Bytes()))
	}
	return out.Bytes(), nil
}

// hasKey reports a key that nothing can be signed by.
func hasKey(ctx context.Context, key string) error {
	_, err := gpg(ctx, nil, "--batch", "--list-secret-keys", "--", key)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%w: gpg has no secret key %q", ErrSign, key)
	}
	return err
}

// Insecure lets SUSE's installer take signatures that do not hold.
func Insecure(s *stage.Stage) error {
	if !s.Options.Insecure {
		return nil
	}
	r := s.Release()
	if r.Family.Checks == nil {
		return fmt.Errorf("%s has no installer that takes insecure=1: %w", r, errors.ErrUnsupported)
	}
	s.Warn("the installer checks no signatures and no checksums any more, neither of this medium nor of others (insecure=1)")
	return apply.Do(s, edit.Kargs{Args: []string{"insecure=1"}})
}

// insisted reports, as an error, a signature that does not hold any more and without which
// the installer ends. One that is gone only makes it ask, which is worth a warning.
func (b *checks) insisted(broken []layout.Signature) error {
	o := b.s.Options
	checks := b.s.Release().Family.Checks
	if o.Insecure || checks == nil {
		return nil
	}
	for _, x := range broken {
		if checks(stage.Slashless(x.Signs)) != nil {
			return fmt.Errorf("%s changed, and %s does not fit it: %w", x.Signs, x.Path, ErrSealed)
		}
	}
	return b.base.Walk(func(n *tree.Node) error {
		if signed := signs(b, n); signed != nil && n.IsRegular() && checks(stage.Slashless(signed.Path())) != nil &&
			b.tree.Exact(stage.Slashless(n.Path())) == nil && b.tree.Exact(stage.Slashless(signed.Path())) != nil {
			b.s.Warn(fmt.Sprintf("%s has no signature any more: the installer asks whether to go on", signed.Path()))
		}
		return nil
	})
}

// Trust lets SUSE's installer accept the key: linuxrc verifies by the keyring
// /installkey.gpg of the initrd.
func Trust(s *stage.Stage) error {
	if s.Options.Resign == "" {
		return nil
	}
	if err := hasKey(s.Ctx, s.Options.Resign); err != nil || s.Release().ID != "suse" {
		return err
	}
	public, err := gpg(s.Ctx, nil, "--batch", "--export", s.Options.Resign)
	if err != nil {
		return err
	}
	if len(public) == 0 {
		return fmt.Errorf("%w: gpg has no key %q", ErrSign, s.Options.Resign)
	}
	return initrd.AddToInitrds(s, func(i *initrd.BootInitrd) ([]stage.Local, error) {
		var ring bytes.Buffer
		if e, err := i.Open.Find(stage.InstallKey); err == nil {
			if err := i.Open.Copy(&ring, e); err != nil {
				return nil, err
			}
		}
		ring.Write(public)
		attr := tree.Attr{Mode: iso9660.ModeRegular | 0o644, ModTime: s.Tree.Epoch}
		return []stage.Local{{Name: stage.InstallKey, Attr: attr, Src: fat.Bytes(ring.Bytes())}}, nil
	})
}
