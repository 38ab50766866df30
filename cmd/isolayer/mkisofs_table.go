package main

import (
	"errors"

	"github.com/isolayer/isolayer/internal/boot"
	"github.com/isolayer/isolayer/internal/fault"
)

// Advice that several options share.
const (
	useBuild = "to change an image, isolayer build BASE --add SRC:DST -o OUT"
	useHFS   = "HFS is for Macs of before 2012; leave it out"
	useJigdo = "make the image and run jigdo-file on it"
	useRISC  = "xorriso -as mkisofs makes images for such machines"
	useZ     = "-z marks files of mkzftree version 1; or put a compressed file system into the image: mksquashfs"
)

// mkisofsOptions is the language, in the order in which help shows it.
var mkisofsOptions []option

func init() { // a literal would refer to itself
	mkisofsOptions = append(append(append(mkisofsTexts, mkisofsTree...), mkisofsBoot...), mkisofsOther...)
}

// mkisofsTexts are the options for descriptors and names.
var mkisofsTexts = []option{
	{names: "V volid", args: 1, do: text(func(m *mkisofs) *string { return &m.options.Texts.Volume })},
	{names: "volset", args: 1, do: text(func(m *mkisofs) *string { return &m.options.Texts.VolumeSet })},
	{names: "A appid", args: 1, do: text(func(m *mkisofs) *string { return &m.options.Texts.Application })},
	{names: "P publisher", args: 1, do: text(func(m *mkisofs) *string { return &m.options.Texts.Publisher })},
	{names: "p preparer", args: 1, do: text(func(m *mkisofs) *string { return &m.options.Texts.Preparer })},
	{names: "sysid", args: 1, do: text(func(m *mkisofs) *string { return &m.options.Texts.System })},
	{names: "abstract", args: 1, do: text(func(m *mkisofs) *string { return &m.options.Texts.Abstract })},
	{names: "biblio", args: 1, do: text(func(m *mkisofs) *string { return &m.options.Texts.Bibliographic })},
	{names: "copyright", args: 1, do: text(func(m *mkisofs) *string { return &m.options.Texts.Copyright })},
	{names: "volset-size", args: 1, do: number(0xffff, func(m *mkisofs, n uint64) { m.options.Texts.SetSize = uint16(n) })},
	{names: "volset-seqno", args: 1, do: number(0xffff, func(m *mkisofs, n uint64) { m.options.Texts.SetNumber = uint16(n) })},
	{names: "modification-date", args: 1, do: modified},
	{names: "application_use", args: 1, do: appUse},
	{names: "iso-level", args: 1, do: level},
	{names: "l full-iso9660-filenames", do: set(func(m *mkisofs) { m.options.Naming.Length = max(m.options.Naming.Length, 31) })},
	{names: "max-iso9660-filenames", do: set(func(m *mkisofs) { m.options.Naming.Length, m.options.Naming.NoVersion = 37, true })},
	{names: "U untranslated-filenames", do: set(untranslated)},
	{names: "allow-lowercase", do: set(func(m *mkisofs) { m.options.Naming.Lowercase = true })},
	{names: "allow-multidot", do: set(func(m *mkisofs) { m.options.Naming.ManyDots = true })},
	{names: "L allow-leading-dots ldots", do: set(func(m *mkisofs) { m.options.Naming.LeadingDot = true })},
	{names: "relaxed-filenames", do: set(func(m *mkisofs) { m.options.Naming.Relaxed = true })},
	{names: "no-iso-translate", do: set(func(m *mkisofs) { m.options.Naming.Marks = true })},
	{names: "d omit-period", do: set(func(m *mkisofs) { m.options.Naming.NoDot = true })},
	{names: "N omit-version-number", do: set(func(m *mkisofs) { m.options.Naming.NoVersion = true })},
	{names: "disallow_dir_id_ext", do: set(func(m *mkisofs) { m.options.Naming.PlainDirs = true })},
	{names: "J joliet", do: set(func(m *mkisofs) { m.options.Joliet = true })},
	{names: "joliet-long", do: set(func(m *mkisofs) { m.options.Joliet, m.options.Naming.JolietLong = true, true })},
	{names: "ucs-level", args: 1, do: ucsLevel},
	{names: "jcharset", args: 1, do: func(m *mkisofs, v []string) error { m.options.Joliet = true; return inputCharset(m, v) }},
	{names: "joliet-utf16", whole: true, do: set(func(m *mkisofs) { m.options.Naming.JolietUTF16 = true })},
	{names: "input-charset", args: 1, do: inputCharset},
	{names: "output-charset", args: 1, do: outputCharset},
	{names: "untranslated_name_len", whole: true, args: 1, do: untranslatedLength},
	{names: "file_name_limit", whole: true, args: 1, do: nameLimit},
}

