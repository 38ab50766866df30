package recipe

import "strings"

// Quote makes one word of an instruction out of a text: Vars.Words gives the text back.
func Quote(s string) string {
	if s != "" && !strings.ContainsAny(s, " \t\"'\\$`#") && !strings.HasPrefix(s, "[") && !strings.HasPrefix(s, "--") && !strings.HasPrefix(s, "<<") {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`).Replace(s) + `"`
}
