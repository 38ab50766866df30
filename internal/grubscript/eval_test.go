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
	{name: "fallback", text: "timeout=2\nset fallback='1 2'\nmenuentry A { false\n}\n" + two, want: "starts 2 > A | a one (falls back, as \"A\" fails)"},
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