// mkisofsTree are the options for what goes into the image.
var mkisofsTree = []option{
	{names: "R rock", do: set(func(m *mkisofs) { m.options.RockRidge = true })},
	{names: "r rational-rock", do: set(func(m *mkisofs) { m.options.RockRidge, m.options.Rational = true, true })},
	{names: "norock", do: set(func(m *mkisofs) { m.options.RockRidge = false })},
	{names: "uid", args: 1, do: owner(userID, func(m *mkisofs) **uint32 { return &m.options.UID })},
	{names: "gid", args: 1, do: owner(groupID, func(m *mkisofs) **uint32 { return &m.options.GID })},
	{names: "file-mode", args: 1, do: mode(func(m *mkisofs) **uint32 { return &m.options.FileMode })},
	{names: "dir-mode", args: 1, do: mode(func(m *mkisofs) **uint32 { return &m.options.DirMode })},
	{names: "new-dir-mode", args: 1, do: mode(func(m *mkisofs) **uint32 { return &m.options.NewDirMode })},
	{names: "acl", do: set(func(m *mkisofs) { m.options.ACL = true })},
	{names: "xattr", do: set(func(m *mkisofs) { m.options.Attributes, m.options.AllAttributes = true, false })},
	{names: "xattr-any", whole: true, do: set(func(m *mkisofs) { m.options.AllAttributes = true })},
	{names: "z transparent-compression", do: set(func(m *mkisofs) { m.options.Zisofs, m.options.RockRidge = true, true })},
	{names: "set_all_file_dates", args: 1, do: fileDates},
	{names: "f follow-links", do: set(func(m *mkisofs) { m.options.FollowLinks = true })},
	{names: "graft-points", do: set(func(m *mkisofs) { m.grafts = true })},
	{names: "root", args: 1, do: text(func(m *mkisofs) *string { return &m.root })},
	{names: "quoted_path_list", whole: true, args: 1, do: func(m *mkisofs, v []string) error { m.quoted = append(m.quoted, v[0]); return nil }},
	{names: "path-list", args: 1, do: collect(func(m *mkisofs) *[]string { return &m.lists })},
	{names: "m exclude x old-exclude", args: 1, do: collect(func(m *mkisofs) *[]string { return &m.options.Exclude })},
	{names: "exclude-list", args: 1, do: collectFile(func(m *mkisofs) *[]string { return &m.options.Exclude })},
	{names: "no-bak nobak", do: set(func(m *mkisofs) { m.options.Exclude = append(m.options.Exclude, "*~*", "*#*", "*.bak") })},
	{names: "hide", args: 1, do: collect(func(m *mkisofs) *[]string { return &m.options.Hide })},
	{names: "hide-list", args: 1, do: collectFile(func(m *mkisofs) *[]string { return &m.options.Hide })},
	{names: "hide-joliet", args: 1, do: collect(func(m *mkisofs) *[]string { return &m.options.HideJoliet })},
	{names: "hide-joliet-list", args: 1, do: collectFile(func(m *mkisofs) *[]string { return &m.options.HideJoliet })},
	{names: "hidden", args: 1, do: collect(func(m *mkisofs) *[]string { return &m.options.Mark })},
	{names: "hidden-list", args: 1, do: collectFile(func(m *mkisofs) *[]string { return &m.options.Mark })},
	{names: "T translation-table", do: set(func(m *mkisofs) { m.options.TransTable = "TRANS.TBL" })},
	{names: "table-name", args: 1, do: text(func(m *mkisofs) *string { return &m.options.TransTable })},
	{names: "hide-joliet-trans-tbl", do: set(func(m *mkisofs) { m.options.HideTransTable = true })},
	{names: "sort", args: 1, do: sorted},
	{names: "sort-weight", args: 2, do: weigh},
	{names: "sort-weight-list", whole: true, args: 1, do: weightList(false)},
	{names: "sort-weight-patterns", whole: true, args: 1, do: weightList(true)},
	{names: "D disable-deep-relocation", do: set(func(m *mkisofs) { m.deep = true })},
	{names: "rr_reloc_dir", args: 1, do: text(func(m *mkisofs) *string { return &m.options.Relocate })},
	{names: "hide-rr-moved", do: set(func(m *mkisofs) { m.options.Relocate = ".rr_moved" })},
	{names: "pad", do: set(func(m *mkisofs) { m.noPad = false })},
	{names: "no-pad", do: set(func(m *mkisofs) { m.noPad = true })},
	{names: "cache-inodes hardlinks", do: set(func(m *mkisofs) { m.options.NoHardLinks = false })},
	{names: "no-cache-inodes", do: set(func(m *mkisofs) { m.options.NoHardLinks = true })},
	{names: "duplicates-once", do: set(func(m *mkisofs) { m.options.Once = true })},
	{names: "allow-limited-size", do: set(func(*mkisofs) {}), idle: "files of any size are recorded whole"},
}

