package grubscript

import (
	"slices"
	"strings"
	"testing"
)

// shape is a menu as somebody writes it.
type shape struct {
	name, text, want string
	files            memory
	platform         string
	secret           int // entries that only keys start
}

// shapes are menus as distributions write them, shortened.
var shapes = []shape{
	{name: "SUSE", text: `
default=1
timeout=60
if [ "$grub_platform" == "efi" ]; then linux=linuxefi; initrd=initrdefi; else linux=linux; initrd=initrd; fi
if sleep --verbose --interruptible 1; then true; fi
menuentry 'Boot from Hard Disk' --class os {
  if search --no-floppy --file /efi/boot/fallback.efi --set; then
    for os in opensuse sles; do
      if [ -f /efi/$os/grub.efi ]; then chainloader /efi/$os/grub.efi; boot; fi
    done
  fi
  exit
}
menuentry 'Installation' --class os {
  set gfxpayload=keep
  echo 'Loading kernel ...'
  $linux /boot/x86_64/loader/linux splash=silent
  echo 'Loading initial ramdisk ...'
  $initrd /boot/x86_64/loader/initrd
}
hiddenentry 'Text mode' --hotkey 't' { set textmode=true; }
`, want: "starts 61 > Installation | boot/x86_64/loader/linux splash=silent", secret: 1},
	{name: "Arch", text: `
insmod part_gpt
if [ -z "${ARCHISO_UUID}" ]; then
    if [ -z "${ARCHISO_HINT}" ]; then regexp --set=1:ARCHISO_HINT '^\(([^)]+)\)' "${cmdpath}"; fi
    search --no-floppy --set=root --file '%ARCHISO_SEARCH_FILENAME%' --hint "${ARCHISO_HINT}"
    probe --set ARCHISO_UUID --fs-uuid "${root}"
fi
timeout=15
timeout_style=menu
default=archlinux
if [ "${grub_platform}" == 'efi' ]; then archiso_platform='UEFI'; else archiso_platform='BIOS'; fi
menuentry "Arch Linux install medium (%ARCH%, ${archiso_platform})" --class arch --class gnu-linux --id 'archlinux' {
    set gfxpayload=keep
    linux /arch/boot/vmlinuz archisobasedir=arch archisosearchuuid=${ARCHISO_UUID}
    initrd /arch/boot/initramfs.img
}
if [ "${grub_platform}" == 'efi' ]; then menuentry 'UEFI Firmware Settings' --id 'uefi-firmware' { fwsetup
}; fi
`, want: "starts 15 > Arch Linux install medium (%ARCH%, BIOS) | arch/boot/vmlinuz archisobasedir=arch archisosearchuuid=2026-11-29-10-00-00-00"},
	{name: "Void", text: "search --no-floppy --set=voidlive --label MY_ISO\nsource \"(${voidlive})/boot/grub/grub_void.cfg\"\n", files: memory{"boot/grub/grub_void.cfg": `
export linux_cmdline="root=live:CDLABEL=MY_ISO ro"
default=linux
timeout=15
if [ cpuid -l ]; then
  menuentry "Void (64)" --id "linux" {
    set gfxpayload="keep"
    linux (${voidlive})/boot/vmlinuz ro loglevel=4 \
      vconsole.keymap=us
    initrd (${voidlive})/boot/initrd
  }
fi
`}, want: "starts 15 > Void (64) | boot/vmlinuz ro loglevel=4 vconsole.keymap=us"},
	{name: "Fedora", platform: "efi", text: `set default="1"

function load_video {
  insmod efi_gop
  insmod all_video
}

load_video
set gfxpayload=keep
insmod gzio
set timeout=60
### END /etc/grub.d/00_header ###

search --no-floppy --set=root -l 'MY_ISO'

menuentry 'Install Fedora' --class fedora --class os {
	linuxefi /images/pxeboot/vmlinuz inst.stage2=hd:LABEL=MY_ISO quiet
	initrdefi /images/pxeboot/initrd.img
}
menuentry 'Test this media & install Fedora' --class fedora --class os {
	linuxefi /images/pxeboot/vmlinuz inst.stage2=hd:LABEL=MY_ISO rd.live.check quiet
	initrdefi /images/pxeboot/initrd.img
}
submenu 'Troubleshooting -->' {
	menuentry 'Rescue' {
		linuxefi /images/pxeboot/vmlinuz inst.rescue quiet
	}
}
`, want: "starts 60 > Test this media & install Fedora | images/pxeboot/vmlinuz inst.stage2=hd:LABEL=MY_ISO rd.live.check quiet"},
	{name: "Debian", text: `source /boot/grub/config.cfg
menuentry "Live system" --hotkey=l {
	linux	/live/vmlinuz boot=live components findiso=${iso_path}
	initrd	/live/initrd.img
}
`, files: memory{"boot/grub/config.cfg": "set default=0\nset timeout=-1\nif [ x$feature_default_font_path = xy ] ; then\n   font=unicode\nelse\n   font=$prefix/unicode.pf2\nfi\nif loadfont $font ; then\n  set timeout=3\nfi\n"}, want: "waits"},
	{name: "Ubuntu", text: `if loadfont /boot/grub/font.pf2 ; then
	set gfxmode=auto
	terminal_output gfxterm
fi
set timeout=30
menuentry "Try or Install Ubuntu" {
	set gfxpayload=keep
	linux	/casper/vmlinuz  --- quiet splash
	initrd	/casper/initrd
}
grub_platform
if [ "$grub_platform" = "efi" ]; then
menuentry 'Boot from next volume' {
	exit 1
}
fi
`, want: "starts 30 > Try or Install Ubuntu | casper/vmlinuz --- quiet splash"},
	{name: "kiwi", text: `set default=1
set timeout=10
if [ -n "$extra_cmdline" ]; then
  submenu "Bootable snapshot #$snapshot_num" {
    menuentry "If OK" { true; }
  }
fi
menuentry "Boot from Hard Disk" { exit
}
menuentry "Install" {
  linux ($root)/boot/linux $isoboot rd.kiwi.install.pxe
}
`, want: "starts 10 > Install | boot/linux rd.kiwi.install.pxe"},
	{name: "text that is run", text: `set timeout=30
set label=RESCUE
function add { menuentry="$menuentry
menuentry \"Boot $1\" {
  set gfxpayload=keep
  linux /sys/vmlinuz archisolabel=$label $2
}"
}
add "by default" ""
add "to RAM" "copytoram"
eval "${menuentry}"
`, want: "starts 30 > Boot by default | sys/vmlinuz archisolabel=RESCUE"},
	{name: "loops", text: `set timeout=20
set default=1
insmod regexp
menuentry "Language" { configfile $prefix/lang.cfg
}
for dir in /distro/*; do
  for k in $dir/vm*; do
    if [ -e "$k.info" ]; then menuentry "Start $k" "$k" { linux $2 root=$dir }; fi
  done
done
`, files: memory{"distro/a/vmlinuz": "", "distro/b/vmlinuz": "", "distro/b/vmlinuz.info": "x"}, want: "starts 20 > Start /distro/b/vmlinuz | distro/b/vmlinuz root=/distro/b"},
	{name: "TrueNAS", text: `set default="serial"
if terminal_output gfxterm; then
  set default="video"
fi
if [ "${recordfail}" = 1 ] ; then set timeout=30; else
  if [ x$feature_timeout_style = xy ] ; then set timeout=15
  elif sleep --interruptible 0 ; then set timeout=0
  fi
fi
menuentry --hotkey=i --id=video 'Start' { linux /vmlinuz quiet
}
menuentry --hotkey=j --id=serial 'Start (serial)' { linux /vmlinuz quiet console=ttyS0
}
`, want: "starts 15 > Start | vmlinuz quiet OR starts 15 > Start (serial) | vmlinuz quiet console=ttyS0"},
	{name: "images in a directory", text: `set timeout=5
function iso { set iso_path="$1"; loopback loop "$1"; set root=(loop); configfile /boot/grub/loopback.cfg
}
insmod regexp
for f in /iso/*.iso; do menuentry "$f" "$f" { iso "$2"
}; done
`, files: memory{"iso/a.iso": "x"}, want: "waits > /iso/a.iso (it goes on with (loop)/boot/grub/loopback.cfg, which is not looked at)"},
	{name: "arguments in a function", text: `timeout=10
function add_entry {
  title="$1 $TITLE"
  shift
  menuentry "$title" "$@" {
    shift
    linux /kernel $ARGS "$@"
  }
}
TITLE=OS
ARGS='root=/dev/ram0 quiet'
add_entry Try a=1
add_entry Install a=2 "b=x y"
`, want: "starts 10 > Try OS | kernel root=/dev/ram0 quiet a=1"},
	{name: "saved default", text: "load_env\nif [ -n \"$saved_entry\" ]; then set default=\"${saved_entry}\"; else set default=two; fi\nset timeout=4\n" + "menuentry One --id one { linux /1\n}\nmenuentry Two --id two { savedefault; linux /2\n}\n", want: "starts 4 > Two | 2"},
	{name: "Xen", text: "set timeout=5\nmenuentry install {\n    multiboot2 /boot/xen.gz dom0_mem=max:8192M\n    module2 /boot/vmlinuz console=tty0\n    module2 /install.img\n}\n", want: "starts 5 > install | boot/xen.gz dom0_mem=max:8192M | boot/vmlinuz console=tty0 | install.img"},
}

