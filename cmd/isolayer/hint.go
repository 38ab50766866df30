package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/dustin/go-humanize"

	"github.com/isolayer/isolayer/extent"
	"github.com/isolayer/isolayer/internal/atomicfile"
	"github.com/isolayer/isolayer/internal/baseimage"
	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/bootcfg"
	"github.com/isolayer/isolayer/internal/bootedit"
	"github.com/isolayer/isolayer/internal/build"
	"github.com/isolayer/isolayer/internal/coreos"
	"github.com/isolayer/isolayer/internal/cpio"
	"github.com/isolayer/isolayer/internal/distro"
	"github.com/isolayer/isolayer/internal/fault"
	"github.com/isolayer/isolayer/internal/initrd"
	"github.com/isolayer/isolayer/internal/inplace"
	"github.com/isolayer/isolayer/internal/iso9660"
	"github.com/isolayer/isolayer/internal/isofile"
	"github.com/isolayer/isolayer/internal/layer"
	"github.com/isolayer/isolayer/internal/layout"
	"github.com/isolayer/isolayer/internal/master/scan"
	"github.com/isolayer/isolayer/internal/mediacheck"
	"github.com/isolayer/isolayer/internal/pkgrepo"
	"github.com/isolayer/isolayer/internal/recipe"
	"github.com/isolayer/isolayer/internal/refresh"
	"github.com/isolayer/isolayer/internal/spelling"
	"github.com/isolayer/isolayer/internal/stage"
	"github.com/isolayer/isolayer/internal/store"
	"github.com/isolayer/isolayer/internal/tree"
	"github.com/isolayer/isolayer/internal/workspace"
	"github.com/isolayer/isolayer/internal/workspace/strategy"
	"github.com/isolayer/isolayer/sink"
)

