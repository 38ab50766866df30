package loadertest

import (
	"os"
	"testing"
)

// TestStandIn: each loader starts the stand-in with its command line and its initrds.
func TestStandIn(t *testing.T) {
	if testing.Short() {
		t.Skip("boots virtual machines")
	}
	for _, c := range []struct {
		name   string
		loader Loader
		files  map[string]string
		want   string
	}{
		{"prompt", ISOLINUX, map[string]string{"isolinux/isolinux.cfg": "DEFAULT linux a \"b  c\"\nLABEL linux\nKERNEL /vmlinuz\nINITRD /i1,/i2\n"}, `/vmlinuz "BOOT_IMAGE=/vmlinuz initrd=/i1,/i2 a \"b  c\"" [i1 i2]`},
		{"menu", ISOLINUX, map[string]string{"isolinux/isolinux.cfg": "UI menu.c32\nTIMEOUT 300\nLABEL a\nKERNEL /vmlinuz\nLABEL b\nMENU DEFAULT\nKERNEL /vmlinuz2\nAPPEND initrd=/i1 x\n"}, `/vmlinuz2 "BOOT_IMAGE=/vmlinuz2 initrd=/i1 x" [i1]`},
		{"local", ISOLINUX, map[string]string{"isolinux/isolinux.cfg": "DEFAULT a\nLABEL a\nLOCALBOOT -1\n"}, `local disk "" []`},
		{"waits", ISOLINUX, map[string]string{"isolinux/isolinux.cfg": "PROMPT 1\nDEFAULT a\nLABEL a\nKERNEL /vmlinuz\n"}, `nothing`},
		{"timeout", GRUB, map[string]string{"boot/grub/grub.cfg": grubMenu + "set timeout=3\n"}, `/vmlinuz2 "BOOT_IMAGE=/vmlinuz2 x \"y z\"" [i1 i2]`},
		{"real mode", GRUB, map[string]string{"boot/grub/grub.cfg": "linux16 /vmlinuz x\ninitrd16 /i1\nboot\n"}, `/vmlinuz "BOOT_IMAGE=/vmlinuz x" [i1]`},
		{"waits", GRUB, map[string]string{"boot/grub/grub.cfg": grubMenu}, `nothing`},
		{"local", GRUB, map[string]string{"boot/grub/grub.cfg": "exit\n"}, `local disk "" []`},
		{"timeout", GRUBEFI, map[string]string{"boot/grub/grub.cfg": grubMenu + "set timeout=1\n"}, `/vmlinuz2 "BOOT_IMAGE=/vmlinuz2 x \"y z\"" [i1 i2]`},
		{"chain local", GRUBEFI, map[string]string{"boot/grub/grub.cfg": "search --set=d --file /EFI/BOOT/BOOTX64.EFI\nchainloader (hd0)/EFI/BOOT/BOOTX64.EFI\nboot\n"}, `local disk "" []`},
		{"exit", GRUBEFI, map[string]string{"boot/grub/grub.cfg": "exit\n"}, `nothing`},
		{"chain", GRUBEFI, map[string]string{"boot/grub/grub.cfg": "chainloader /vmlinuz a b\nboot\n"}, `/vmlinuz "a b" []`},
		{"waits", GRUBEFI, map[string]string{"boot/grub/grub.cfg": grubMenu}, `nothing`},
		{"default", GRUBLegacy, map[string]string{"boot/grub/menu.lst": "default 1\ntimeout 3\ntitle a\nkernel /vmlinuz\ntitle b\nkernel /vmlinuz2 x y\ninitrd /i1\n"}, `/vmlinuz2 "x y" [i1]`},
		{"entry", SystemBoot, map[string]string{"loader/loader.conf": "timeout 2\ndefault b*\n", "loader/entries/a.conf": "title a\nlinux /vmlinuz\n", "loader/entries/b.conf": "title b\nlinux /vmlinuz2\noptions x  y\ninitrd /i1\n"}, `/vmlinuz2 "initrd=\\i1 x  y" []`},
		{"entry", REFInd, map[string]string{"EFI/BOOT/refind.conf": "timeout 2\ntextonly\nscanfor manual\nmenuentry first {\nloader /vmlinuz\n}\nmenuentry second {\nloader /vmlinuz2\ninitrd /i1\noptions \"x  y\"\n}\ndefault_selection second\n"}, `/vmlinuz2 "x  y initrd=\\i1" []`},
	} {
		t.Run(string(c.loader)+"/"+c.name, func(t *testing.T) {
			if slow := c.loader == GRUBEFI && c.name != "timeout" || c.loader == GRUB && c.want == "nothing"; slow && os.Getenv("ISOLAYER_SOAK") == "" {
				t.Skip("takes seconds")
			}
			files := map[string][]byte{"vmlinuz": Kernel("/vmlinuz"), "vmlinuz2": Kernel("/vmlinuz2"), "i1": Initrd("i1"), "i2": Initrd("i2")}
			for name, text := range c.files {
				files[name] = []byte(text)
			}
			out := Boot(t, Medium{Loader: c.loader, Files: files})
			if out.String() != c.want {
				t.Errorf("%s, want %s\n%s\n%s", out, c.want, out.Serial, out.Screen)
			}
		})
	}
}

const grubMenu = "set default=1\nmenuentry a { linux /vmlinuz }\nmenuentry b {\nlinux /vmlinuz2 x 'y z'\ninitrd /i1 /i2\n}\n"
