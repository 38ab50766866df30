package build_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/isolayer/isolayer/edit"
	"github.com/isolayer/isolayer/internal/distro"
	"github.com/isolayer/isolayer/internal/isotest"
	"github.com/isolayer/isolayer/internal/qemu"
)

// preseedFile lets the installer say on its console what it has read. The text is put
// together by the shell: the console cannot show it unless the command ran.
const preseedFile = `d-i debian-installer/locale string en_US.UTF-8
d-i preseed/early_command string (echo "PRESEED-""EARLY"; grep preseed: /var/log/syslog; debconf-get debian-installer/locale; echo "PRESEED-""END") > /dev/console
d-i partman/confirm boolean true
`

// TestDebianInstaller: Debian's installer starts from the changed image and reads the
// preseed file, by its own words on the console, with BIOS and UEFI. That takes minutes:
// without ISOLAYER_SOAK only UEFI is tried.
func TestDebianInstaller(t *testing.T) {
	if testing.Short() {
		t.Skip("boots virtual machines")
	}
	base, _, _ := isotest.Family(t, "testdata/debian-installer.txtar")
	made := filepath.Join(t.TempDir(), "made.iso")
	img := rebuild(t, base, made, edit.AnswerFile{Kind: distro.Preseed, Source: localFile(t, "my.cfg", preseedFile)})
	if len(img.Report.Unattended) == 0 {
		t.Error("no word that the image installs unattended")
	}
	texts := []string{"PRESEED-EARLY", "successfully loaded preseed file from file:///preseed.cfg", "en_US.UTF-8", "PRESEED-END"}
	firmware := []qemu.Firmware{qemu.UEFI}
	if os.Getenv("ISOLAYER_SOAK") != "" {
		firmware = append(firmware, qemu.BIOS)
	}
	for _, f := range firmware {
		res := isotest.Boot(t, made, f, qemu.CD, texts...)
		t.Logf("%s: the installer's words after %.0f s:", f, res.Took.Seconds())
		for l := range strings.Lines(res.Console) {
			if strings.Contains(l, "preseed") {
				t.Logf("  %s", strings.TrimSpace(l))
			}
		}
	}
}

// TestDebianLive: files added to the initrd of a live system are there when it boots, and
// it boots to its login, with BIOS and UEFI.
func TestDebianLive(t *testing.T) {
	if testing.Short() {
		t.Skip("boots virtual machines")
	}
	base, made := isotest.Live(t), filepath.Join(t.TempDir(), "made.iso")
	// initramfs-tools reads what is in conf/conf.d.
	conf := localFile(t, "zz-note", "echo \"FILE-IN-\"\"INITRD\" > /dev/console\n")
	rebuild(t, base, made, edit.InitrdAdd{Adds: []edit.Add{{Source: conf, Dest: "/conf/conf.d/"}}}, edit.Add{Source: conf}, edit.MenuTimeout{Seconds: 1})
	if checkSums(t, made) == 0 {
		t.Error("no list of checksums")
	}
	isotest.Tool(t, "qemu-system-x86_64")
	for _, f := range []qemu.Firmware{qemu.BIOS, qemu.UEFI} {
		res, err := qemu.Run(t.Context(), made, qemu.Options{
			Firmware: f, Media: qemu.CD, Memory: 1024, NoKVM: true, Timeout: 15 * time.Minute, Expect: []string{"FILE-IN-INITRD", "login:"},
		})
		if err != nil || len(res.Missing) > 0 {
			t.Errorf("%s: %v; it did not show %q: %s", f, err, res.Missing, res.Console[max(0, len(res.Console)-1000):])
			continue
		}
		t.Logf("%s: login after %.0f s", f, res.Took.Seconds())
	}
}
