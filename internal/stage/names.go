package stage

import (
	"errors"

	"github.com/isolayer/isolayer/internal/iso9660"
)

// newFileMode is that of boot files that steps make.
const NewFileMode = iso9660.ModeRegular | 0o644

// ErrReserved reports an edit that makes untrue what a CoreOS image says of the areas
// that coreos-installer writes to.
var ErrReserved = errors.New("the edit moves or breaks an area that coreos-installer writes to")

// signatureEndings are those of detached signatures.
var SignatureEndings = []string{".asc", ".gpg", ".sig", ".sign", ".pgp", ".p7s", ".cms.sig"}

// installKey is the keyring of the initrd by which linuxrc verifies.
const InstallKey = "/installkey.gpg"
