package sources

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// wsMessage is a message to send: pieces of JSON, or of a plain text, in turn.
type wsMessage struct {
	pieces []wsPiece
	counts bool // it has an {id}
}

// wsPiece appends a piece of a message.
type wsPiece func(out []byte, v *wsValues) ([]byte, error)

// of is the message with what its references stand for.
func (m wsMessage) of(v *wsValues) ([]byte, error) {
	var out []byte
	for _, piece := range m.pieces {
		var err error
		if out, err = piece(out, v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// parseWSMessage reads a message of an option: a text, which is sent as it is, or what
// becomes JSON. Errors begin with the path in the option, but don't quote what is there.
func parseWSMessage(path string, value any, scope wsScope) (wsMessage, error) {
	b := wsMessageBuilder{scope: scope}
	switch v := value.(type) {
	case string:
		if v == "" {
			return wsMessage{}, fmt.Errorf("%s: the text is empty; write the message", path)
		}
		if text, err := parseWSText(v, scope); err != nil {
			b.errs = append(b.errs, fmt.Errorf("%s: %w", path, err))
		} else {
			b.place(text, func(out []byte, v *wsValues) ([]byte, error) {
				filled, err := text.fill(v, nil)
				return append(out, filled...), err
			})
		}
	case map[string]any, []any:
		b.value(path, v)
		b.flush()
	default:
		return wsMessage{}, fmt.Errorf("%s: a message is a text, a table or a list; put it in quotes", path)
	}
	return b.message, errors.Join(b.errs...)
}

// wsMessageBuilder gathers the JSON since the last reference.
type wsMessageBuilder struct {
	scope   wsScope
	message wsMessage
	json    []byte
	errs    []error
}

func (b *wsMessageBuilder) flush() {
	literal := b.json
	b.json = nil
	if len(literal) > 0 {
		b.message.pieces = append(b.message.pieces, func(out []byte, _ *wsValues) ([]byte, error) {
			return append(out, literal...), nil
		})
	}
}

func (b *wsMessageBuilder) place(text wsText, piece wsPiece) {
	b.flush()
	b.message.pieces = append(b.message.pieces, piece)
	b.message.counts = b.message.counts || text.has("id")
}

func (b *wsMessageBuilder) value(path string, value any) {
	switch v := value.(type) {
	case string:
		b.text(path, v)
	case map[string]any:
		b.json = append(b.json, '{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b.json = append(b.json, ',')
			}
			b.json = append(appendJSON(b.json, name), ':')
			b.value(path+"."+name, v[name])
		}
		b.json = append(b.json, '}')
	case []any:
		b.json = append(b.json, '[')
		for i, element := range v {
			if i > 0 {
				b.json = append(b.json, ',')
			}
			b.value(path+"."+strconv.Itoa(i), element)
		}
		b.json = append(b.json, ']')
	case nil, bool, int, int64, float64, encoding.TextMarshaler:
		raw, err := json.Marshal(v)
		if err != nil {
			b.errs = append(b.errs, fmt.Errorf("%s: %v has no JSON form", path, v))
		}
		b.json = append(b.json, raw...)
	default:
		b.errs = append(b.errs, fmt.Errorf("%s: a %T can't be in it; it takes text, numbers, booleans, dates, []any and map[string]any", path, v))
	}
}

// text adds a string of JSON; one that is exactly a reference becomes what that stands for,
// a number or a table too.
func (b *wsMessageBuilder) text(path, text string) {
	parsed, err := parseWSText(text, b.scope)
	switch {
	case err != nil:
		b.errs = append(b.errs, fmt.Errorf("%s: %w", path, err))
	case len(parsed) == 1 && parsed[0].name != "":
		b.place(parsed, func(out []byte, v *wsValues) ([]byte, error) {
			value, err := parsed[0].value(v)
			return append(out, value.Raw...), err
		})
	case slices.ContainsFunc(parsed, func(p wsPart) bool { return p.name != "" }):
		b.place(parsed, func(out []byte, v *wsValues) ([]byte, error) {
			filled, err := parsed.fill(v, nil)
			return appendJSON(out, filled), err
		})
	default:
		b.json = appendJSON(b.json, text)
	}
}

// appendJSON appends a text as JSON string.
func appendJSON(out []byte, text string) []byte {
	out, err := jsontext.AppendQuote(out, strings.ToValidUTF8(text, "\uFFFD"))
	if err != nil {
		panic(err) // only invalid UTF-8 is an error
	}
	return out
}
