package grubscript

import (
	"slices"
	"strings"
)

// call is a command that runs.
type call struct {
	*machine
	name  string
	first arg
	args  []arg
	body  *block
	span  Span
}

func (c *call) words() []Word {
	out := make([]Word, len(c.args))
	for i, a := range c.args {
		out[i] = a.word
	}
	return out
}

func (c *call) texts() []string { return texts(c.words()) }

// arg returns the text of an argument, from 0 on; empty without one.
func (c *call) arg(i int) string {
	if i >= len(c.args) {
		return ""
	}
	return c.args[i].word.String()
}

// line is the command as it runs, for conditions and remarks.
func (c *call) line() string {
	return strings.Join(append([]string{c.name}, c.texts()...), " ")
}

// command is what GRUB does for one.
type command func(*call) status

// dispatch runs a command of GRUB, a function, or what is neither: an assignment.
func (m *machine) dispatch(c *call) status {
	if unknown := c.first.word.Unknown(); unknown != "" {
		m.remark(c.span, "the command is known at the machine only: "+unknown)
		return done
	}
	if do := commands[c.name]; do != nil {
		if m.extracts > 0 && !extractor[c.name] {
			return failed
		}
		return do(c)
	}
	if f := m.funcs[c.name]; f != nil {
		return m.function(f, c.words())
	}
	if i := strings.IndexByte(c.name, '='); i >= 0 {
		m.assign(&Assignment{Name: c.name[:i], Value: c.first.word.from(i + 1), How: "=", Span: c.span, Written: c.first.behindEquals()})
		return done
	}
	m.remark(c.span, "no command of GRUB's that this program knows: "+c.name)
	return done
}

// behindEquals is the range of what is written behind the first equals sign of a word.
func (a arg) behindEquals() Span {
	if a.shared {
		return Span{}
	}
	for _, p := range a.from.parts {
		if i := strings.IndexByte(p.frag.Text, '='); p.kind == partText && i >= 0 && p.frag.exact() && p.frag.Quote == Bare {
			return Span{p.span.Source, p.span.Start + i + 1, a.from.span.End}
		}
	}
	return Span{}
}

// extractor commands also run where entries are only taken out of a file.
var extractor = map[string]bool{
	"menuentry": true, "submenu": true, "hiddenentry": true, "set": true, "unset": true, "insmod": true, "[": true, "test": true, "search": true,
	"true": true, "false": true, "echo": true, "break": true, "continue": true, "shift": true, "setparams": true, "return": true,
}

var commands map[string]command

func init() {
	commands = map[string]command{
		"set": set, "unset": unset, "export": export, "true": ok, "false": no, "[": test, "test": test, ":": ok,
		"source": source, ".": source, "configfile": configfile, "normal": normal, "eval": eval,
		"extract_entries_source": extractSource, "extract_entries_configfile": extractConfigfile,
		"break": leave, "continue": leave, "return": giveBack, "shift": shift, "setparams": setparams,
		"menuentry": menuentry, "submenu": menuentry, "hiddenentry": menuentry,
		"search": search, "search.file": searchShort, "search.fs_label": searchShort, "search.fs_uuid": searchShort, "search_label": searchShort, "search_fs_uuid": searchShort, "search_fs_file": searchShort,
		"regexp": matches, "load_env": loadEnv, "loopback": loopback, "probe": probe,
		"sleep": sleep, "keystatus": no, "cpuid": cpuid, "loadfont": loadfont, "insmod": insmod,
		"terminal_output": terminal, "background_image": fileThere, "boot": boot,
		"exit": end, "reboot": end, "halt": end, "fwsetup": end, "normal_exit": end, "fwexit": end, "poweroff": end, "sys_poweroff": end,
		"blscfg": definesEntries, "legacy_configfile": definesEntries, "syslinux_configfile": definesEntries,
		"extract_legacy_entries_source": definesEntries, "extract_legacy_entries_configfile": definesEntries, "legacy_source": definesEntries,
		"extract_syslinux_entries_source": definesEntries, "extract_syslinux_entries_configfile": definesEntries, "syslinux_source": definesEntries,
		"increment": count, "decrement": count, "tr": translate,
	}
	for _, name := range strings.Fields(quiet) {
		commands[name] = ok
	}
	for _, name := range strings.Fields(uncertain) {
		commands[name] = machineOnly
	}
	for name, role := range loaders {
		commands[name] = func(c *call) status { return load(c, role) }
	}
}

