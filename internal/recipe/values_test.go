package recipe

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestValues: texts are what YAML says, numbers and truths are as they are written.
func TestValues(t *testing.T) {
	for _, c := range []struct {
		name, text string
		list       bool
		want       []map[string]string
	}{
		{"one", "name: node1\nip: 10.0.0.1\n", false, []map[string]string{{"name": "node1", "ip": "10.0.0.1"}}},
		{"list", "- {name: a}\n- name: b\n  n: 2\n", true, []map[string]string{{"name": "a"}, {"name": "b", "n": "2"}}},
		{
			"as written", "v: 1.10 # not 1.1\nmode: 0755\nbig: 123456789012345678901\nhex: 0x1F\non: true\nexp: 1e3\nneg: -007\nday: 2024-01-01\n", false,
			[]map[string]string{{"v": "1.10", "mode": "0755", "big": "123456789012345678901", "hex": "0x1F", "on": "true", "exp": "1e3", "neg": "-007", "day": "2024-01-01"}},
		},
		{"quoted", "a: '0755'\nb: \"x\\ty\" # z\nc: 'it''s'\nd: ''\n", false, []map[string]string{{"a": "0755", "b": "x\ty", "c": "it's", "d": ""}}},
		{"lines", "a: |\n  one\n  two\nb: >-\n  three\n  four\n", false, []map[string]string{{"a": "one\ntwo\n", "b": "three four"}}},
		{"anchors", "- &x\n  a: 1.50\n  b: two\n- <<: *x\n  b: 0644\n", true, []map[string]string{{"a": "1.50", "b": "two"}, {"a": "1.50", "b": "0644"}}},
		{"alias", "a: &v 010\nb: *v\n", false, []map[string]string{{"a": "010", "b": "010"}}},
	} {
		got, list, err := Values("hosts.yaml", []byte(c.text))
		if err != nil || list != c.list {
			t.Errorf("%s: list %v, %v", c.name, list, err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
	for _, text := range []string{"", "[]", "text", "3", "- a\n- b\n", "a: {b: c}\n", "a: [1]\n", "a:\n", "a: ~\n", "- a: 1\n- b: [x]\n", "a: 'open\n", "\x00", "a: *none\n", "a: 1\na: 2\n", "a: &x *x\n", "- &x\n  <<: *x\n", "a: 1\n---\nb: 2\n"} {
		if got, _, err := Values("hosts.yaml", []byte(text)); !errors.Is(err, ErrValues) {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
	_, _, err := Values("hosts.yaml", []byte("- a: 1\n- {b: [x]}\n"))
	if want := "hosts.yaml: no values for templates: entry 2: the value of b is not text or a number"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func FuzzValues(f *testing.F) {
	f.Add([]byte("- &x\n  a: 1.50\n- <<: *x\n  b: 0644\n"))
	f.Add([]byte("a: |\n  one\nb: {c: d}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		sets, list, err := Values("f", b)
		if err == nil && (len(sets) == 0 || !list && len(sets) != 1) {
			t.Errorf("%d sets, list %v", len(sets), list)
		}
	})
}
