package recipe

import (
	"errors"
	"fmt"
	"maps"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// ErrValues reports values that are no texts or numbers by name.
var ErrValues = errors.New("no values for templates")

// maxValues bounds a file of values, in bytes.
const maxValues = 4 << 20

// Values reads values for templates, in YAML: a set of texts by name, or a list of such
// sets. Numbers and truths are texts as they are written: 1.10 is not 1.1, and 0755 not
// 493. file is its name, for errors.
func Values(file string, b []byte) (sets []map[string]string, list bool, err error) {
	if len(b) > maxValues {
		return nil, false, fmt.Errorf("%s: %w: more than %d bytes", file, ErrValues, maxValues)
	}
	f, err := parser.ParseBytes(b, 0)
	if err == nil {
		v := values{anchors: map[string]any{}}
		sets, list, err = v.document(f)
	}
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w: %w", file, ErrValues, err)
	}
	return sets, list, nil
}

// values are read from one document. What an alias names, a text or a set, is in anchors
// once it is complete: nothing contains itself.
type values struct{ anchors map[string]any }

func (v *values) document(f *ast.File) (sets []map[string]string, list bool, err error) {
	if len(f.Docs) > 1 {
		return nil, false, errors.New("there are several documents")
	}
	if len(f.Docs) == 0 || f.Docs[0].Body == nil {
		return nil, false, errors.New("there is nothing in it")
	}
	seq, list := f.Docs[0].Body.(*ast.SequenceNode)
	if !list {
		set, err := v.set(f.Docs[0].Body)
		return []map[string]string{set}, false, err
	}
	for n, node := range seq.Values {
		set, err := v.set(node)
		if err != nil {
			return nil, true, fmt.Errorf("entry %d: %w", n+1, err)
		}
		sets = append(sets, set)
	}
	if len(sets) == 0 {
		err = errors.New("there is nothing in it")
	}
	return sets, true, err
}

// set reads texts by name.
func (v *values) set(node ast.Node) (map[string]string, error) {
	switch n := node.(type) {
	case *ast.AnchorNode:
		set, err := v.set(n.Value)
		v.anchors[nameOf(n.Name)] = set
		return set, err
	case *ast.AliasNode:
		if set, ok := v.anchors[nameOf(n.Value)].(map[string]string); ok {
			return maps.Clone(set), nil
		}
		return nil, fmt.Errorf("nothing of texts by name has the anchor %s", nameOf(n.Value))
	case *ast.MappingValueNode:
		return v.pairs([]*ast.MappingValueNode{n})
	case *ast.MappingNode:
		return v.pairs(n.Values)
	}
	return nil, fmt.Errorf("line %d: no texts by name", lineOf(node))
}

func (v *values) pairs(list []*ast.MappingValueNode) (map[string]string, error) {
	out, own := map[string]string{}, map[string]string{}
	for _, p := range list {
		if p.Key.IsMergeKey() {
			set, err := v.set(p.Value)
			if err != nil {
				return nil, err
			}
			maps.Copy(out, set)
			continue
		}
		name, ok := v.text(p.Key)
		if !ok {
			return nil, fmt.Errorf("line %d: a name is not text", lineOf(p.Key))
		}
		if own[name], ok = v.text(p.Value); !ok {
			return nil, fmt.Errorf("the value of %s is not text or a number", name)
		}
	}
	maps.Copy(out, own) // which goes before what is merged
	return out, nil
}

// text reads a text, number or truth.
func (v *values) text(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.AnchorNode:
		s, ok := v.text(n.Value)
		if ok {
			v.anchors[nameOf(n.Name)] = s
		}
		return s, ok
	case *ast.AliasNode:
		s, ok := v.anchors[nameOf(n.Value)].(string)
		return s, ok
	case *ast.TagNode:
		return v.text(n.Value)
	case *ast.MappingKeyNode:
		return v.text(n.Value)
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// nameOf is the name of an anchor.
func nameOf(node ast.Node) string {
	if node == nil {
		return ""
	}
	return node.GetToken().Value
}

// lineOf is where a node stands, from 1.
func lineOf(node ast.Node) int {
	if node == nil || node.GetToken() == nil {
		return 1
	}
	return node.GetToken().Position.Line
}