// quiet commands change nothing that a menu depends on.
const quiet = `acpi all_functional_test authenticate backtrace background_color badram blocklist cat clear cls cmp
 cmosclean cmosset cutmem date distrust drivemap dump echo efi-watchdog eval_off export_env fakebios fix_video
 gettext gptsync hashsum hdparm hello help hexdump inb inl inw keymap list_env list_trusted loadbios ls lsacpi lsapm lscoreboot lsefi
 lsefimmap lsefisystab lsfonts lsmmap lsmod lspci lssal lsdev md5sum menu_reload mmap nativedisk net_add_addr net_add_dns
 net_add_route net_del_addr net_del_dns net_del_route net_get_dhcp_option net_ls_addr net_ls_cards net_ls_dns net_ls_routes
 net_nslookup net_set_vlan outb outl outw parttool pause password password_pbkdf2 play print rdmsr read_byte read_dword
 read_word rmmod save_env savedefault sendkey serial sha1sum sha256sum sha512sum crc setpci spkmodem suspend
 terminal_input terminfo testload testspeed time trust usb usbtest vbeinfo vbetest verify_detached verify videoinfo
 videotest write_byte write_dword write_word wrmsr xnu_uuid zfs-bootfs zfsinfo zfskey chainloader_off gdbstub gdbstub_break
 gdbstub_stop video bli tpm tpm2_key_protector_init tpm2_key_protector_clear shim_lock uki legacy_password extcmd
 initrdfs macppcbless mac-bless ofw debug dprintf functional_test cbmemc coreboot_boottime boottime pcidump
 configfile_off serial_off gfxmode gfxterm_menu videoinfo_off sysinfo`

// uncertain commands say something that is known at the machine only; the guess is no.
const uncertain = `smbios net_bootp net_bootp6 net_dhcp bootp dhcp pxe cryptomount getenv getkey
 cmostest memrw lsb stat efivar smbus getgpt hwmatch ismounted random read is_sb_enabled lockdown setenv
 xen_boot_test zfs_test file checkpassword inputcheck cmosread iorw rdrand efi_test fs_label datehook datetime fwvars statvfs`

func ok(*call) status { return done }

func no(*call) status { return failed }

// machineOnly returns what nobody but the machine knows, also in the variables that it
// sets.
func machineOnly(c *call) status {
	for i, a := range c.texts() {
		name, found := strings.CutPrefix(a, "--set=")
		if a == "--set" || a == "-s" {
			name, found = c.arg(i+1), true
		}
		if c.name == "read" || c.name == "getenv" && i == len(c.args)-1 {
			name, found = a, true
		}
		if n := strings.IndexByte(name, ':'); n >= 0 {
			name = name[n+1:]
		}
		if found && name != "" {
			c.assign(&Assignment{Name: name, Value: Word{{Unknown: c.line(), Text: "<" + c.name + ">"}}, How: c.name, Span: c.span})
		}
	}
	return depends(c.line(), false)
}

// definesEntries commands make entries of files in other languages.
func definesEntries(c *call) status {
	c.remark(c.span, "makes entries that this program does not follow: "+c.line())
	c.boot.Leads = c.line()
	return done
}

func set(c *call) status {
	if len(c.args) == 0 {
		return done
	}
	w := c.args[0].word
	name, _, found := strings.Cut(w.String(), "=")
	if !found {
		return failed
	}
	c.assign(&Assignment{Name: name, Value: w.from(len(name) + 1), How: "set", Span: c.span, Written: c.args[0].behindEquals()})
	return done
}

func unset(c *call) status {
	if len(c.args) == 0 {
		return failed
	}
	c.machine.unset(c.arg(0), c.span)
	return done
}

func export(c *call) status {
	for _, name := range c.texts() {
		v, found := c.ctx.vars[name]
		v.exported = true
		if found {
			c.ctx.vars[name] = v
		}
	}
	return done
}

// leave is break and continue.
func leave(c *call) status {
	n := 1
	if len(c.args) > 0 {
		if n = atoi(c.arg(0)); n < 1 {
			return failed
		}
	}
	c.again = c.name == "continue"
	c.breaks = min(n, c.active)
	return done
}

