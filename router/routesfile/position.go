package routesfile

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"
)

// maxDepth is how deep tables and lists may nest. Nothing of ours is deeper than six
// levels, and a document of dots would otherwise cost quadratic time.
const maxDepth = 16

// maxKeys is how many keys and tables a file may have: two thousand routes or so.
// Checking and merging many more would take seconds.
const maxKeys = 10_000

// spot says where a key and its value are in a document, and those below it.
// Everything that depends on go-toml's unstable API is in this file.
type spot struct {
	key, value place
	name       string
	header     bool // has a [table] header of its own
	whole      bool // has a value that nothing can be added to
	keys       map[string]*spot
	items      []*spot
}

func (s *spot) child(key string) *spot {
	if s == nil {
		return nil
	}
	return s.keys[key]
}

func (s *spot) item(i int) *spot {
	if s == nil || i >= len(s.items) {
		return nil
	}
	return s.items[i]
}

// indexer walks a document's expressions and notes where each key and value is.
type indexer struct {
	file   string
	doc    []byte
	starts []int // offset of each line
	report *report
	parser unstable.Parser

	keys int // seen so far

	last       place // what at returned last, and for which offset
	lastOffset int
}

// index returns where everything in doc is. It reports what is wrong in the syntax,
// and what TOML allows but a routing file does not mean; ok is false if there was any.
func index(file string, doc []byte, report *report) (root *spot, ok bool) {
	ix := &indexer{file: file, doc: doc, starts: []int{0}, report: report}
	for i, b := range doc {
		if b == '\n' {
			ix.starts = append(ix.starts, i+1)
		}
	}
	before := report.failures()
	root = &spot{key: place{file, 1, 1}, value: place{file, 1, 1}}
	current := root
	ix.parser.Reset(doc)
	for ix.parser.NextExpression() && !report.full() && ix.keys <= maxKeys {
		node := ix.parser.Expression()
		switch node.Kind {
		case unstable.Table, unstable.ArrayTable:
			current = ix.header(root, node)
		case unstable.KeyValue:
			ix.keyValue(current, node, 0)
		}
	}
	if err := ix.parser.Error(); err != nil {
		ix.syntax(err)
	}
	return root, report.failures() == before
}

// at is the place of an offset. It counts characters from the place it was last asked
// for: lines may be as long as files, and a count from their start quadratic.
func (ix *indexer) at(offset int) place {
	offset = runeStart(ix.doc, offset)
	line, exact := slices.BinarySearch(ix.starts, offset)
	if !exact {
		line--
	}
	if start := ix.starts[line]; ix.last.line != line+1 {
		ix.last, ix.lastOffset = place{ix.file, line + 1, 1}, start
	}
	if offset >= ix.lastOffset {
		ix.last.column += utf8.RuneCount(ix.doc[ix.lastOffset:offset])
	} else {
		ix.last.column -= utf8.RuneCount(ix.doc[offset:ix.lastOffset])
	}
	ix.lastOffset = offset
	return ix.last
}

// runeStart is the offset of the character that offset lies in.
func runeStart(doc []byte, offset int) int {
	for start := max(0, offset-utf8.UTFMax+1); start < offset; start++ {
		if _, length := utf8.DecodeRune(doc[start:]); start+length > offset {
			return start
		}
	}
	return offset
}

// maxSyntax is how many errors of syntax one file may have before the others are left out.
const maxSyntax = 10

// syntax reports an error of the parser, and what else is wrong in the syntax: the lines
// of an error are blanked, and the rest is parsed again. Only syntax, as without those
// lines the rest may mean something else.
func (ix *indexer) syntax(err error) {
	doc, parser := ix.doc, &ix.parser
	for told := 0; err != nil && told < maxSyntax; told++ {
		bad, ok := errors.AsType[*unstable.ParserError](err)
		if !ok {
			ix.report.errorf(place{ix.file, 1, 1}, "not valid TOML: %s", err)
			return
		}
		if told > 0 && strings.Contains(bad.Message, "multiline") {
			return // its end was blanked
		}
		offset := int(parser.Range(bad.Highlight).Offset)
		whole := ""
		if told == 0 {
			whole = foreign(doc, offset)
		}
		at, text := plainSyntax(doc, offset, bad.Message)
		ix.report.errorf(ix.at(at), "not valid TOML: %s", cmp.Or(whole, text))
		if whole != "" || strings.Contains(text, saveTheFile) || strings.HasPrefix(text, unclosedText) {
			return // all that follows may be wrong for the same reason
		}
		doc = blank(doc, at, offset)
		parser = &unstable.Parser{}
		parser.Reset(doc)
		for parser.NextExpression() {
			continue
		}
		err = parser.Error()
	}
}

