package routesfile

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// tableKey holds, in the maps that koanf layers, where a table is written. No file can
// contain it: keys with control characters are refused.
const tableKey = "\x00"

// nodes keeps every value with its place while koanf layers mere numbers of nodes:
// that is how positions survive a merge, and dates and large numbers its copying.
type nodes struct {
	all []*node
}

func (s *nodes) add(n *node) int {
	s.all = append(s.all, n)
	return len(s.all) - 1
}

// parser turns a file into a map for koanf: tables as maps, everything else as the
// number of a node.
type parser struct {
	nodes  *nodes
	env    map[string]string
	check  bool
	sealed bool
	report *report

	dir string // of the file at hand
}

// parse reads one file. ok is false when it is no TOML, or not what a routes file is
// made of; the report says where.
func (p *parser) parse(f file) (tree map[string]any, ok bool) {
	data, err := decodeText(f.data)
	if err != nil {
		p.report.errorf(place{f.path, 1, 1}, "%s", err)
		return nil, false
	}
	root, ok := index(f.path, data, p.report)
	if !ok {
		return nil, false
	}
	var values map[string]any
	if err := toml.Unmarshal(data, &values); err != nil {
		at := place{f.path, 1, 1}
		message := err.Error()
		if bad, ok := errors.AsType[*toml.DecodeError](err); ok {
			offset, text := plainSyntax(data, offsetOf(data, bad), trimTOML(bad.Error()))
			at, message = placeIn(f.path, data, offset), text
		}
		p.report.errorf(at, "not valid TOML: %s", trimTOML(message))
		return nil, false
	}
	p.dir = filepath.Dir(f.path)
	if f.tests && !onlyTests(f.path, root, p.report) {
		return nil, false
	}
	return p.table(values, root, nil), true
}

// decodeText removes the mark that Windows editors put before UTF-8, and refuses what
// is not UTF-8 at all with a message that says what to do.
func decodeText(data []byte) ([]byte, error) {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return nil, errors.New("the file is in UTF-16; save it as UTF-8")
	}
	return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), nil
}

func trimTOML(message string) string {
	for {
		rest, ok := strings.CutPrefix(message, "toml: ")
		if !ok {
			return message
		}
		message = rest
	}
}

// table converts a table; the map has its place under tableKey.
func (p *parser) table(values map[string]any, s *spot, path []string) map[string]any {
	table := make(map[string]any, len(values)+1)
	if s != nil {
		table[tableKey] = p.nodes.add(&node{path: path, key: s.key, at: s.value, dir: p.dir})
	}
	for key, value := range values {
		at := s.child(key)
		below := join(path, key)
		if inner, ok := value.(map[string]any); ok {
			table[key] = p.table(inner, at, below)
			continue
		}
		table[key] = p.nodes.add(p.node(value, at, below))
	}
	return table
}

// node converts a value whole, as lists and what is in them are: they are replaced by
// later layers, not merged.
func (p *parser) node(value any, s *spot, path []string) *node {
	n := &node{path: path, dir: p.dir}
	if s != nil {
		n.key, n.at = s.key, s.value
	}
	switch v := value.(type) {
	case map[string]any:
		n.table = make(map[string]*node, len(v))
		for key, inner := range v {
			n.table[key] = p.node(inner, s.child(key), join(path, key))
		}
	case []any:
		n.list = make([]*node, 0, len(v))
		for i, inner := range v {
			n.list = append(n.list, p.node(inner, s.item(i), join(path, item(i))))
		}
	case string:
		p.expand(n, v)
	default:
		n.value = v
	}
	return n
}

func (p *parser) expand(n *node, text string) {
	if n.path[0] == "tests" { // a test says what there is, and has a message with a $ as it is
		n.value = text
		return
	}
	if strings.Contains(text, "$") {
		n.raw = text
	}
	expanded, err := expand(text, p.dir, p.env, p.sealed)
	if err == nil {
		n.value, n.loose = expanded.text, expanded.only
		p.report.keep(expanded.secrets)
		if expanded.any {
			n.source = strconv.Quote(text)
		}
		return
	}
	n.value, n.skipped, n.source = "", true, strconv.Quote(text)
	n.trouble = &trouble{of: n, why: err.Error()}
	lacks, absent := errors.AsType[absentError](err)
	switch {
	case !absent:
	case p.sealed && slices.Contains([]string{"redis", "log", "http", "sources", "handlers"}, n.path[0]):
		n.trouble = nil
	case p.check:
		n.trouble.note = true
	case p.sealed:
		n.trouble.why = lacks.inTest()
	}
}

// item is the part of a path that stands for an element of a list. No key begins so.
func item(i int) string { return delim + strconv.Itoa(i+1) }

// join is append that never shares memory between siblings.
func join(path []string, key string) []string {
	return append(slices.Clip(path), key)
}
