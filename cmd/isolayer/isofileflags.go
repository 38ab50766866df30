package main

import (
	"github.com/spf13/pflag"
)

// place is where an Isofile has what a flag of build says.
type place int

const (
	instructed place = iota + 1 // an instruction says it
	ofIsofile                   // it is about the Isofile itself
	apart                       // it is about this run, no matter what image comes out
	beside                      // no instruction says it, but it goes with -f
	unsaid                      // no instruction says it, and with -f it has no meaning
)

// places decides for every flag of build; a test knows them all.
// See RATIONALE.md, "Flags of build and Isofiles are one table".
var places = map[string]place{
	"add": instructed, "rm": instructed, "mv": instructed, "ln": instructed, "mkdir": instructed, "chmod": instructed, "chown": instructed, "layer": instructed,
	"karg": instructed, "karg-keep": instructed, "label": instructed, "menu-timeout": instructed, "default": instructed, "add-entry": instructed,
	"kickstart": instructed, "preseed": instructed, "autoinstall": instructed, "autoyast": instructed, "agama": instructed, "ignition": instructed, "answer": instructed,
	"initrd-add": instructed,
	"volset":     instructed, "publisher": instructed, "preparer": instructed, "app-id": instructed, "media-check": instructed,

	"file": ofIsofile, "tag": ofIsofile, "set": ofIsofile, "values": ofIsofile, "build-arg": ofIsofile, "secret": ofIsofile, "no-cache": ofIsofile, "verify-base": ofIsofile,
	"store": ofIsofile, "manifest": ofIsofile, "print-isofile": ofIsofile,

	"output": apart, "no-clobber": apart, "dry-run": apart, "map": apart, "checksum": apart, "progress": apart, "json": apart, "limits": apart, "help": apart,

	"no-boot": beside, "refresh-repo": beside, "resign": beside, "suse-insecure": beside, "repair": beside, "uuid": beside, "place": beside, "layout": beside, "wipe": beside,

	"unattend": unsaid, "in-place": unsaid, "undo": unsaid, "keep-undo": unsaid, "no-undo": unsaid, "preserve": unsaid, "session": unsaid,
	"entry-karg": unsaid, "as-entry": unsaid, "strategy": unsaid, "mastering": unsaid, "upper": unsaid, "workspace-dir": unsaid,
}

// isofileSays refuses flags of a command line whose meaning an Isofile cannot have.
func isofileSays(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		if err != nil || f.Value.String() == f.DefValue && f.DefValue != "" {
			return
		}
		switch places[f.Name] {
		case beside:
			err = usagef("leave it out here and say it when you build: isolayer build -f Isofile "+spelled(f)+" -o OUT", "--print-isofile: no instruction of an Isofile says %s", spelled(f))
		case unsaid:
			err = usagef("leave it out", "--print-isofile: no instruction of an Isofile says %s", spelled(f))
		}
	})
	return err
}

// isofileTakes refuses flags that have no meaning with -f.
func isofileTakes(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		if err == nil && places[f.Name] == unsaid && (f.Value.String() != f.DefValue || f.DefValue == "") {
			err = usagef("leave it out; an Isofile says how its files come in", "-f with %s", spelled(f))
		}
	})
	return err
}

// spelled is a flag as it was given.
func spelled(f *pflag.Flag) string {
	switch v := f.Value.String(); {
	case f.Value.Type() == "bool" && v == "true", v == "":
		return "--" + f.Name
	case f.Value.Type() == "bool":
		return "--" + f.Name + "=" + v
	default:
		return "--" + f.Name + " " + v
	}
}
