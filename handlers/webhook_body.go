package handlers

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

	"signalbox/router"
)

// webhookBody is a JSON text with templates in the place of its strings.
type webhookBody []bodyPiece

// bodyPiece is JSON as it is or, after that, a template whose text becomes a string.
type bodyPiece struct {
	json  []byte
	text  template
	place bool // there is a template
}

// parseWebhookBody reads the table of an option: tables, lists, texts, numbers, booleans
// and dates, as a TOML file has them. A nil table is no body. Errors name the place in the
// table, but don't quote the text there, which may be a token.
func parseWebhookBody(table map[string]any) (webhookBody, error) {
	if table == nil {
		return nil, nil
	}
	if len(table) == 0 {
		return nil, errors.New("body: the table is empty; write what to POST, or leave body out to POST the event as CloudEvent")
	}
	b := bodyBuilder{}
	b.value("body", table)
	b.flush(bodyPiece{})
	return b.body, errors.Join(b.errs...)
}

// of is the body for an event. What a payload has stays inside of its string.
func (b webhookBody) of(event *router.Event) []byte {
	out := make([]byte, 0, 512)
	for _, piece := range b {
		out = append(out, piece.json...)
		if piece.place {
			out = appendString(out, piece.text.of(event, nil))
		}
	}
	return out
}

// bodyBuilder gathers the JSON since the last template.
type bodyBuilder struct {
	body webhookBody
	json []byte
	errs []error
}

func (b *bodyBuilder) flush(piece bodyPiece) {
	piece.json, b.json = b.json, nil
	b.body = append(b.body, piece)
}

func (b *bodyBuilder) value(path string, value any) {
	switch v := value.(type) {
	case string:
		b.text(path, v)
	case map[string]any:
		b.json = append(b.json, '{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b.json = append(b.json, ',')
			}
			b.json = append(appendString(b.json, name), ':')
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

func (b *bodyBuilder) text(path, text string) {
	parsed, err := parseTemplate(text)
	switch {
	case err != nil:
		b.errs = append(b.errs, fmt.Errorf("%s: %s", path, strings.TrimPrefix(err.Error(), strconv.Quote(text)+": ")))
	case slices.ContainsFunc(parsed.parts, func(p part) bool { return p.place }):
		b.flush(bodyPiece{text: parsed, place: true})
	default:
		b.json = appendString(b.json, parsed.of(nil, nil))
	}
}

// appendString appends a text as JSON string.
func appendString(out []byte, text string) []byte {
	out, err := jsontext.AppendQuote(out, strings.ToValidUTF8(text, "\uFFFD"))
	if err != nil {
		panic(err) // only invalid UTF-8 is an error
	}
	return out
}