func TestShapes(t *testing.T) {
	for _, test := range shapes {
		t.Run(test.name, func(t *testing.T) {
			r := Evaluate(at(test.on(), test.tree()))
			if got := said(r.Start); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if got := len(r.Menus[0].Secret); got != test.secret {
				t.Errorf("%d entries by keys, not %d", got, test.secret)
			}
			for _, x := range r.Remarks {
				if strings.Contains(x.Text, "understand") {
					t.Error(x)
				}
			}
		})
	}
}

func (s *shape) on() string {
	if s.platform != "" {
		return s.platform
	}
	return "pc"
}

// tree is the files of a shape.
func (s *shape) tree() memory {
	files := memory{"boot/grub/grub.cfg": s.text}
	for name, text := range s.files {
		files[name] = text
	}
	return files
}

// TestShapesEdits: every kernel gets an argument, the menu another timeout, and each entry
// in its turn becomes the default.
func TestShapesEdits(t *testing.T) {
	for _, test := range shapes {
		t.Run(test.name, func(t *testing.T) {
			r := Evaluate(at(test.on(), test.tree()))
			want := map[*Load][]string{}
			for _, l := range r.loads() {
				if loaders[l.Command] == roleKernel {
					want[l] = append(slices.Clone(argTexts(l)), "added=1")
				}
			}
			if _, err := r.SetArgs(want); err != nil {
				t.Error(err)
			}
			if _, err := r.SetTimeout(2); err != nil {
				t.Error(err)
			}
			for _, e := range r.Menus[0].Entries {
				if _, err := r.SetDefault(e); err != nil {
					t.Error(e.Title, err)
				}
			}
		})
	}
}
