package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/isolayer/isolayer/internal/isotest"
)

// knownOption is a line of testdata/mkisofs-options.txt.
type knownOption struct {
	name     string
	args     int
	programs []string
}

func knownOptions(t *testing.T) (list []knownOption) {
	t.Helper()
	text, err := os.ReadFile("testdata/mkisofs-options.txt")
	must(t, err)
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); f[0] != "#" {
			n, err := strconv.Atoi(f[1])
			must(t, err)
			list = append(list, knownOption{f[0], n, f[2:]})
		}
	}
	return list
}

// TestMkisofsKnown: every option of genisoimage and xorrisofs is one of ours under that
// name, with as many values, and does something, or is refused by name with a hint, or has
// a reason for having no effect on the image.
func TestMkisofsKnown(t *testing.T) {
	for _, k := range knownOptions(t) {
		o := find(k.name)
		if o == nil || o.args != k.args {
			t.Errorf("-%s with %d values: %+v", k.name, k.args, o)
			continue
		}
		if _, effect := effects[strings.Fields(o.names)[0]]; (o.do != nil && o.idle == "") != effect {
			t.Errorf("-%s: there is no test of its effect, or it has none", k.name)
		}
		if o.do != nil {
			continue
		}
		values := strings.Repeat(" x", k.args)
		for _, dash := range []string{"-", "--"} {
			_, err := parseMkisofs(strings.Fields(dash+k.name+values+" ."), strings.NewReader(""))
			if err == nil || !strings.Contains(err.Error(), "-"+k.name+" is not supported") || hintFor(err) == "" {
				t.Errorf("%s%s: %v, hint %q", dash, k.name, err, hintFor(err))
			}
		}
	}
}

// TestMkisofsComplete: the programs list no option that the table of known ones lacks.
func TestMkisofsComplete(t *testing.T) {
	known := map[string]bool{}
	for _, k := range knownOptions(t) {
		for _, p := range k.programs {
			known[p+" "+k.name] = true
		}
	}
	option := regexp.MustCompile(`(?:^  |, )--?([A-Za-z0-9][\w-]*)`)
	for program, args := range map[string][]string{"genisoimage": {"genisoimage", "-help"}, "xorrisofs": {"xorriso", "-as", "mkisofs", "-help"}} {
		text, _ := exec.Command(isotest.Tool(t, args[0]), args[1:]...).CombinedOutput() // some end with 1
		count := 0
		for line := range strings.Lines(string(text)) {
			if !strings.HasPrefix(line, "  -") {
				continue
			}
			head, _, _ := strings.Cut(strings.TrimRight(line[2:], "\n"), "  ")
			for _, m := range option.FindAllStringSubmatch("  "+head, -1) {
				if count++; !known[program+" "+m[1]] {
					t.Errorf("%s has -%s", program, m[1])
				}
			}
		}
		if count < 100 {
			t.Errorf("%s lists %d options: its help is not understood", program, count)
		}
	}
}

// effects are options with values, by their first names, and behind a bar others that must
// be there: the image is another one with the option than without.
var effects = map[string]string{
	"V": "X", "volset": "X", "A": "X", "P": "X", "p": "X", "sysid": "X", "abstract": "X", "biblio": "X", "copyright": "X",
	"volset-size": "2", "volset-seqno": "3", "modification-date": "2001020304050607", "application_use": "x",
	"iso-level": "2", "l": "", "max-iso9660-filenames": "", "U": "", "allow-lowercase": "", "allow-multidot": "", "L": "",
	"relaxed-filenames": "", "no-iso-translate": "", "d": "", "N": "", "disallow_dir_id_ext": "",
	"J": "", "joliet-long": "| -J", "ucs-level": "1 | -J", "jcharset": "cp437", "joliet-utf16": "| -J",
	"input-charset": "cp850 | -J", "output-charset": "cp850 | -R -m \U0001f600", "untranslated_name_len": "96", "file_name_limit": "64 | -R",
	"R": "", "r": "", "norock": "| -R", "uid": "7 | -R", "gid": "7 | -R", "file-mode": "0123 | -R", "dir-mode": "0123 | -R", "new-dir-mode": "0123 | -R -graft-points /new/x/=TREE",
	"z": "| -R", "set_all_file_dates": "2001020304050607", "f": "| -R", "root": "/in",
	"path-list": "LIST", "quoted_path_list": "LIST", "graft-points": "| name=other",
	"m": "*.bak", "exclude-list": "PATTERNS", "no-bak": "", "hide": "*.bak", "hide-list": "PATTERNS", "hide-joliet": "*.bak | -J", "hide-joliet-list": "PATTERNS | -J",
	"hidden": "*.bak", "hidden-list": "PATTERNS", "T": "", "table-name": "TABLE", "hide-joliet-trans-tbl": "| -J -T",
	"sort": "WEIGHTS", "sort-weight": "9 /z", "sort-weight-list": "NUMBERS", "sort-weight-patterns": "NUMBERS",
	"D": "| -R -rr_reloc_dir moved", "rr_reloc_dir": "moved | -R", "hide-rr-moved": "| -R", "pad": "| -no-pad", "no-pad": "",
	"cache-inodes": "| -R -no-cache-inodes", "no-cache-inodes": "| -R", "duplicates-once": "",
	"b": "floppy", "e": "loader", "c": "cat.alog | -b floppy", "boot-catalog-hide": "| -b floppy",
	"eltorito-alt-boot": "-e floppy | -b floppy", "eltorito-platform": "efi -b floppy | -b floppy", "eltorito-id": "X | -b floppy", "eltorito-selcrit": "0102 | -b floppy",
	"no-emul-boot": "| -b floppy", "hard-disk-boot": "| -no-emul-boot -b disk", "no-boot": "| -b floppy", "boot-load-seg": "7 | -b floppy", "boot-load-size": "3 | -b floppy -no-emul-boot",
	"boot-info-table": "| -b loader -no-emul-boot", "grub2-boot-info": "| -b loader -no-emul-boot", "G": "code",
	"isohybrid-mbr": "CODE | -b loader -no-emul-boot", "grub2-mbr": "loader | -b loader -no-emul-boot", "isohybrid-gpt-basdat": "| -e loader", "isohybrid-gpt-hfsplus": "| -e loader", "isohybrid-apm-hfsplus": "| -e loader",
	"gpt_disk_guid": "2303cd2a-73c7-424a-a298-25632da7f446 | -isohybrid-gpt-basdat -e loader", "gpt-iso-bootable": "| -isohybrid-gpt-basdat -e loader", "gpt-iso-not-ro": "| -isohybrid-gpt-basdat -e loader",
	"append_partition": "2 0xef floppy", "appended_part_as_gpt": "| -append_partition 2 0xef floppy", "partition_offset": "16", "partition_hd_cyl": "7 | -isohybrid-mbr CODE -b loader -no-emul-boot", "partition_sec_hd": "7 | -isohybrid-mbr CODE -b loader -no-emul-boot",
	"partition_cyl_align": "all | -partition_offset 16", "iso_mbr_part_type": "0x83 | -partition_offset 16", "protective-msdos-label": "", "mbr-force-bootable": "", "efi-boot-part": "--efi-boot-image | -e loader",
	// What goes elsewhere, or is no effect of the option alone, has tests of its own.
	"limits": own, "boot-from": own, "as-xorrisofs": own, "fix": own, "json": own, "dry-run": own, "print-map": own, "progress": own, "checksum": own, "media-check": own,
	"acl": own, "xattr": own, "xattr-any": own, "o": own, "print-size": own, "quiet": own, "help": own, "version": own, "s": own, "apm-block-size": own,
}

