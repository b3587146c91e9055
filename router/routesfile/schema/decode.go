package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// maxNumber is how many characters a number may have, and maxExponent how large its
	// exponent may be: exact arithmetic on what is larger would take seconds.
	maxNumber   = 1000
	maxExponent = 1000
)

// mistake is what is wrong in a JSON text, and where.
type mistake struct {
	offset int
	path   []string
	what   string
}

func (m *mistake) Error() string {
	if len(m.path) == 0 {
		return m.what
	}
	return sentence(m.path, m.what)
}

// decode reads one JSON value, nested no deeper than depth, as the library wants it: its
// numbers are json.Number. Its error is a *mistake.
func decode(text []byte, depth int) (any, error) {
	r := reader{dec: jsontext.NewDecoder(bytes.NewReader(text)), text: text}
	value, err := r.value(depth)
	if err != nil {
		return nil, err
	}
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, &mistake{offset: int(r.dec.InputOffset()), what: "not JSON: more text follows the value"}
	}
	return value, nil
}

type reader struct {
	dec  *jsontext.Decoder
	text []byte
}

func (r *reader) value(depth int) (any, error) {
	token, err := r.dec.ReadToken()
	if err != nil {
		return nil, r.syntax(err)
	}
	switch token.Kind() {
	case 'n':
		return nil, nil //nolint:nilnil // JSON's null
	case 't', 'f':
		return token.Bool(), nil
	case '"':
		return token.String(), nil
	case '0':
		number := token.String()
		if !small(number) {
			return nil, r.mistake("the number "+cut(number)+" is too large to be checked exactly", len(number))
		}
		return json.Number(number), nil
	}
	if depth == 0 {
		return nil, r.mistake("is nested too deep", 1)
	}
	if token.Kind() == '[' {
		return r.array(depth - 1)
	}
	return r.object(depth - 1)
}

func (r *reader) array(depth int) (any, error) {
	list := []any{}
	for r.dec.PeekKind() != ']' {
		value, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	_, err := r.dec.ReadToken()
	return list, r.syntax(err)
}

func (r *reader) object(depth int) (any, error) {
	object := map[string]any{}
	for r.dec.PeekKind() != '}' {
		token, err := r.dec.ReadToken()
		if err != nil {
			return nil, r.syntax(err)
		}
		name := token.String()
		if object[name], err = r.value(depth); err != nil {
			return nil, err
		}
	}
	_, err := r.dec.ReadToken()
	return object, r.syntax(err)
}

// mistake is about the value that was read last.
func (r *reader) mistake(what string, length int) error {
	return &mistake{int(r.dec.InputOffset()) - length, tokens(r.dec.StackPointer()), what}
}

// syntax says what is wrong in words of our own, where there are better ones.
func (r *reader) syntax(err error) error {
	if err == nil {
		return nil
	}
	m := &mistake{offset: len(r.text), what: "not JSON: the text ends too early"}
	if bad, ok := errors.AsType[*jsontext.SyntacticError](err); ok && !errors.Is(err, io.ErrUnexpectedEOF) {
		m.offset, m.what = int(bad.ByteOffset), "not JSON: "+bad.Err.Error()
		if errors.Is(err, jsontext.ErrDuplicateName) {
			m.path, m.what = tokens(bad.JSONPointer), "stands twice"
		}
	}
	return m
}

func tokens(pointer jsontext.Pointer) []string {
	var path []string
	for token := range pointer.Tokens() {
		path = append(path, token)
	}
	return path
}

// small reports whether a number can be computed with, however exactly.
func small(number string) bool {
	if len(number) > maxNumber {
		return false
	}
	i := strings.IndexAny(number, "eE")
	if i < 0 {
		return true
	}
	exponent, err := strconv.Atoi(number[i+1:])
	return err == nil && -maxExponent <= exponent && exponent <= maxExponent
}

// offsetOf is where in a JSON text the value stands that a path leads to.
func offsetOf(text []byte, path []string) int {
	var pointer jsontext.Pointer
	for _, token := range path {
		pointer = pointer.AppendToken(token)
	}
	offset, _ := find(text, func(at jsontext.Pointer, _ jsontext.Token) bool { return at == pointer })
	return offset
}

// find returns where the first value begins that is what is asked for, else 0.
func find(text []byte, is func(at jsontext.Pointer, value jsontext.Token) bool) (offset int, found bool) {
	dec := jsontext.NewDecoder(bytes.NewReader(text))
	for {
		before := int(dec.InputOffset())
		token, err := dec.ReadToken()
		if err != nil {
			return 0, false
		}
		kind, length := dec.StackIndex(dec.StackDepth())
		name := kind == '{' && length%2 == 1
		if name || token.Kind() == '}' || token.Kind() == ']' || !is(dec.StackPointer(), token) {
			continue
		}
		rest := text[before:]
		return before + len(rest) - len(bytes.TrimLeft(rest, " \t\r\n,:")), true
	}
}

// position is "line:column" of an offset, both from 1; columns count characters.
func position(text []byte, offset int) string {
	before := text[:min(offset, len(text))]
	line := bytes.Count(before, []byte("\n"))
	column := len([]rune(string(before[bytes.LastIndexByte(before, '\n')+1:])))
	return fmt.Sprintf("%d:%d", line+1, column+1)
}
