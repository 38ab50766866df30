package bootedit

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/bootcfg"
	"github.com/isolayer/isolayer/internal/fat"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/menu"
	"github.com/isolayer/isolayer/internal/pe"
	"github.com/isolayer/isolayer/internal/stage"
)

// unifiedDirs are where loaders and firmware find unified kernel images.
var unifiedDirs = []string{"EFI/Linux", "EFI/BOOT"}

// addonName is that of the addon beside a signed image.
const addonName = "isolayer.addon.efi"

// unifiedImage is one of them, in a file system that firmware reads.
type unifiedImage struct {
	in   *stage.BootMenus
	path string
	prog *pe.Binary
	src  extent.Source // its bytes, from off on
	off  int64
}

func (u *unifiedImage) String() string { return u.in.Prefix() + u.path }

// EditUnified changes the kernel arguments of unified kernel images, each as if it were a
// file of nothing else, and returns how many take part: those that hold what was wanted
// already do.
func EditUnified(s *stage.Stage, what string, edit func(*bootcfg.File) (int, error)) (taken int, err error) {
	list, err := volumes(s)
	if err != nil {
		return 0, err
	}
	for _, m := range list {
		images, err := unifiedImages(s, m)
		if err != nil {
			return 0, err
		}
		now := map[string]extent.Source{}
		for _, u := range images {
			n, err := editImage(s, u, now, edit)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", u, err)
			}
			if n >= 0 {
				taken++
				s.Changed(u.String(), what, n)
			}
		}
		if err := putSources(m, now); err != nil {
			return 0, err
		}
	}
	return taken, nil
}

// unifiedImages finds those of one file system.
func unifiedImages(s *stage.Stage, m *stage.BootMenus) (out []*unifiedImage, err error) {
	for _, dir := range unifiedDirs {
		found, isDir, err := m.Lookup(dir)
		if err != nil || !isDir {
			continue
		}
		names, err := m.List(found)
		if err != nil {
			return nil, err
		}
		slices.Sort(names)
		for _, n := range names {
			if !strings.EqualFold(path.Ext(n), ".efi") {
				continue
			}
			u, err := openUnified(s, m, path.Join(found, n))
			if err != nil {
				return nil, err
			}
			if u != nil {
				out = append(out, u)
			}
		}
	}
	return out, nil
}

// openUnified opens a program; nil if it carries no kernel.
func openUnified(s *stage.Stage, m *stage.BootMenus, name string) (*unifiedImage, error) {
	r, size, err := m.At(name)
	if err != nil {
		return nil, nil // a directory, or a file that cannot be read by itself
	}
	p, err := pe.Open(r, size)
	if err != nil || !p.Unified() {
		return nil, nil
	}
	u := &unifiedImage{in: m, path: name, prog: p}
	if u.src, u.off, _, err = m.Content(name); errors.Is(err, iso9660.ErrUnsupported) {
		s.Warn(fmt.Sprintf("%s: %v; its kernel arguments stay as they are", u, err))
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return u, nil
}

// editImage changes the arguments of one image and returns in how many places; -1 where
// it has none that could be changed, which is said.
func editImage(s *stage.Stage, u *unifiedImage, now map[string]extent.Source, edit func(*bootcfg.File) (int, error)) (int, error) {
	texts, err := u.prog.Cmdlines()
	if err != nil {
		return 0, err
	}
	if u.prog.Signed() || len(texts) == 0 {
		return editAddon(s, u, texts, now, edit)
	}
	total := 0
	for i, text := range texts {
		after, n, err := editArguments(text, edit)
		if err != nil {
			return 0, err
		}
		if after != text {
			texts[i], total = after, total+n
		}
	}
	if total == 0 {
		return 0, nil
	}
	m, err := u.prog.WithCmdlines(u.src, u.off, texts)
	if err != nil {
		return 0, err
	}
	if u.prog.Policy() {
		s.Warn(fmt.Sprintf("%s has signed measurements for a TPM (.pcrsig), which do not fit the changed arguments: disks bound to them stay locked", u))
	}
	now[u.path] = extent.Compose(u.String(), m)
	return total, nil
}

// editArguments changes a text that is kernel arguments and nothing else.
func editArguments(text string, edit func(*bootcfg.File) (int, error)) (string, int, error) {
	f, err := bootcfg.Parse(bootcfg.Parm, []byte(text))
	if err != nil {
		return "", 0, err
	}
	n, err := edit(f)
	return string(f.Bytes()), n, err
}

// editAddon puts new arguments into an addon beside an image that must not be changed.
// What an addon cannot do, taking arguments away, is said.
func editAddon(s *stage.Stage, u *unifiedImage, texts []string, now map[string]extent.Source, edit func(*bootcfg.File) (int, error)) (int, error) {
	own := strings.Join(texts, " ")
	name := path.Join(pe.AddonDir(u.path), addonName)
	old, err := addonArguments(s, u.in, name)
	if err != nil {
		return 0, err
	}
	before := strings.Fields(own + " " + old)
	text, n, err := editArguments(strings.Join(before, " "), edit)
	if err != nil {
		return 0, err
	}
	after := strings.Fields(text)
	come, gone := without(after, before), without(before, after)
	why := "is signed"
	if len(texts) == 0 && !u.prog.Signed() {
		why = "has no section for kernel arguments"
	}
	if u.prog.Stub() < pe.AddonStub {
		if len(come)+len(gone) > 0 || n == 0 {
			s.Warn(fmt.Sprintf("%s %s, and its stub takes no addons: its kernel arguments stay as they are", u, why))
		}
		return -1, nil
	}
	if stay := without(gone, strings.Fields(old)); len(stay) > 0 {
		s.Warn(fmt.Sprintf("%s %s: %s stays, in front of what the addon adds", u, why, strings.Join(stay, " ")))
	}
	if len(come) == 0 {
		return 0, nil
	}
	content := slices.Concat(without(strings.Fields(old), gone), come)
	s.Warn(fmt.Sprintf("%s %s: %s holds the new arguments; where firmware checks signatures, sign that file too", u, why, u.in.Prefix()+name))
	now[name] = fat.Bytes(pe.Addon(u.prog.Machine, strings.Join(content, " ")))
	return len(come), nil
}

// NoConfig is ErrNoConfig with what kept unified kernel images from being changed, and the
// loaders that are there.
func NoConfig(s *stage.Stage, e *menu.Edit) error {
	if len(s.Warnings) == 0 {
		return fmt.Errorf("%w%s", ErrNoConfig, e.Unknown())
	}
	return fmt.Errorf("%w that could be changed: %s", ErrNoConfig, strings.Join(s.Warnings, "; "))
}

// addonArguments are those of an addon that an earlier build made.
func addonArguments(s *stage.Stage, m *stage.BootMenus, name string) (string, error) {
	r, size, err := m.At(name)
	if err != nil {
		return "", nil
	}
	p, err := pe.Open(r, size)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	texts, err := p.Cmdlines()
	return strings.Join(texts, " "), err
}

// without are the words of a that are not in b.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(w string) bool { return slices.Contains(b, w) })
}
