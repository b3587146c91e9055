package handlers

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/tidwall/gjson"

	"signalbox/router"
)

// maxDigits is the longest number that is logged as a number.
const maxDigits = 64

// logField is one attribute of a line.
type logField struct {
	name  string
	value func(*router.Event) (_ slog.Value, ok bool) // not ok: the event lacks it
}

// parseFields reads event fields and the paths into them.
func parseFields(paths []string) ([]logField, error) {
	var (
		fields []logField
		errs   []error
		seen   = map[string]bool{}
	)
	for _, path := range paths {
		field, err := parseField(path)
		if err == nil && seen[path] {
			err = fmt.Errorf("fields: %q stands twice", path)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		seen[path] = true
		fields = append(fields, field)
	}
	return fields, errors.Join(errs...)
}

func parseField(path string) (logField, error) {
	first, rest, nested := strings.Cut(path, ".")
	field := logField{name: path}
	switch first {
	case "data":
		field.value = jsonValue(func(e *router.Event) []byte { return e.Data }, rest)
	case "msg":
		field.value = jsonValue(func(e *router.Event) []byte { return e.Msg }, rest)
	case "time":
		field.value = func(e *router.Event) (slog.Value, bool) { return slog.TimeValue(e.Time), !e.Time.IsZero() }
	default:
		text := textField(first)
		if text == nil {
			return logField{}, fmt.Errorf("fields: %q: an event has no field %q; it has %s", path, first,
				"id, type, source, time, key, channel, name, data, msg")
		}
		field.value = func(e *router.Event) (slog.Value, bool) {
			s := text(e)
			return slog.StringValue(oneLine(s)), s != ""
		}
	}
	switch {
	case nested && first != "data" && first != "msg":
		return logField{}, fmt.Errorf("fields: %q: %q has no members; only data and msg have", path, first)
	case nested && (rest == "" || strings.Contains("."+rest+".", "..")):
		return logField{}, fmt.Errorf("fields: %q: a name between the dots is missing", path)
	case path == "time" || path == "msg" || path == "source":
		// These are slog's own: a line would have them twice.
		field.name = "event_" + path
	}
	return field, nil
}

// textField returns what reads a field that is a string, or nil when there is none.
func textField(name string) func(*router.Event) string {
	switch name {
	case "id":
		return func(e *router.Event) string { return e.ID }
	case "type":
		return func(e *router.Event) string { return e.Type }
	case "source":
		return func(e *router.Event) string { return e.Source }
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

// jsonValue reads a field that is JSON, or what a dotted path finds in it.
func jsonValue(document func(*router.Event) []byte, path string) func(*router.Event) (slog.Value, bool) {
	if path == "" {
		return func(e *router.Event) (slog.Value, bool) {
			value := document(e)
			return slog.StringValue(oneLineJSON(value)), len(value) > 0
		}
	}
	names := strings.Split(path, ".")
	for i, name := range names {
		names[i] = gjson.Escape(name)
	}
	path = strings.Join(names, ".")
	return func(e *router.Event) (slog.Value, bool) {
		found := gjson.GetBytes(document(e), path)
		return valueOf(found), found.Exists() && found.Type != gjson.Null
	}
}

// valueOf keeps a number as it is written, and a number in JSON logs.
func valueOf(found gjson.Result) slog.Value {
	switch {
	case found.Type == gjson.String:
		return slog.StringValue(oneLine(found.Str))
	case found.Type == gjson.Number && len(found.Raw) <= maxDigits:
		return slog.AnyValue(json.Number(found.Raw))
	case found.IsBool():
		return slog.BoolValue(found.Bool())
	default:
		return slog.StringValue(oneLineJSON(found.Raw))
	}
}