// own marks an option whose effect other tests judge.
const own = "own"

func TestMkisofsEffects(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("SOURCE_DATE_EPOCH", "1600000000")
	effectTree(t)
	image := func(args string) string {
		var out, said bytes.Buffer
		words := append([]string{"master"}, strings.Fields(args)...)
		if code := run(t.Context(), append(words, "tree", "side"), strings.NewReader(""), &out, &said); code != 0 {
			t.Errorf("%s: exit %d\n%s", args, code, &said)
		}
		return out.String()
	}
	plain := map[string]string{}
	for name, spec := range effects {
		if spec == own {
			continue
		}
		spec = strings.NewReplacer("TREE", "side", "LIST", "list", "PATTERNS", "patterns", "WEIGHTS", "weights", "NUMBERS", "numbers", "CODE", "code").Replace(spec)
		values, with, _ := strings.Cut(spec, "|")
		if plain[with] == "" {
			plain[with] = image(with)
		}
		if image(with+" -"+name+" "+values) == plain[with] {
			t.Errorf("-%s %s has no effect on the image that%s makes", name, values, with)
		}
	}
}

// effectTree makes files for which every option makes a difference.
func effectTree(t *testing.T) {
	t.Helper()
	file := func(p, content string) {
		must(t, os.MkdirAll(filepath.Dir(p), 0o755))
		must(t, os.WriteFile(p, []byte(content), 0o644))
		must(t, os.Chtimes(p, time.Time{}, time.Unix(1_500_000_000, 0)))
	}
	loader := []byte(strings.Repeat("loader ", 1000))
	disk := strings.Repeat("\x00", 446) + "\x80\x00\x01\x01\x06\x00\x01\x01\x01\x00\x00\x00\x01\x00\x00\x00" + strings.Repeat("\x00", 48) + "\x55\xaa" + strings.Repeat("\x00", 512)
	zisofs := append([]byte("\x37\xe4\x53\x96\xc9\xdb\xd6\x07"), binary.LittleEndian.AppendUint32(nil, 40_000)...)
	zisofs = append(zisofs, 4, 15, 0, 0)
	for p, content := range map[string]string{
		"tree/.dot": "d", "tree/lower.name.ext": "l", "tree/averyverylongfilename123.extension": "v", "tree/a-b~c#": "a", "tree/noext": "n", "tree/x.bak": "b",
		"tree/z": "z", "tree/dup1": "same", "tree/dup2": "same", "tree/caf\u00e9 \U0001f600": "c", "tree/" + strings.Repeat("n", 70): "n", "tree/dir.ext/f": "f", "tree/packed": string(zisofs),
		"tree/1/2/3/4/5/6/7/8/9/deep": "d", "tree/floppy": string(make([]byte, 1440<<10)), "tree/loader": string(loader), "side/more": "m", "floppy": "floppy", "loader": strings.Repeat("\x00", 446),
		"list": "other\n", "other": "o", "name=other": "x", "tree/disk": disk, "patterns": "*.bak\n", "weights": "tree/z 9\n", "numbers": "9 /z\n", "code": "\x33\xed" + strings.Repeat("\x90", 30) + strings.Repeat("\x00", 400),
	} {
		if p == "tree/caf\u00e9 \U0001f600" {
			file("tree/caf\u00e9", content)
			p = "tree/\U0001f600"
		}
		file(p, content)
	}
	must(t, os.Link("tree/noext", "tree/hard"))
	must(t, os.Symlink("noext", "tree/link"))
}
