package grubscript

import (
	"strings"
	"testing"
)

// at is GRUB of a CD that reads its configuration from files, which are all that there
// is besides kernels.
func at(platform string, files memory) Firmware {
	cpu, cd := "i386", "cd"
	if platform == "efi" {
		cpu, cd = "x86_64", "cd0"
	}
	return Firmware{
		Platform: platform, CPU: cpu, Prefix: "(" + cd + ")/boot/grub", Trust: true,
		Devices: []Device{{Name: cd, Volume: files, Label: "MY_ISO", UUID: "2026-11-29-10-00-00-00"}},
	}
}

// said is what a start comes to, in a line.
func said(s *Start) string {
	var b strings.Builder
	b.WriteString(string(s.Kind))
	if s.Kind == Starts {
		b.WriteString(" " + itoa(s.Seconds))
	}
	for _, e := range s.Path {
		b.WriteString(" > " + e.Title)
	}
	if s.Boot != nil && s.Kind == Starts {
		for _, l := range s.Boot.Loads() {
			b.WriteString(" | " + strings.TrimSpace(l.Path+" "+l.Cmdline(false)))
		}
	}
	if s.Note != "" {
		b.WriteString(" (" + s.Note + ")")
	}
	for _, o := range s.Others {
		b.WriteString(" OR " + said(o))
	}
	return b.String()
}

const two = "menuentry 'A' { linux /a one }\nmenuentry 'B' --id b { linux /b two }\n"