// mkisofsBoot are the options for boot equipment.
var mkisofsBoot = []option{
	{names: "b eltorito-boot", args: 1, do: func(m *mkisofs, v []string) error { return m.image(boot.BIOS, v[0]) }},
	{names: "e efi-boot", args: 1, do: func(m *mkisofs, v []string) error { return m.image(boot.UEFI, v[0]) }},
	{names: "c eltorito-catalog", args: 1, do: text(func(m *mkisofs) *string { return &m.boot.Catalog })},
	{names: "boot-catalog-hide", do: set(func(m *mkisofs) { m.boot.CatalogHidden = true })},
	{names: "eltorito-alt-boot", do: set(func(m *mkisofs) { m.entry, m.platform = nil, nil })},
	{names: "eltorito-platform", args: 1, do: platform},
	{names: "eltorito-id", args: 1, do: catalogID},
	{names: "eltorito-selcrit", args: 1, do: criteria},
	{names: "no-emul-boot", do: set(func(m *mkisofs) { m.current().Media = boot.NoEmulation })},
	{names: "hard-disk-boot", do: set(func(m *mkisofs) { m.current().Media = boot.HardDisk })},
	{names: "no-boot", do: set(func(m *mkisofs) { m.current().NotBootable = true })},
	{names: "boot-load-seg", args: 1, do: number(0xffff, func(m *mkisofs, n uint64) { m.current().LoadSegment = uint16(n) })},
	{names: "boot-load-size", args: 1, do: loadSize},
	{names: "boot-info-table", do: set(func(m *mkisofs) { m.current().InfoTable = true })},
	{names: "grub2-boot-info", do: set(func(m *mkisofs) { m.current().GRUB2 = true })},
	{names: "isohybrid-mbr", args: 1, do: code(boot.CodeIsohybrid, sectorCode)},
	{names: "grub2-mbr", args: 1, do: code(boot.CodeGRUB2, sectorCode)},
	{names: "G generic-boot embedded-boot", args: 1, do: code(boot.CodeOther, 16*2048)},
	{names: "isohybrid-gpt-basdat", do: set(func(m *mkisofs) { m.current().Partition = true })},
	{names: "isohybrid-gpt-hfsplus", do: set(func(m *mkisofs) { m.current().Partition, m.current().HFSPlus = true, true })},
	{names: "isohybrid-apm-hfsplus", do: set(func(m *mkisofs) { m.current().APM = true })},
	{names: "apm-block-size", args: 1, do: apmBlockSize},
	{names: "part_like_isohybrid", do: set(func(*mkisofs) {}), idle: "it is always so here"},
	{names: "gpt_disk_guid", whole: true, args: 1, do: diskGUID},
	{names: "gpt-iso-bootable", whole: true, do: set(func(m *mkisofs) { m.boot.FileSystemBootable, m.booting = true, true })},
	{names: "gpt-iso-not-ro", whole: true, do: set(func(m *mkisofs) { m.boot.FileSystemWritable, m.booting = true, true })},
	{names: "append_partition", args: 3, do: appendPartition},
	{names: "appended_part_as_gpt", do: set(func(m *mkisofs) { m.boot.AppendedGPT, m.booting = true, true })},
	{names: "partition_offset", args: 1, do: partitionOffset},
	{names: "partition_hd_cyl", args: 1, do: number(255, func(m *mkisofs, n uint64) { m.boot.Heads = int64(n) })},
	{names: "partition_sec_hd", args: 1, do: number(63, func(m *mkisofs, n uint64) { m.boot.Sectors = int64(n) })},
	{names: "partition_cyl_align", args: 1, do: alignment},
	{names: "iso_mbr_part_type", args: 1, do: partitionType},
	{names: "protective-msdos-label", do: set(func(m *mkisofs) { m.boot.Protective, m.booting = true, true })},
	{names: "mbr-force-bootable", do: set(func(m *mkisofs) { m.boot.ForceActive, m.booting = true, true })},
	{names: "efi-boot-part", args: 1, do: efiPartition},
	{names: "limits", args: 1, do: func(m *mkisofs, v []string) (err error) { m.boot.Limits, err = fault.Parse(v[0]); return err }},
	{names: "boot-from", args: 1, do: func(m *mkisofs, v []string) error { m.boot.From, m.booting = v[0], true; return nil }},
	{names: "as-xorrisofs", do: set(func(m *mkisofs) { m.options.RockRidge, m.options.Replace, m.volume = true, true, "ISOIMAGE" })}, // its ways
	{names: "fix", do: set(func(m *mkisofs) { m.options.Fix = true })},
}

