package menu

import (
	"slices"
	"strings"

	"github.com/isolayer/isolayer/internal/bootcfg"
)

// Spelled returns what entries that start a kernel have in the place of an argument: names
// are its other names that are in use, texts the arguments as they stand that say
// something else. One name is what canonical makes of each.
func (e *Edit) Spelled(k bootcfg.Karg, canonical func(name string) string) (names, texts []string, err error) {
	menus, err := e.Before()
	if err != nil {
		return nil, nil, err
	}
	for _, m := range menus {
		for _, x := range m.Entries {
			if !x.Boots() {
				continue
			}
			for _, arg := range strings.Fields(x.Args) {
				name, _, _ := strings.Cut(arg, "=")
				if canonical(name) != canonical(k.Name()) {
					continue
				}
				if name != k.Name() {
					names = append(names, name)
				}
				if arg != k.Text() {
					texts = append(texts, arg)
				}
			}
		}
	}
	slices.Sort(names)
	slices.Sort(texts)
	return slices.Compact(names), slices.Compact(texts), nil
}