// starts are configurations with what starts of them. Those without a judge start what
// it has no stand-in for, or ask for a password.
var starts = []struct {
	name, text, want string
	platform         string
	files            memory
	unjudged         bool
}{
	{name: "no timeout", text: two, want: "waits"},
	{name: "timeout", text: "timeout=3\n" + two, want: "starts 3 > A | a one"},
	{name: "at once", text: "set timeout=0\nset default=1\n" + two, want: "starts 0 > B | b two"},
	{name: "below zero", text: "set timeout=-1\n" + two, want: "waits"},
	{name: "octal", text: "set timeout=010\n" + two, want: "starts 8 > A | a one"},
	{name: "no number", text: "set timeout=soon\n" + two, want: "waits"},
	{name: "number with a tail", text: "set timeout=5s\n" + two, want: "starts 5 > A | a one"},
	{name: "last one counts", text: "set default=0\ntimeout=1\nset timeout=2\ndefault=1\n" + two, want: "starts 2 > B | b two"},
	{name: "by id", text: "set timeout=1 default=a\nset default=b\n" + two, want: "starts 1 > B | b two"},
	{name: "by title", text: "set timeout=1\nset default='B'\n" + two, want: "starts 1 > B | b two"},
	{name: "beyond the list", text: "set timeout=1\nset default=2\n" + two, want: "starts 1 > A | a one (there is no entry 2, counted from 0)"},
	{name: "no such title", text: "set timeout=1\nset default=x\n" + two, want: "starts 1 > A | a one (no entry has the id or title x)"},
	{name: "behind the entries", text: two + "timeout=1; default=b\n", want: "starts 1 > B | b two"},
	{name: "submenu", text: "timeout=1\ndefault='S>B'\nsubmenu S {\n" + two + "}\n", want: "starts 1 > S > B | b two"},
	{name: "submenu without a path", text: "timeout=1\ndefault=1\nmenuentry X { true\n}\nsubmenu S {\n" + two + "}\n", want: "starts 1 > S > A | a one"},
	{name: "submenu with a timeout", text: "timeout=1\nsubmenu S {\ntimeout=4\n" + two + "}\n", want: "starts 5 > S > A | a one"},
	{name: "title with >", text: "timeout=1\ndefault='a>>b'\nmenuentry x { linux /x }\nmenuentry 'a>b' { linux /y }\n", want: "starts 1 > a>b | y"},
	{name: "configfile of an entry waits", text: "timeout=1\nmenuentry x { configfile /next.cfg }\n", files: memory{"next.cfg": two}, want: "waits > x"},
	{name: "configfile of an entry at once, not exported", text: "timeout=0\nmenuentry x { configfile /next.cfg }\n", files: memory{"next.cfg": two}, want: "waits > x"},
	{name: "configfile of an entry at once", text: "timeout=0\nexport timeout\nmenuentry x { configfile /next.cfg }\n", files: memory{"next.cfg": two}, want: "starts 0 > x > A | a one"},
	{name: "configfile, not exported", text: "timeout=7\ndefault=1\nconfigfile /next.cfg\nmenuentry x { linux /x }\n", files: memory{"next.cfg": two}, want: "waits"},
	{name: "variables of a submenu", text: "timeout=1\na=x\nb=y\nexport b\nsubmenu S {\nmenuentry A { linux /a $a $b }\n}\n", want: "starts 1 > S > A | a y"},
	{name: "configfile", text: "timeout=7\ndefault=1\nexport timeout default\nconfigfile /next.cfg\nmenuentry x { linux /x }\n", files: memory{"next.cfg": two}, want: "starts 7 > B | b two"},
	{name: "source", text: "source $prefix/e.cfg\n. ($root)/boot/grub/t.cfg", files: memory{"boot/grub/e.cfg": two, "boot/grub/t.cfg": "timeout=2\n"}, want: "starts 2 > A | a one"},
	{name: "hidden", text: "timeout=2\nset timeout_style=hidden\n" + two, want: "starts 2 > A | a one"},
	{name: "an entry that does nothing", text: "timeout=2\nmenuentry A { true; }\n" + two, want: "waits > A (the entry starts nothing)"},
	{name: "fallback", text: "timeout=2\nset fallback='1 2'\nmenuentry A { false\n}\n" + two, want: "starts 2 > A | a one (falls back, as \"A\" starts nothing)"},
	{name: "password", text: "set superusers=root\nexport superusers\npassword root x\ntimeout=2\n" + two, want: "password > A", unjudged: true},
	{name: "unrestricted", text: "set superusers=root\ntimeout=2\nmenuentry A --unrestricted { linux /a\n}\n", want: "starts 2 > A | a"},
	{name: "platform", text: "timeout=1\nif [ \"$grub_platform\" = \"efi\" ]; then\nmenuentry E { linuxefi /e }\nelse\nmenuentry P { linux16 /p }\nfi\n", want: "starts 1 > P | p"},
	{name: "other platform", text: "timeout=1\nif [ \"$grub_platform\" = \"efi\" ]; then\nmenuentry E { linuxefi /e }\nelse\nmenuentry P { linux16 /p }\nfi\n", platform: "efi", want: "starts 1 > E | e"},
	{name: "unknown to all but the machine", text: "timeout=1\nif cpuid -l; then default=b; fi\n" + two, want: "starts 1 > B | b two OR starts 1 > A | a one"},
	{name: "unknown in an entry", text: "timeout=1\nmenuentry A { if cpuid -l; then linux /64; else linux /32; fi; }\n", want: "starts 1 > A | 64 OR starts 1 > A | 32"},
	{name: "no key", text: "timeout=1\nif keystatus --shift; then timeout=-1; fi\nif sleep --interruptible 2; then timeout=0; fi\n" + two, want: "starts 2 > A | a one"},
	{name: "saved", text: "load_env\nset default=\"${saved_entry}\"\ntimeout=1\n" + two, files: memory{"boot/grub/grubenv": envHead + "saved_entry=b\n####"}, want: "starts 1 > B | b two"},
	{name: "eval", text: "e=\"menuentry 'E $x' { linux /e \\$y }\"\ny=late\neval \"$e\"\ntimeout=1\n", want: "starts 1 > E  | e late"},
	{name: "function", text: "function add {\n title=\"$1 !\"\n shift\n menuentry \"$title\" \"$@\" { shift\n linux /v \"$@\"\n }\n}\nadd T a 'b c'\ntimeout=1\n", want: "starts 1 > T ! | v a \"b c\""},
	{name: "loop", text: "timeout=1\ninsmod regexp\nfor f in /m/*.cfg; do source $f; done\n", files: memory{"m/b.cfg": "default=b\n", "m/a.cfg": two}, want: "starts 1 > B | b two"},
	{name: "mistake", text: "timeout=1\nif [ a ] && [ b ]; then\ndefault=1\nfi\n" + two, want: "starts 1 > B | b two"},
	{name: "nothing", text: "set x=y\n", want: "prompt"},
	{name: "exit", text: "sleep 1\nexit\n", want: "leaves"},
	{name: "xen", text: "timeout=1\nmenuentry X {\n multiboot2 /xen.gz dom0\n module2 /v ro\n module2 /i\n}\n", want: "starts 1 > X | xen.gz dom0 | v ro | i", unjudged: true},
	{name: "kernel's words", text: "timeout=1\nmenuentry X {\n linux /v 'a b' c\\ d \"e\\\"f\" g=\\'\n}\n", want: `starts 1 > X | v "a b" "c d" e\"f g=\'`},
	{name: "empty words", text: "timeout=1\nmenuentry X {\n linux /v $none a \"$none\" b \\\n  c\n}\n", want: "starts 1 > X | v a  b c"},
	{name: "comment in column one", text: "timeout=1\nmenuentry X {\n linux /v a \\\n# b\n c\n}\n", want: "starts 1 > X | v a c"},
	{name: "line ends of DOS", text: "timeout=1\r\nmenuentry X {\r\n linux /v a\r\n}\r\n", want: "starts 1 > X | v a"},
	{name: "unknown command holds", text: "timeout=1\nif nosuch; then default=1; fi\n" + two, want: "starts 1 > B | b two"},
	{name: "direct", text: "linux /v a\nboot\n", want: "starts 0 | v a"},
	{name: "begins with a digit", text: "timeout=1\ndefault='1st'\nmenuentry 1st { linux /x }\n" + two, want: "starts 1 > A | a one"},
}

