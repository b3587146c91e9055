package handlers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"signalbox/router"
)

// field is a field of events, or a path into the data or the msg of one: "type",
// "data.levels.0.price".
type field struct {
	path string
	text func(*router.Event) string // of a field that is a text; else nil
	json func(*router.Event) []byte // of data and msg; else nil
	rest string                     // gjson's path in that; empty: all of it
}

// parseField reads a path as options write it.
func parseField(path string) (field, error) {
	first, rest, nested := strings.Cut(path, ".")
	f := field{path: path}
	switch first {
	case "data":
		f.json = func(e *router.Event) []byte { return e.Data }
	case "msg":
		f.json = func(e *router.Event) []byte { return e.Msg }
	default:
		if f.text = textField(first); f.text == nil {
			return field{}, fmt.Errorf("%q: an event has no field %q; it has %s", path, first,
				"id, type, source, time, key, channel, name, data, msg")
		}
	}
	switch {
	case nested && f.json == nil:
		return field{}, fmt.Errorf("%q: %q has no members; only data and msg have", path, first)
	case nested && (rest == "" || strings.Contains("."+rest+".", "..")):
		return field{}, fmt.Errorf("%q: a name between the dots is missing", path)
	}
	f.rest = escapePath(rest)
	return f, nil
}

// escapePath is a dotted path as gjson wants it: every name means itself.
func escapePath(path string) string {
	names := strings.Split(path, ".")
	for i, name := range names {
		names[i] = gjson.Escape(name)
	}
	return strings.Join(names, ".")
}

// textField returns what reads a field that is a text, or nil when there is none.
func textField(name string) func(*router.Event) string {
	switch name {
	case "id":
		return func(e *router.Event) string { return e.ID }
	case "type":
		return func(e *router.Event) string { return e.Type }
	case "source":
		return func(e *router.Event) string { return e.Source }
	case "time":
		return func(e *router.Event) string {
			if e.Time.IsZero() {
				return ""
			}
			return e.Time.UTC().Format(time.RFC3339Nano)
		}
	case "key":
		return func(e *router.Event) string { return e.Key }
	case "channel":
		return func(e *router.Event) string { return e.Channel }
	case "name":
		return func(e *router.Event) string { return e.Name }
	default:
		return nil
	}
}

// in reads the field of an event. What the event lacks does not Exist; a text that is
// empty counts as lacking.
func (f field) in(e *router.Event) gjson.Result {
	switch {
	case f.json == nil:
		s := f.text(e)
		if s == "" {
			return gjson.Result{}
		}
		return gjson.Result{Type: gjson.String, Str: s, Raw: `""`} // Raw only says that it exists
	case f.rest == "":
		return gjson.ParseBytes(f.json(e))
	default:
		return gjson.GetBytes(f.json(e), f.rest)
	}
}

// textIn is the field of an event as a text: a string without its quotes, a number as it
// is written, an object or an array as compact JSON. It is empty where the event lacks the
// field or has null.
func (f field) textIn(e *router.Event) string {
	if f.json == nil {
		return f.text(e)
	}
	found := f.in(e)
	switch found.Type {
	case gjson.Null:
		return ""
	case gjson.String:
		return found.Str
	case gjson.JSON:
		return compact(found.Raw)
	default:
		return found.Raw
	}
}

// compact is JSON without the spaces between its parts.
func compact(raw string) string {
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(raw)); err != nil {
		return raw
	}
	return b.String()
}