func giveBack(c *call) status {
	if c.machine.args == nil {
		return failed
	}
	c.back = true
	if len(c.args) == 0 {
		return c.status
	}
	return status{failed: atoi(c.arg(0)) != 0}
}

func shift(c *call) status {
	n := 1
	if len(c.args) > 0 {
		n = atoi(c.arg(0))
	}
	if c.machine.args == nil {
		return done
	}
	if n < 0 || n > len(c.machine.args.words) {
		return failed
	}
	c.machine.args = &args{words: c.machine.args.words[n:]}
	return done
}

func setparams(c *call) status {
	if c.machine.args != nil {
		c.machine.args = &args{words: c.words()}
	}
	return done
}

// maxSources bounds files that read files.
const maxSources = 32

// source runs a file in this context.
func source(c *call) status {
	c.file(c.arg(0), c.span)
	return done
}

// file reads and runs a file; false if it is not there.
func (m *machine) file(name string, at Span) bool {
	p, text, is := m.read(name)
	switch {
	case is == unsure:
		m.remark(at, "reads a file of another disk: "+p.String())
		m.boot.Leads = p.String()
		return false
	case is != isFile:
		m.remark(at, "reads a file that is not there: "+name)
		return false
	}
	if m.sources++; m.sources > maxSources {
		m.sources--
		m.limit(at)
		return false
	}
	defer func() { m.sources-- }()
	src := newFile(p.device, p.path, text)
	if len(m.budget.files) < maxNames && !slices.ContainsFunc(m.budget.files, func(s *Source) bool { return s.Device == p.device && s.Name == p.path }) {
		m.budget.files = append(m.budget.files, src)
	}
	file, dir := m.ctx.vars["config_file"], m.ctx.vars["config_directory"]
	full := "(" + p.device + ")/" + strings.TrimPrefix(afterDevice(name), "/")
	m.ctx.vars["config_file"] = variable{value: plain(full), exported: true}
	m.ctx.vars["config_directory"] = variable{value: plain(full[:strings.LastIndexByte(full, '/')]), exported: true}
	m.source(src, p.String())
	m.config = src
	m.ctx.vars["config_file"], m.ctx.vars["config_directory"] = file, dir
	return true
}

func afterDevice(name string) string {
	if strings.HasPrefix(name, "(") {
		return name[strings.IndexByte(name, ')')+1:]
	}
	return name
}

// configfile runs a file in a context of its own and shows the menu that it makes.
func configfile(c *call) status {
	c.open(&Menu{}, c.fw.RedHat)
	c.file(c.arg(0), c.span)
	c.show(c.span)
	c.close()
	return done
}

// normal does so in this context, and does not come back.
func normal(c *call) status {
	name := c.arg(0)
	if name == "" {
		name = c.text("prefix") + "/grub.cfg"
	}
	c.file(name, c.span)
	if !c.stopped {
		c.show(c.span)
	}
	c.stopped = true
	return done
}

// extractSource takes entries out of a file.
func extractSource(c *call) status {
	c.extracts++
	c.open(c.ctx.menu, true)
	c.file(c.arg(0), c.span)
	c.close()
	c.extracts--
	return done
}

// extractConfigfile does so and adds nothing, as GRUB throws its context away.
func extractConfigfile(c *call) status {
	c.extracts++
	c.open(&Menu{}, false)
	c.file(c.arg(0), c.span)
	c.close()
	c.extracts--
	return done
}

// eval runs its arguments as a script.
func eval(c *call) status {
	w := join(c.words())
	if u := w.Unknown(); u != "" {
		c.remark(c.span, "runs a text that is known at the machine only: "+u)
		return done
	}
	if c.sources++; c.sources > maxSources {
		c.limit(c.span)
		return failed
	}
	c.status = done
	c.machine.source(newEval(w), "")
	c.sources--
	return c.status
}

// boot starts what was loaded.
func boot(c *call) status {
	if !c.boot.loaded() {
		return failed
	}
	c.boot.Action = Boots
	c.stopped = true
	return done
}

// end leaves GRUB.
func end(c *call) status {
	c.boot.Action = ends[c.name]
	c.stopped = true
	return done
}

var ends = map[string]Action{"exit": Exits, "normal_exit": Exits, "fwexit": Exits, "reboot": Reboots, "halt": Halts, "poweroff": Halts, "sys_poweroff": Halts, "fwsetup": Firmwares}