// more are further rules of the language, each of which decides what starts.
var more = []struct{ name, text, want string }{
	{"kernel is missing", "timeout=1\nfallback=1\nmenuentry X { linux /missing x\n}\n" + two, "starts 1 > A | a one (falls back, as \"X\" starts nothing)"},
	{"fallback by title", "timeout=1\nfallback=B\nmenuentry X { linux /missing x\n}\n" + two, "waits > X (GRUBs up to 2.06 read numbers only in fallback; it fails: missing is not there)"},
	{"fallback to a fallback", "timeout=1\nfallback='0 2'\nmenuentry X { linux /missing x\n}\n" + two, "starts 1 > B | b two (falls back, as \"X\" starts nothing)"},
	{"no fallback", "timeout=1\nmenuentry X { linux /missing x\n}\n" + two, "waits > X (it fails: missing is not there)"},
	{"failure hidden by what follows", "timeout=1\nfallback=1\nmenuentry X {\n linux /missing x\n echo y\n}\n" + two, "starts 1 > A | a one (falls back, as \"X\" starts nothing)"},
	{"initrd is missing", "timeout=1\nfallback=1\nmenuentry X {\n linux /x y\n initrd /missing\n}\n" + two, "starts 1 > X | x y"},
	{"countdown", "timeout=1\ntimeout_style=countdown\n" + two, "starts 1 > A | a one"},
	{"path of numbers", "timeout=1\ndefault='1>1'\nmenuentry x { linux /x\n}\nsubmenu S {\n" + two + "}\n", "starts 1 > S > B | b two"},
	{"path to nothing", "timeout=1\ndefault='S>no'\nsubmenu S {\n" + two + "}\n", "starts 1 > S > A | a one (no entry has the id or title no)"},
	{"default of a submenu", "timeout=1\nsubmenu S {\nset default=1\n" + two + "}\n", "starts 1 > S > B | b two"},
	{"waits in a submenu", "timeout=1\nsubmenu S {\nset timeout=-1\n" + two + "}\n", "waits > S"},
	{"translated title", "timeout=1\nx=y\ndefault='a y \"'\nmenuentry n { linux /n\n}\nmenuentry $\"a $x \\\"\" { linux /v a\n}\n", "starts 1 > a y \" | v a"},
	{"source of an entry", "timeout=1\nmenuentry --source 'linux /v a' X\n", "starts 1 > X | v a"},
	{"entry without commands", "timeout=1\nmenuentry X { }\n" + two, "starts 1 > A | a one"},
	{"block of one line", "timeout=1\nmenuentry X {linux /v a}\n", "starts 1 > X | v a"},
	{"stray brace", "timeout=1\n}\n" + two, "starts 1 > A | a one"},
	{"half of a line", "timeout=1; foo || bar\n" + two, "waits"},
	{"two semicolons", "timeout=1;;\n" + two, "waits"},
	{"quote to the end", "timeout=1\n" + two + "x='\ntimeout=-1\n", "starts 1 > A | a one"},
	{"quote over lines", "timeout=1\nx='\n#y\n}'\n" + two, "starts 1 > A | a one"},
	{"lone dollar", "timeout=1\nx=a$\ndefault=$x$\n" + two, "starts 1 > A | a one"},
	{"test of words", "timeout=1\nif [ a = b -o ! x = y ]; then default=1; fi\n" + two, "starts 1 > B | b two"},
	{"test without an order", "timeout=1\nif [ a = a -o b = b -a c = d ]; then default=1; fi\n" + two, "starts 1 > B | b two"},
	{"test in parentheses", "timeout=1\nif [ ( a = b -o a = a ) -a x ]; then default=1; fi\n" + two, "starts 1 > B | b two"},
	{"test of an empty word", "timeout=1\nif [ -n \"$none\" ]; then default=1; fi\n" + two, "starts 1 > A | a one"},
	{"test of no word", "timeout=1\nif [ -n $none ]; then default=1; fi\n" + two, "starts 1 > B | b two"},
	{"test of files", "timeout=1\nif [ -f /boot/grub/grub.cfg -a -d /boot/grub/ -a -s /boot/grub/grub.cfg -a ! -e /boot/x ]; then default=1; fi\n" + two, "starts 1 > B | b two"},
	{"test of numbers", "timeout=1\nif [ 0x10 -eq 16 -a 010 -lt 9 -a -1 -le 0 ]; then default=1; fi\n" + two, "starts 1 > B | b two"},
	{"test of order", "timeout=1\nif [ abc '<' abd ]; then default=1; fi\n" + two, "starts 1 > B | b two"},
	{"inverted", "timeout=1\nif ! false; then default=1; fi\n" + two, "starts 1 > B | b two"},
	{"elif", "timeout=1\nif false; then default=0; elif true; then default=1; else default=7; fi\n" + two, "starts 1 > B | b two"},
	{"status of a function", "timeout=1\nfunction f {\n if [ $1 = x ]; then return 0; fi\n return 1\n}\nif f x; then default=1; fi\nif f y; then default=0; fi\n" + two, "starts 1 > B | b two"},
	{"break and continue", "timeout=1\nd=\nfor i in 0 1 2 3; do\n if [ $i = 0 ]; then continue; fi\n if [ $i = 2 ]; then break; fi\n default=$i\ndone\n" + two, "starts 1 > B | b two"},
	{"until", "timeout=1\nx=\nuntil [ \"$x\" = aaa ]; do x=\"a$x\"; done\nif [ $x = aaa ]; then default=1; fi\n" + two, "starts 1 > B | b two"},
	{"arguments", "timeout=1\nfunction f { shift 2; k=\"$# $1 $*\"\n}\nf a b 'c d' e\nmenuentry X { linux /v \"$k\" $k\n}\n", "starts 1 > X | v \"2 c d c d e\" 2 c d c d e"},
	{"title as argument", "timeout=1\nmenuentry X y 'z w' { linux /v $1 \"$3\" $#\n}\n", "starts 1 > X | v X \"z w\" 3"},
	{"variable late", "timeout=1\nk=a\nmenuentry X { linux /v $k\n}\nk=b\n", "starts 1 > X | v b"},
	{"words of a variable", "timeout=1\nk=' a  b '\nmenuentry X { linux /v x${k}y\n}\n", "starts 1 > X | v xa by"},
	{"escape in a word", "timeout=1\nmenuentry X { linux /v a=\\x20b 'c=\\x20d'\n}\n", "starts 1 > X | v a=x20b c=\\\\x20d"},
	{"star that fits nothing", "timeout=1\ninsmod regexp\nmenuentry X { linux /v /none/* a*b\n}\n", "starts 1 > X | v /none/* a*b"},
	{"star in quotes", "timeout=1\ninsmod regexp\nmenuentry X { linux /v '/boot/*' /boot/grub/grub.c*\n}\n", "starts 1 > X | v /boot/* /boot/grub/grub.cfg"},
	{"groups", "timeout=1\nregexp --set 1:a --set=2:b '^(.*)-([0-9]+)$' 'x-12'\nmenuentry X { linux /v $a $b\n}\n", "starts 1 > X | v x 12"},
	{"search by label", "timeout=1\nif search --no-floppy --set=r --label MY_ISO; then default=1; fi\n" + two, "starts 1 > B | b two"},
	{"search in vain", "timeout=1\nif search --no-floppy --set=root -l NO; then default=1; fi\n" + two, "starts 1 > A | a one"},
	{"search by file", "timeout=1\nsearch --set -f /boot/grub/grub.cfg\n" + two, "starts 1 > A | a one"},
	{"configfile that is not there", "timeout=1\nconfigfile /no.cfg\n" + two, "starts 1 > A | a one"},
	{"removed", "timeout=1\nunset timeout\n" + two, "waits"},
	{"blank behind a number", "timeout=1\ndefault='1 '\n" + two, "starts 1 > B | b two"},
	{"empty default", "timeout=1\ndefault=\n" + two, "starts 1 > A | a one"},
	{"words behind an assignment", "timeout=1 default=9\ndefault=1 x\n" + two, "starts 1 > B | b two"},
	{"title twice", "timeout=1\ndefault=A\nmenuentry x { linux /x\n}\n" + two + two, "starts 1 > A | a one"},
	{"id before a later title", "timeout=1\ndefault=b\nmenuentry x --id B { linux /x\n}\nmenuentry b --id y { linux /y\n}\n" + two, "starts 1 > b | y"},
	{"classes and keys", "timeout=1\nmenuentry --class a 'X y' --hotkey=x --class b --id=i --unrestricted { linux /v $1\n}\n", "starts 1 > X y | v X y"},
	{"root", "timeout=1\nmenuentry X { set root=$root; linux ($root)/v a\n}\n", "starts 1 > X | v a"},
	{"eval twice", "timeout=1\nx='y=default; eval \"$y=1\"'\neval $x\n" + two, "starts 1 > B | b two"},
	{"byte order mark", "\ufefftimeout=1\n" + two, "waits"},
	{"nothing shown to a file", "timeout=1\nx=1\nsource /boot/grub/grub.cfg.none\nif [ $x = 1 ]; then default=1; fi\n" + two, "starts 1 > B | b two"},
}