// header enters the table of a [header] or [[header]].
func (ix *indexer) header(root *spot, node *unstable.Node) *spot {
	var keys []*unstable.Node
	for it := node.Key(); it.Next(); {
		keys = append(keys, it.Node())
	}
	at := ix.at(int(keys[0].Raw.Offset))
	if len(keys) > maxDepth {
		ix.report.errorf(at, "tables nest deeper than %d levels", maxDepth)
		return &spot{}
	}
	list := node.Kind == unstable.ArrayTable
	name := string(keys[0].Data)
	isList := slices.Contains(lists(), name)
	if !list && len(keys) == 1 && isList {
		ix.report.errorf(at, "%s are a list: write [[%s]], with two brackets, before each %s", name, name, strings.TrimSuffix(name, "s"))
		return &spot{}
	}
	if len(keys) > 1 && isList && root.child(name) == nil {
		ix.report.errorf(at, "%s have no names in brackets: write [[%s]], and name = %q below it", name, name, keys[1].Data)
		return &spot{}
	}
	if list && len(keys) <= 2 && !isList && slices.Contains(topTables(), name) {
		example := joinKeys(keys)
		if len(keys) == 1 && !singleTable(name) {
			example += ".NAME"
		}
		ix.report.errorf(at, "%s is a table, not a list: write [%s], with one bracket", name, example)
		return &spot{}
	}
	current := root
	for i, key := range keys {
		last := i == len(keys)-1
		current = ix.enter(current, key)
		switch {
		case last && current.whole && !current.header:
			ix.taken(current, ix.at(int(key.Raw.Offset)))
			return &spot{}
		case last && list:
			ix.keys++
			item := &spot{key: at, value: at}
			current.items = append(current.items, item)
			return item
		case !last && len(current.items) > 0:
			current = current.items[len(current.items)-1]
		}
	}
	if current.header {
		ix.report.errorf(at, "table [%s] is written twice, first in line %d; put its keys in one place", joinKeys(keys), current.value.line)
		return &spot{}
	}
	current.header, current.value = true, ix.at(int(keys[len(keys)-1].Raw.Offset))
	current.key = current.value
	return current
}

// enter returns the spot of one part of a key, made if need be.
func (ix *indexer) enter(parent *spot, key *unstable.Node) *spot {
	name := string(key.Data)
	if known := parent.keys[name]; known != nil {
		return known
	}
	at := ix.at(int(key.Raw.Offset))
	if parent.whole {
		ix.taken(parent, at)
	}
	if ix.keys++; ix.keys == maxKeys+1 {
		ix.report.errorf(at, "more than %d keys in one file; a pattern or a list does the work of many channels and routes", maxKeys)
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		ix.report.errorf(at, "key %q has a control character; keys are printable", name)
	}
	if parent.keys == nil {
		parent.keys = make(map[string]*spot)
	}
	made := &spot{key: at, value: at, name: name}
	parent.keys[name] = made
	return made
}

// taken reports a key below one that has a value.
func (ix *indexer) taken(s *spot, at place) {
	ix.report.errorf(at, "%s has its value in line %d already, and nothing can be added to it; remove one, or write all in one place", shorten(s.name), s.key.line)
}

func (ix *indexer) keyValue(parent *spot, node *unstable.Node, depth int) {
	end, parts, twice := 0, 0, false
	current := parent
	for it := node.Key(); it.Next(); parts++ {
		key := it.Node()
		if depth+parts > maxDepth {
			ix.report.errorf(ix.at(int(key.Raw.Offset)), "keys nest deeper than %d levels", maxDepth)
			return
		}
		twice = current.keys[string(key.Data)] != nil
		current = ix.enter(current, key)
		end = int(key.Raw.Offset + key.Raw.Length)
		if twice && it.IsLast() {
			ix.report.errorf(ix.at(int(key.Raw.Offset)), "%s is set twice, first in line %d; remove one", key.Data, current.key.line)
			return
		}
	}
	for end < len(ix.doc) && bytes.IndexByte([]byte(" \t="), ix.doc[end]) >= 0 {
		end++
	}
	current.value = ix.at(min(end, len(ix.doc)))
	ix.value(current, node.Value(), depth+parts)
}

// value notes what is inside a list or an inline table.
func (ix *indexer) value(s *spot, node *unstable.Node, depth int) {
	if depth > maxDepth {
		ix.report.errorf(s.value, "values nest deeper than %d levels", maxDepth)
		return
	}
	switch node.Kind {
	case unstable.InlineTable:
		s.header = true // cannot be extended by a [header]
		for it := node.Children(); it.Next(); {
			ix.keyValue(s, it.Node(), depth+1)
		}
	case unstable.Array:
		for it := node.Children(); it.Next(); {
			child := it.Node()
			item := &spot{key: s.key, value: ix.start(child, s.value)}
			s.items = append(s.items, item)
			ix.value(item, child, depth+1)
		}
	}
	s.whole = true
}

// start is where a value in a list begins; the parser does not say it for lists, so
// theirs is that of what is first in them.
func (ix *indexer) start(node *unstable.Node, parent place) place {
	for node.Raw.Length == 0 && node.Child().Valid() {
		node = node.Child()
	}
	if node.Raw.Length == 0 {
		return parent
	}
	return ix.at(int(node.Raw.Offset))
}

func joinKeys(keys []*unstable.Node) string {
	parts := make([]string, len(keys))
	for i, key := range keys {
		parts[i] = string(key.Data)
	}
	return strings.Join(parts, ".")
}