// hinted is an error that knows what the user can do.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// hints map causes to advice; the first that matches counts.
var hints = []struct {
	cause error
	hint  string
}{
	{workspace.ErrUpper, "name a directory on another file system, such as ext4, xfs or btrfs: --workspace-dir DIR, or another UPPER"},
	{workspace.ErrInside, "name a directory elsewhere: --workspace-dir DIR"},
	{workspace.ErrNotThere, "bind only lays over what is there: use --strategy overlay, or none"},
	{workspace.ErrNoNamespace, "run it as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns); --strategy copy needs neither"},
	{workspace.ErrLower, "copy it to another file system, or name directories without it; --strategy copy needs no overlay"},
	{workspace.ErrRoot, "run it as root; isolayer edit BASE, and shield DIR -- COMMAND, need no root"},
	{workspace.ErrTaken, "isolayer umount DIR takes a mount of its own away, umount(8) others; or choose another directory"},
	{workspace.ErrNotOurs, "isolayer doctor lists the mounts that stand"},
	{workspace.ErrMeanwhile, "nothing was committed: look at the file, then run the command again"},
	{workspace.ErrSpecial, "remove it: images get regular files, directories and symbolic links"},
	{scan.ErrNotUTF8, "rename it, for example with convmv, or leave -J out"},
	{stage.ErrNoEdit, "leave that edit out, or --strategy"},
	{strategy.ErrBind, "use --strategy overlay, or none"},
	{strategy.ErrMastering, "use --mastering xorriso, or native"},
	{sink.ErrSameFile, "name another file with -o; the base is never written to"},
	{extent.ErrChanged, "let whoever writes to it finish, then run the command again"},
	{layout.ErrUnsupported, "isolayer info shows what the image has; its content can be read with ls, cat and extract"},
	{layout.ErrBootImage, "replace it with --add FILE:PATH, or give up booting from it: --no-boot bios|uefi|all"},
	{boot.ErrNoImage, "name one with -b, or leave the MBR out"},
	{boot.ErrNoRoom, "isolinux's isohdpfx.bin and GRUB's boot_hybrid.img have room for every table; only Macs of before 2012 need -isohybrid-apm-hfsplus"},
	{boot.ErrMedia, "leave the medium to the image's size: floppy disks have 1200, 1440 or 2880 KiB, others want -no-emul-boot or -hard-disk-boot"},
	{isofile.ErrBaseDigest, "pin the digest of the base that you mean: FROM base.iso@sha256:…"},
	{isofile.ErrOutside, "copy it into the folder of the Isofile; images are made of what is there"},
	{isofile.ErrSecret, "give it with --secret id=ID,src=FILE"},
	{isofile.ErrCommand, "nothing of it is kept; its own messages stand above"},
	{recipe.ErrSyntax, "instructions are those of Dockerfiles: FROM, COPY, RUN … and REMOVE, RENAME, VOLID, KARG, KICKSTART …"},
	{recipe.ErrValues, "want KEY: VALUE lines, or a list of such; a value is a text or a number"},
	{store.ErrBusy, "wait until the build has ended"},
	{store.ErrDamaged, "remove the store, or name another with --store; it holds nothing that cannot be made again"},
	{baseimage.ErrNoObject, "isolayer info lists the boot equipment; @bios, @efi, @partN and @system-area name parts of it"},
	{inplace.ErrBusy, "wait until it has ended"},
	{inplace.ErrUnsafe, "make a new image with -o"},
	{inplace.ErrForeign, "a killed run left it for an image that was replaced since; delete it if you do not need that image back"},
	{inplace.ErrNoUndo, "only the last edit made with --in-place can be taken back, unless with --no-undo"},
	{inplace.ErrSince, "the last edit in place cannot be taken back any more"},
	{build.ErrNoMediaCheck, "isolayer md5 implant puts one in"},
	{build.ErrFieldUsed, "only isolayer md5 implant --force overwrites it"},
	{mediacheck.ErrShort, "such small images have no media check"},
	{baseimage.ErrNotFAT, "isolayer info shows what the boot images are"},
	{stage.ErrReserved, "leave the file as it is, or remove what names it with --rm too"},
	{pkgrepo.ErrProgram, "install it, or leave --refresh-repo out and write the metadata yourself"},
	{pkgrepo.ErrComponent, "add it below pool/COMPONENT/ of a component that has an index for its architecture"},
	{refresh.ErrSealed, "--resign KEY signs anew and puts the key into the initrd; --suse-insecure lets the installer go on without signatures"},
	{refresh.ErrSign, "gpg --list-secret-keys shows the keys there are"},
	{exec.ErrNotFound, "install it"},
	{initrd.ErrNoInitrd, "isolayer verify shows which boot files it finds"},
	{coreos.ErrAreaFull, "let the config fetch the rest (ignition.config.merge)"},
	{cpio.ErrCompression, "name a second initrd in the boot entries instead"},
	{cpio.ErrBehind, "choose another name"},
	{bootedit.ErrNoConfig, "isolayer verify shows which boot files it finds"},
	{bootcfg.ErrRoom, "take other arguments away first (--karg -N), or use coreos-installer"},
	{bootcfg.ErrQuote, "leave the quotes out: isolayer quotes for each file as it needs"},
	{bootcfg.ErrNoEntry, "name an entry by its label, id, title, or number from 0"},
	{stage.ErrSpecial, "leave it out: images get regular files, directories and symbolic links"},
	{tree.ErrIsDir, "remove the directory first (--rm), or add into it: DST with a slash at the end"},
	{tree.ErrNotDir, "remove what is in the way first (--rm)"},
	{tree.ErrLinkPath, "name the path that the link leads to"},
	{tree.ErrNoAttr, "only images with Rock Ridge hold links, modes and owners"},
	{layer.ErrBase, "apply it to the image that it was made from, or make it with --plain"},
	{layer.ErrUnsupported, "isolayer layer create makes layers that fit; --plain ones have no renames and patches"},
	{layer.ErrLimit, "unpack it, if you trust where it comes from, and use the plain tar"},
	{layer.ErrFormat, "a layer is a tar archive, plain or compressed with gzip or zstd; fetch or make it again"},
	{fault.TooLong, "shorten it"},
	{iso9660.ErrTruncated, "the image is not complete: compare its size and checksum with the source and fetch it again"},
	{iso9660.ErrLoop, "the directory tree is damaged; fetch the image again"},
	{iso9660.ErrFormat, "the image is damaged; compare its checksum with the source"},
	{iso9660.ErrRange, "the image is damaged or cut short; compare its checksum with the source"},
	{syscall.EBUSY, "somebody is using it: leave the directory, end what runs there (fuser -vm DIR shows it), then run the command again"},
	{syscall.ENOTDIR, "name a directory"},
	{syscall.EISDIR, "name a file"},
	{syscall.EROFS, "choose a place that can be written to"},
	{fs.ErrPermission, "check the permissions of the file and its directory"},
	{fs.ErrExist, "remove it first (--rm), or choose another name"},
}

// hintFor returns advice for an error, "" if there is none.
func hintFor(err error) string {
	var h hinted
	var u usageError
	var space *sink.SpaceError
	switch {
	case workspace.NoView(err):
		return "load the module (modprobe fuse) and let this user open /dev/fuse; --strategy copy needs neither"
	case errors.As(err, &h):
		return h.hint
	case errors.As(err, &u):
		return u.hint
	case errors.Is(err, fault.Limit) || errors.Is(err, fault.Bomb):
		return limitHint(err)
	case errors.As(err, &space):
		return fmt.Sprintf("%s are needed, %s are free there: make room or choose another place", humanize.IBytes(uint64(space.Needed)), humanize.IBytes(uint64(space.Free)))
	}
	for _, h := range hints {
		if errors.Is(err, h.cause) {
			return h.hint
		}
	}
	var kind *distro.KindError
	if errors.As(err, &kind) {
		return answerHint(kind)
	}
	return missingHint(err)
}