func TestMore(t *testing.T) {
	for _, test := range more {
		t.Run(test.name, func(t *testing.T) {
			f := at("pc", withKernels(memory{"boot/grub/grub.cfg": test.text}))
			f.Trust = false
			if got := said(Evaluate(f).Start); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// withKernels adds the files that entries of the tests load.
func withKernels(files memory) memory {
	for _, name := range strings.Fields("a b n v x y") {
		files[name] = ""
	}
	return files
}

func TestStart(t *testing.T) {
	for _, test := range starts {
		t.Run(test.name, func(t *testing.T) {
			files := memory{"boot/grub/grub.cfg": test.text}
			for name, text := range test.files {
				files[name] = text
			}
			platform := test.platform
			if platform == "" {
				platform = "pc"
			}
			if got := said(Evaluate(at(platform, files)).Start); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestRedHat: what the GRUBs of Fedora and its family do otherwise.
func TestRedHat(t *testing.T) {
	for _, test := range []struct {
		name, text, want string
		files            memory
	}{
		{name: "escapes of udev", text: "timeout=1\nmenuentry A { linux /v a=\\x20b 'c=\\x20d' e\\f\n}\n", want: `starts 1 > A | v a=\x20b c=\x20d ef`},
		{name: "id before number", text: "timeout=1\ndefault=1\nmenuentry X --id 1 { linux /x\n}\n" + two, want: "starts 1 > X | x"},
		{name: "title before number", text: "timeout=1\ndefault='2nd one'\nmenuentry X { linux /x\n}\nmenuentry '2nd one' { linux /y\n}\n" + two, want: "starts 1 > 2nd one | y"},
		{name: "all variables below", text: "timeout=1\ndefault=1\na=x\nmenuentry X { true\n}\nsubmenu S { menuentry A { linux /a\n}\nmenuentry B { linux /b $a\n}\n}\n", want: "starts 1 > S > B | b x"},
		{name: "initrd is missing", text: "timeout=1\nfallback=1\nmenuentry X {\n linux /x y\n initrd /missing\n}\n" + two, want: "starts 1 > A | a one (falls back, as \"X\" starts nothing)"},
		{name: "failure hidden by what follows", text: "timeout=1\nfallback=1\nmenuentry X {\n linux /missing x\n echo y\n}\n" + two, want: "waits > X (the entry starts nothing)"},
		{name: "fallback by title", text: "timeout=1\nfallback=B\nmenuentry X { linux /missing x\n}\n" + two, want: "starts 1 > B | b two (falls back, as \"X\" starts nothing)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := at("efi", withKernels(memory{"boot/grub/grub.cfg": test.text}))
			f.RedHat, f.Trust = true, false
			got := said(Evaluate(f).Start)
			if got = strings.ReplaceAll(got, `\\x`, `\x`); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}
