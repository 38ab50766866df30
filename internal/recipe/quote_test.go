package recipe

import "testing"

// TestQuote: what is quoted is one word, and the same text again.
func TestQuote(t *testing.T) {
	for _, s := range []string{"plain", "", "two words", `a"b`, `it's`, `back\slash`, `end\`, "$HOME", "${x:-y}", "#no comment", "[", "[x]", "--flag", "<<EOF", "a`b", "tab\there", "ü"} {
		r, err := Parse("Isofile", []byte("FROM base.iso\nKARG first "+Quote(s)+" last\n"))
		if err != nil {
			t.Errorf("%q: %v", s, err)
			continue
		}
		words, err := Vars{"HOME": "no", "x": "no"}.Words(&r.Stages[0].Steps[0])
		if err != nil || len(words) != 3 || words[1] != s {
			t.Errorf("%q came back as %q, %v", s, words, err)
		}
	}
}