// answerHint is advice for an answer file that the installer does not read.
func answerHint(e *distro.KindError) string {
	switch {
	case e.Release.Family == distro.Generic:
		return "put the file in with --add and name it with --karg"
	case len(e.Takes) == 0:
		return "isolayer info says what the image is"
	}
	var out []string
	for _, k := range e.Takes {
		out = append(out, "--"+string(k)+" FILE")
	}
	return "use " + strings.Join(out, ", or ")
}

// limitHint is advice for what is too much: only what reading an image may cost can be
// raised, and such an error names the limit.
func limitHint(err error) string {
	var over *fault.Exceeded
	var inImage *fault.Error
	switch {
	case errors.As(err, &over):
		return "if you trust the image, raise the limit: --limits " + over.Limit + "=NUMBER"
	case errors.As(err, &inImage):
		return "if you trust the image, raise the limit; --limits lists them"
	}
	return ""
}

// missingHint is advice for something that is not there: in the image, or here.
func missingHint(err error) string {
	var inside *spelling.Missing
	var dir *atomicfile.DirError
	var image *baseimage.ImageError
	var local *fs.PathError
	switch {
	case errors.As(err, &inside):
		return insideHint(inside)
	case errors.Is(err, stage.ErrNoMatch):
		return pathsHint
	case !errors.Is(err, fs.ErrNotExist):
		return ""
	case errors.As(err, &dir):
		return "make it first, or choose another place"
	case errors.As(err, &local):
		return localHint(local.Path)
	case errors.As(err, &image):
		return localHint(image.Path)
	}
	return "check the path"
}

const pathsHint = "isolayer ls -R shows the paths in the image; quote patterns so that the shell does not expand them"

// insideHint is advice for a path that an image does not have.
func insideHint(m *spelling.Missing) string {
	switch near := m.Meant(); {
	case near == "":
		return pathsHint
	case strings.EqualFold(strings.Trim(near, "/"), strings.Trim(m.Path, "/")):
		return "did you mean " + near + "? Names of Rock Ridge mind case"
	default:
		return "did you mean " + near + "?"
	}
}

// maxNames bounds how many names of a directory are looked through for a hint.
const maxNames = 4096

// localHint is advice for a file that is not there: the directory that is missing, or a
// name that is near.
func localHint(p string) string {
	if p == "-" {
		return "write it to a file first: images are read from many places at once"
	}
	if strings.Contains(p, "://") {
		return "download it first: isolayer reads files"
	}
	check := "check the path"
	if wd, err := os.Getwd(); err == nil && !filepath.IsAbs(p) {
		check += ", which counts from " + wd
	}
	dir := filepath.Dir(p)
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "directory " + dir + " does not exist"
	} else if err != nil {
		return check
	}
	defer f.Close()
	names, _ := f.Readdirnames(maxNames) // as many as there are
	slices.Sort(names)
	if near := spelling.Nearest(filepath.Base(p), names); near != "" {
		return "did you mean " + filepath.Join(dir, near) + "?"
	}
	return check
}

// magics tell common files that are taken for ISO images.
var magics = []struct {
	off   int64
	magic string
	what  string
	hint  string
}{
	{0, "\x1f\x8b", "gzip data", "unpack it first: gunzip"},
	{0, "\xfd7zXZ\x00", "xz data", "unpack it first: unxz"},
	{0, "\x28\xb5\x2f\xfd", "zstd data", "unpack it first: unzstd"},
	{0, "BZh", "bzip2 data", "unpack it first: bunzip2"},
	{0, "PK\x03\x04", "a zip archive", "unpack it first: unzip"},
	{0, "7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first: 7z x"},
	{0, "hsqs", "a squashfs image", "ISO images often hold one; name the ISO image itself"},
	{0, "QFI\xfb", "a qcow2 disk image", "convert it if it holds an ISO image: qemu-img convert -O raw"},
	{0, "ER\x02\x00", "an Apple disk image", ""},
	{0, "\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00", "a CD copied with the headers of its sectors", "take the data out first: bchunk, or iat"},
	{32769, "BEA01", "UDF without ISO 9660", "isolayer reads ISO 9660 only; Linux mounts it: mount -o loop"},
	{0, "<", "text (a web page?)", "the download may have failed: look at the file"},
}

// notISO says what a file is that is no ISO image.
func notISO(path string, err error) error {
	if !errors.Is(err, iso9660.ErrNotISO) {
		return err
	}
	f, ferr := os.Open(path)
	if ferr != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() == 0 {
		return hinted{noImage(path, "the file is empty"), "fetch it again"}
	}
	for _, m := range magics {
		head := make([]byte, len(m.magic))
		if n, _ := f.ReadAt(head, m.off); string(head[:n]) == m.magic {
			return hinted{noImage(path, "it is "+m.what), m.hint}
		}
	}
	return hinted{&baseimage.ImageError{Path: path, Err: fault.NotISO}, "an ISO image has the text CD001 at byte 32769; check that this is the right file and complete"}
}

// noImage is the error that a file is no image, with the reason.
func noImage(path, why string) error {
	return &baseimage.ImageError{Path: path, Err: fault.Errorf(fault.NotISO, "%s", why)}
}
