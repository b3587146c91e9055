package handlers

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

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
		field, err := parseLogField(path)
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

func parseLogField(path string) (logField, error) {
	of, err := parseField(path)
	if err != nil {
		return logField{}, fmt.Errorf("fields: %w", err)
	}
	field := logField{name: path, value: func(e *router.Event) (slog.Value, bool) {
		found := of.in(e)
		return valueOf(found), found.Exists() && found.Type != gjson.Null
	}}
	switch path {
	case "data", "msg":
		field.value = func(e *router.Event) (slog.Value, bool) {
			whole := of.json(e)
			return slog.StringValue(oneLineJSON(whole)), len(whole) > 0
		}
	case "time":
		field.value = func(e *router.Event) (slog.Value, bool) { return slog.TimeValue(e.Time), !e.Time.IsZero() }
	}
	if path == "time" || path == "msg" || path == "source" {
		// These are slog's own: a line would have them twice.
		field.name = "event_" + path
	}
	return field, nil
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
