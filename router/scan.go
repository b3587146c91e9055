package router

import (
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// found is a JSON value in a message.
type found struct {
	kind    kind
	escaped bool   // a string with escapes
	raw     string // as it stands there
	at      int    // byte of the message
}

// kind is what sort of value it is.
type kind byte

const (
	missing kind = iota
	null
	boolean
	number
	quoted
	array
	object
)

// text is a string, or a number as it is written; anything else counts as missing.
func (f *found) text() string {
	switch {
	case f.kind == number:
		return f.raw
	case f.kind != quoted:
		return ""
	case f.escaped:
		return gjson.Parse(f.raw).Str
	default:
		return f.raw[1 : len(f.raw)-1]
	}
}

// scan checks that the text is one JSON value that the decoder can trust, nested no
// deeper than maxDepth, and finds the members of the tree in it, all in one pass. It
// doesn't say what is wrong: see check.
//
// gjson would take a pass to validate and another one to parse each member, and that was
// half of what an event costs.
func (w *walker) scan(root *member, text string) bool {
	clear(w.seen)
	w.slots = [slotCount]found{}
	w.twice, w.text, w.depth, w.foreign, w.surrogates = nil, text, 0, false, false
	begin := w.space(0)
	end := w.value(begin, root)
	if end < 0 || w.space(end) != len(text) {
		return false
	}
	w.whole = found{kind: w.kind, raw: text[begin:end], at: begin}
	return (!w.foreign || utf8.ValidString(text)) && (!w.surrogates || !loneSurrogate(text))
}

// space returns where white space ends that begins at i.
func (w *walker) space(i int) int {
	for i < len(w.text) && (w.text[i] == ' ' || w.text[i] == '\n' || w.text[i] == '\t' || w.text[i] == '\r') {
		i++
	}
	return i
}

// value reads the value that begins at i, notes of which kind it is, and returns where it
// ends: -1 when it is none. If it is an object, the children of m are looked for; m may
// be nil.
func (w *walker) value(i int, m *member) (end int) {
	if i >= len(w.text) {
		return -1
	}
	is := number
	switch c := w.text[i]; c {
	case '"':
		is = quoted
		end = w.string(i + 1)
	case '{', '[':
		if w.depth++; w.depth > maxDepth {
			return -1
		}
		if c == '{' {
			is, end = object, w.object(i+1, m)
		} else {
			is, end = array, w.array(i+1)
		}
		w.depth--
	case 't':
		is, end = boolean, w.word(i, "true")
	case 'f':
		is, end = boolean, w.word(i, "false")
	case 'n':
		is, end = null, w.word(i, "null")
	default:
		end = w.number(i)
	}
	w.kind = is
	return end
}

func (w *walker) word(i int, word string) (end int) {
	if !strings.HasPrefix(w.text[i:], word) {
		return -1
	}
	return i + len(word)
}

// object reads what follows the opening brace.
func (w *walker) object(i int, m *member) (end int) {
	if m != nil && len(m.children) == 0 {
		m = nil
	}
	if i = w.space(i); i < len(w.text) && w.text[i] == '}' {
		return i + 1
	}
	for i < len(w.text) && w.text[i] == '"' {
		name := i
		if i = w.string(i + 1); i < 0 {
			return -1
		}
		var of *member
		if m != nil {
			of = w.named(m, name, i)
		}
		if i = w.space(i); i >= len(w.text) || w.text[i] != ':' {
			return -1
		}
		begin := w.space(i + 1)
		if i = w.value(begin, of); i < 0 {
			return -1
		}
		if of != nil {
			w.fill(of, begin, i)
		}
		if i = w.space(i); i >= len(w.text) {
			return -1
		}
		switch w.text[i] {
		case '}':
			return i + 1
		case ',':
			i = w.space(i + 1)
		default:
			return -1
		}
	}
	return -1
}

// named returns the child of m that has the name which stands at text[from:to], quotes
// included; nil if there is none, or it has come before.
func (w *walker) named(m *member, from, to int) *member {
	name := w.text[from+1 : to-1]
	if w.escaped {
		name = gjson.Parse(w.text[from:to]).Str
	}
	of := m.find(name)
	if of == nil {
		return nil
	}
	if w.seen[of.index] {
		switch {
		case of.onlyTraces(): // it decides nothing, so readers may differ, and we take neither
			for _, s := range of.slots {
				w.slots[s] = found{}
			}
		case w.twice == nil:
			w.twice, w.where = of, from
		}
		return nil
	}
	w.seen[of.index] = true
	return of
}

// fill notes the value of a member, which was just read.
func (w *walker) fill(m *member, from, to int) {
	for _, s := range m.slots {
		w.slots[s] = found{kind: w.kind, escaped: w.kind == quoted && w.escaped, raw: w.text[from:to], at: from}
	}
}

// array reads what follows the opening bracket.
func (w *walker) array(i int) (end int) {
	if i = w.space(i); i < len(w.text) && w.text[i] == ']' {
		return i + 1
	}
	for {
		if i = w.value(i, nil); i < 0 {
			return -1
		}
		if i = w.space(i); i >= len(w.text) {
			return -1
		}
		switch w.text[i] {
		case ']':
			return i + 1
		case ',':
			i = w.space(i + 1)
		default:
			return -1
		}
	}
}

// string reads what follows the opening quote, and notes whether there are escapes.
func (w *walker) string(i int) (end int) {
	w.escaped = false
	var bits byte
	for text := w.text; i < len(text); i++ {
		c := text[i]
		bits |= c
		if !ends[c] {
			continue
		}
		switch {
		case c == '"':
			w.foreign = w.foreign || bits >= utf8.RuneSelf
			return i + 1
		case c != '\\':
			return -1
		}
		w.escaped = true
		if i = w.escape(i+1) - 1; i < 0 {
			return -1
		}
	}
	return -1
}

// ends are the bytes that are not just another one of a string: quote, backslash, and
// those that may not stand there.
var ends = [256]bool{ //nolint:gochecknoglobals // a constant
	0: true, 1: true, 2: true, 3: true, 4: true, 5: true, 6: true, 7: true, 8: true, 9: true, 10: true,
	11: true, 12: true, 13: true, 14: true, 15: true, 16: true, 17: true, 18: true, 19: true, 20: true,
	21: true, 22: true, 23: true, 24: true, 25: true, 26: true, 27: true, 28: true, 29: true, 30: true,
	31: true, '"': true, '\\': true,
}

// escape reads what follows a backslash.
func (w *walker) escape(i int) (end int) {
	if i >= len(w.text) {
		return -1
	}
	switch w.text[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
	default:
		return -1
	}
	for end = i + 1; end < i+5; end++ {
		if end >= len(w.text) || !isHex(w.text[end]) {
			return -1
		}
	}
	if w.text[i+1] == 'd' || w.text[i+1] == 'D' {
		w.surrogates = true
	}
	return end
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// number reads a number.
func (w *walker) number(i int) (end int) {
	if w.text[i] == '-' {
		i++
	}
	if i < len(w.text) && w.text[i] == '0' {
		i++
	} else if i = w.digits(i); i < 0 {
		return -1
	}
	if i < len(w.text) && w.text[i] == '.' {
		if i = w.digits(i + 1); i < 0 {
			return -1
		}
	}
	if i < len(w.text) && (w.text[i] == 'e' || w.text[i] == 'E') {
		i++
		if i < len(w.text) && (w.text[i] == '+' || w.text[i] == '-') {
			i++
		}
		return w.digits(i)
	}
	return i
}

// digits reads one or more.
func (w *walker) digits(i int) (end int) {
	begin := i
	for i < len(w.text) && '0' <= w.text[i] && w.text[i] <= '9' {
		i++
	}
	if i == begin {
		return -1
	}
	return i
}
