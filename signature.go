package isolayer

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

	"github.com/isolayer/isolayer/internal/distro"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/tree"
)

// signatureEndings are those of detached signatures.
var signatureEndings = []string{".asc", ".gpg", ".sig", ".sign", ".pgp", ".p7s", ".cms.sig"}

// signs returns what a signature of the base signs, nil for other files.
func (b *books) signs(n *tree.Node) *tree.Node {
	p := slashless(n.Path())
	if n.Name == "InRelease" {
		return b.base.Exact(path.Join(path.Dir(p), "Release"))
	}
	for _, ext := range slices.Backward(signatureEndings) {
		if name, ok := strings.CutSuffix(p, ext); ok {
			if signed := b.base.Exact(name); signed != nil && signed.IsRegular() {
				return signed
			}
		}
	}
	return nil
}

// broken lists the signatures of the base that do not fit any more what they sign.
func (b *books) broken() (out []layout.Signature) {
	family := distro.Recognise(b.s.base.medium(b.base)).Family
	_ = b.base.Walk(func(n *tree.Node) error {
		if !n.IsRegular() {
			return nil
		}
		signed := b.signs(n)
		if signed == nil {
			return nil
		}
		sig, is := b.tree.Exact(slashless(n.Path())), b.tree.Exact(slashless(signed.Path()))
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
func (b *books) resign() (changed bool, err error) {
	key := b.s.options.Resign
	if key == "" {
		return false, nil
	}
	for _, x := range b.stale() {
		is := b.tree.Exact(slashless(x.Signs))
		sum, err := b.sum(is, crypto.SHA256)
		if err != nil {
			return false, err
		}
		if b.signed[x.Path] == sum {
			continue
		}
		old, err := b.s.reader().Content(b.base.Exact(slashless(x.Path)), 1<<20)
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
		sig, err := sign(b.s.ctx, key, path.Base(x.Path), old, text)
		if err != nil {
			return false, fmt.Errorf("%s: %w", x.Path, err)
		}
		n := b.s.tree.Exact(slashless(x.Path))
		if err := b.s.tree.Do(tree.Put{Path: n.Path(), Attr: n.Attr, Source: fat.Bytes(sig)}); err != nil {
			return false, err
		}
		b.signed[x.Path] = sum
		b.s.changed(x.Path, "signed anew", 1)
		changed = true
	}
	return changed, nil
}

// stale are the signatures to be made: those broken by the edit, and those made here of
// what has changed since.
func (b *books) stale() []layout.Signature {
	out := b.broken()
	for p := range b.signed {
		if n := b.base.Exact(slashless(p)); n != nil {
			out = append(out, layout.Signature{Path: p, Signs: b.signs(n).Path()})
		}
	}
	out = slices.DeleteFunc(out, func(x layout.Signature) bool {
		return b.tree.Exact(slashless(x.Signs)) == nil || strings.HasSuffix(x.Path, ".p7s") || strings.HasSuffix(x.Path, ".cms.sig")
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

// insecure lets SUSE's installer take signatures that do not hold.
func (s *stage) insecure() error {
	if !s.options.Insecure {
		return nil
	}
	r := s.release()
	if r.Family.Checks == nil {
		return fmt.Errorf("%s has no installer that takes insecure=1: %w", r, errors.ErrUnsupported)
	}
	s.warn("the installer checks no signatures and no checksums any more, neither of this medium nor of others (insecure=1)")
	return s.do(Kargs{Args: []string{"insecure=1"}})
}

// insisted reports, as an error, a signature that does not hold any more and without which
// the installer ends. One that is gone only makes it ask, which is worth a warning.
func (b *books) insisted(broken []layout.Signature) error {
	o := b.s.options
	checks := b.s.release().Family.Checks
	if o.Insecure || checks == nil {
		return nil
	}
	for _, x := range broken {
		if checks(slashless(x.Signs)) != nil {
			return fmt.Errorf("%s changed, and %s does not fit it: %w", x.Signs, x.Path, ErrSealed)
		}
	}
	return b.base.Walk(func(n *tree.Node) error {
		if signed := b.signs(n); signed != nil && n.IsRegular() && checks(slashless(signed.Path())) != nil &&
			b.tree.Exact(slashless(n.Path())) == nil && b.tree.Exact(slashless(signed.Path())) != nil {
			b.s.warn(fmt.Sprintf("%s has no signature any more: the installer asks whether to go on", signed.Path()))
		}
		return nil
	})
}

// installKey is the keyring of the initrd by which linuxrc verifies.
const installKey = "/installkey.gpg"

// trust lets SUSE's installer accept the key: linuxrc verifies by the keyring
// /installkey.gpg of the initrd.
func (s *stage) trust() error {
	if s.options.Resign == "" {
		return nil
	}
	if err := hasKey(s.ctx, s.options.Resign); err != nil || s.release().ID != "suse" {
		return err
	}
	public, err := gpg(s.ctx, nil, "--batch", "--export", s.options.Resign)
	if err != nil {
		return err
	}
	if len(public) == 0 {
		return fmt.Errorf("%w: gpg has no key %q", ErrSign, s.options.Resign)
	}
	return s.addToInitrds(func(i *bootInitrd) ([]local, error) {
		var ring bytes.Buffer
		if e, err := i.open.Find(installKey); err == nil {
			if err := i.open.Copy(&ring, e); err != nil {
				return nil, err
			}
		}
		ring.Write(public)
		attr := tree.Attr{Mode: iso9660.ModeRegular | 0o644, ModTime: s.tree.Epoch}
		return []local{{name: installKey, attr: attr, src: fat.Bytes(ring.Bytes())}}, nil
	})
}