// mkisofsOther are the options for the output, and those that are not supported.
var mkisofsOther = []option{
	{names: "o output", args: 1, do: text(func(m *mkisofs) *string { return &m.show.output })},
	{names: "print-size", do: set(func(m *mkisofs) { m.print = true })},
	{names: "quiet", do: set(func(m *mkisofs) { m.show.quiet = true })},
	{names: "v verbose gui debug", do: set(func(*mkisofs) {}), idle: "they are about messages"},
	{names: "no_rc", do: set(func(m *mkisofs) { m.noStartup = true }), idle: "startup files are never read; it keeps quiet about them"},
	{names: "stdio_sync", whole: true, args: 1, do: func(*mkisofs, []string) error { return nil }, idle: "images are synced before they get their name"},
	{names: "no-emul-toc", whole: true, do: set(func(*mkisofs) {}), idle: "it is always so here"},
	{names: "old-empty", whole: true, do: set(func(*mkisofs) {}), idle: "it is always so here"},
	{names: "help h", do: set(func(m *mkisofs) { m.show.help = true })},
	{names: "version", do: set(func(m *mkisofs) { m.show.version = true })},
	{names: "json", do: set(func(m *mkisofs) { m.show.asJSON = true })},
	{names: "dry-run", do: set(func(m *mkisofs) { m.show.dryRun = true })},
	{names: "print-map", do: set(func(m *mkisofs) { m.show.showMap = true })},
	{names: "progress", args: 1, do: func(m *mkisofs, v []string) error { return word(m, &m.show.progress, v[0], "auto|plain|none") }},
	{names: "checksum", args: 1, do: func(m *mkisofs, v []string) error { return word(m, &m.show.checksum, v[0], "sha256|sha512") }},
	{names: "media-check", args: 1, do: func(m *mkisofs, v []string) error {
		how := ""
		err := word(m, &how, v[0], "implant|strip|auto")
		m.options.Implant = how == "implant"
		return err
	}},
	{names: "udf dvd-video", use: "genisoimage -udf makes UDF; files of more than 4 GiB need none here"},
	{names: "M prev-session dev old-root", args: 1, use: useBuild},
	{names: "C cdrecord-params", args: 1, use: useBuild},
	{names: "force-rr no-rr check-oldnames", use: useBuild},
	{names: "check-session", args: 1, use: useBuild},
	{names: "emul-toc", whole: true, use: "leave it out: only sessions that are added later need it, and isolayer build adds without"},
	{names: "old-root-no-ino old-root-devno old-root-no-md5", whole: true, use: useBuild},
	{names: "zisofs-version-2 zisofs2-susp-z2 zisofs2-susp-zf", whole: true, use: useZ},
	{names: "md5", whole: true, use: "--checksum sha256 writes OUT.sha256, --media-check implant a check into the image"},
	{names: "scdbackup_tag", whole: true, args: 2, use: "--checksum sha256 writes OUT.sha256"},
	{names: "for_backup", whole: true, use: "give --acl --xattr-any --hardlinks; checksums: --checksum sha256"},
	{names: "i", args: 1, use: "name the files as they are, or list them in a file for -path-list"},
	{names: "hfsplus-serial-no hfsplus-block-size hide-hfsplus-list", whole: true, args: 1, use: useHFS},
	{names: "hfs-bless-by", whole: true, args: 2, use: useHFS},
	{names: "hfsplus-file-creator-type", whole: true, args: 3, use: useHFS},
	{names: "split-output", use: "split -b 1G OUT"},
	{names: "stream-media-size stream-file-name", args: 1, use: "name a file"},
	{names: "s sectype", args: 1, do: sectorType},
	{names: "XA xa", use: "leave it out: only video CDs need it"},
	{names: "log-file", args: 1, use: "redirect: 2> FILE"},
	{names: "use-fileversion", args: 1, use: "leave it out: versions are always 1"},
	{names: "no-split-symlink-components no-split-symlink-fields", use: "leave it out: only Solaris 2.5 needs it"},
	{names: "hfsplus", use: useHFS},
	{names: "appended_part_as_apm chrp-boot-part", use: useHFS},
	{names: "hfs part apple g no-desktop mac-name probe no-mac-files icon-position hfs-unlock", use: useHFS},
	{names: "cap netatalk double ethershare exchange sgi macbin single ushare xinet dave sfm osx-double osx-hfs", use: useHFS},
	{names: "hfs-type hfs-creator map H magic boot-hfs-file cluster-size auto hide-hfs hide-hfs-list hfs-volid root-info hfs-bless hfs-parms hide-hfsplus input-hfs-charset output-hfs-charset", args: 1, use: useHFS},
	{names: "jigdo-jigdo jigdo-template jigdo-min-file-size jigdo-force-md5 jigdo-exclude jigdo-map jigdo-template-compress jigdo-force-checksum jigdo-checksum-algorithm checksum-list md5-list checksum_algorithm_template", args: 1, use: useJigdo},
	{names: "checksum_algorithm_iso", args: 1, use: "--checksum sha256 writes OUT.sha256"},
	{names: "grub2-sparc-core B sparc-boot sunx86-boot sparc-label sunx86-label mips-boot mipsel-boot alpha-boot prep-boot prep-boot-part", args: 1, use: useRISC},
	{names: "hppa-cmdline hppa-kernel-32 hppa-kernel-64 hppa-bootloader hppa-ramdisk hppa-hdrversion", args: 1, use: useRISC},
	{names: "chrp-boot", use: useRISC},
	{names: "efi-boot-image", use: "it follows -efi-boot-part"},
}

// apmBlockSize takes what xorriso takes: whatever it is told, it makes blocks of 2048 of
// maps that go with isohybrid.
func apmBlockSize(_ *mkisofs, v []string) error {
	if v[0] != "512" && v[0] != "2048" {
		return errors.New("want 512 or 2048")
	}
	return nil
}
