package loadertest

import (
	"context"
	"os"
	"path/filepath"
	"sync"
)

// builtIn are the modules in the core image. All others lie on the medium, beside their lists.
var builtIn = map[string][]string{
	"i386-pc":    {"biosdisk", "linux16", "multiboot", "multiboot2", "ntldr"},
	"x86_64-efi": {"part_apple"},
	"": {
		"iso9660", "fat", "part_msdos", "part_gpt", "normal", "linux", "test", "search", "search_label", "configfile", "echo", "minicmd",
		"chain", "reboot", "halt", "true", "sleep", "regexp", "ls", "loopback", "loadenv", "all_video",
	},
}

var cores = struct {
	sync.Mutex
	made map[[2]string][]byte
}{made: map[[2]string][]byte{}}

// grubCore returns GRUB's core image that reads dir/grub.cfg.
func grubCore(ctx context.Context, platform, dir string) ([]byte, error) {
	cores.Lock()
	defer cores.Unlock()
	key := [2]string{platform, dir}
	if b := cores.made[key]; b != nil {
		return b, nil
	}
	tmp, err := os.MkdirTemp("", "isolayer-core-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	format := platform
	if platform == "i386-pc" {
		format += "-eltorito"
	}
	file := filepath.Join(tmp, "core")
	args := []string{"-O", format, "-o", file, "-p", "/" + dir}
	args = append(append(args, builtIn[platform]...), builtIn[""]...)
	if err := runTool(ctx, "grub-mkimage", args...); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(file)
	if err == nil {
		cores.made[key] = b
	}
	return b, err
}
