package router

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// encode writes an event in the layout of a channel: as an envelope, unless the
// channel keeps its type outside of that. Then the messages are the feed's own, and
// what a publisher calls the data is the message.
func encode(f Fields, event *Event) (_ json.RawMessage, err error) {
	out, typePath := envelope(event), or(f.Type, "type")
	if head, _, _ := strings.Cut(typePath, "."); typePath != "type" && head != "data" {
		if out = event.Data; len(out) == 0 {
			out = []byte("{}")
		}
		if !gjson.ParseBytes(out).IsObject() {
			return nil, fmt.Errorf("data must be an object: the channel keeps the type in it, at %q", typePath)
		}
	}
	if typePath != "type" {
		if out, err = set(out, typePath, event.Type, true); err != nil {
			return nil, fmt.Errorf("the type can't be set at %q: %w", typePath, err)
		}
	}
	at := event.Time.UTC().Format(time.RFC3339Nano)
	for _, field := range []struct{ path, value string }{{f.ID, event.ID}, {f.Time, at}, {f.Key, event.Key}} {
		if field.path == "" || field.value == "" {
			continue
		}
		// What doesn't fit into this message is left out: these are not required.
		if with, err := set(out, field.path, field.value, false); err == nil {
			out = with
		}
	}
	return withTrace(out, event), nil
}

// withTrace adds the trace context of an event, unless the message brings one.
func withTrace(message json.RawMessage, event *Event) json.RawMessage {
	at := gjson.ParseBytes(message)
	if event.TraceParent == "" || at.Get(traceParentField).Exists() || at.Get(traceStateField).Exists() {
		return message
	}
	for _, field := range []struct{ name, value string }{{traceParentField, event.TraceParent}, {traceStateField, event.TraceState}} {
		if field.value == "" {
			continue
		}
		if with, err := set(message, field.name, field.value, false); err == nil {
			message = with
		}
	}
	return message
}

// envelope writes CloudEvents' structured mode, as far as Signalbox reads it.
func envelope(event *Event) json.RawMessage {
	out := appendText([]byte(`{"id":`), event.ID)
	out = appendText(append(out, `,"type":`...), event.Type)
	out = appendText(append(out, `,"source":`...), event.Source)
	out = appendText(append(out, `,"time":`...), event.Time.UTC().Format(time.RFC3339Nano))
	if len(event.Data) > 0 {
		out = append(append(out, `,"data":`...), event.Data...)
	}
	return append(out, '}')
}

// set puts a text at a dotted path. What is there already stays, unless overwrite.
func set(message json.RawMessage, dotted, value string, overwrite bool) (json.RawMessage, error) {
	names := strings.Split(dotted, ".")
	at := gjson.ParseBytes(message)
	for i, name := range names {
		if at.Exists() && !at.IsObject() {
			return nil, fmt.Errorf("%q is %s, not an object", strings.Join(strings.Split(dotted, ".")[:i], "."), article(kindOf(at)))
		}
		names[i] = gjson.Escape(name)
		at = at.Get(names[i])
	}
	if at.Exists() && !overwrite {
		return message, nil
	}
	return sjson.SetRawBytes(message, strings.Join(names, "."), appendText(nil, value))
}

// kindOf is the kind of what gjson has parsed.
func kindOf(v gjson.Result) kind {
	w := walker{text: v.Raw}
	w.value(0, nil)
	return w.kind
}

func appendText(out []byte, s string) []byte {
	out, err := jsontext.AppendQuote(out, strings.ToValidUTF8(s, "\uFFFD"))
	if err != nil {
		panic(err) // only invalid UTF-8 is an error
	}
	return out
}
