package handlers

import (
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"signalbox/router"
)

const specVersion = "1.0"

// cloudEvent writes an event as a CloudEvent in structured mode. A message that is one
// already stays as it is, with what is required of a CloudEvent where it lacks that.
func cloudEvent(event *router.Event, service string) []byte {
	if v := gjson.GetBytes(event.Msg, "specversion"); v.Type == gjson.String && v.Str == specVersion {
		return completed(event, service)
	}
	out := []byte(`{"specversion":"` + specVersion + `","id":`)
	out = appendString(out, event.ID)
	out = appendString(append(out, `,"source":`...), sourceOf(event, service))
	out = appendString(append(out, `,"type":`...), event.Type)
	if !event.Time.IsZero() {
		out = appendString(append(out, `,"time":`...), timeOf(event))
	}
	out, names := appendExtensions(out, event.Msg)
	if event.Key != "" && !slices.Contains(names, "partitionkey") {
		out = appendString(append(out, `,"partitionkey":`...), event.Key)
	}
	eachTrace(event, func(name, value string) {
		if !slices.Contains(names, name) {
			out = appendString(append(append(out, `,"`...), name+`":`...), value)
		}
	})
	if len(event.Data) > 0 {
		out = append(append(out, `,"data":`...), event.Data...)
	}
	return append(out, '}')
}

// completed is the message of an event, and has an id, a source and a type.
func completed(event *router.Event, service string) []byte {
	out := []byte(event.Msg)
	set := func(name, value string) {
		// An error would be one of the path; these are plain names.
		if with, err := sjson.SetRawBytes(out, name, appendString(nil, value)); err == nil {
			out = with
		}
	}
	for _, required := range []struct{ name, value string }{
		{"id", event.ID}, {"source", sourceOf(event, service)}, {"type", event.Type},
	} {
		if has := gjson.GetBytes(out, required.name); has.Type != gjson.String || has.Str == "" {
			set(required.name, required.value)
		}
	}
	if at := gjson.GetBytes(out, "time"); at.Exists() && at.Type != gjson.Null && !event.Time.IsZero() {
		if _, err := time.Parse(time.RFC3339, at.Str); err != nil { // a number, perhaps
			set("time", timeOf(event))
		}
	}
	return out
}

// sourceOf is the source of an event. Together with the id it is unique, and the id of a
// stream's entry is unique in its channel only.
func sourceOf(event *router.Event, service string) string {
	if event.Source != "" {
		return event.Source
	}
	return "/signalbox/" + url.PathEscape(service) + "/" + url.PathEscape(event.Channel)
}

func timeOf(event *router.Event) string { return event.Time.UTC().Format(time.RFC3339Nano) }

// appendExtensions appends those members of a message beside its data that a CloudEvent
// can have as attributes, and returns their names.
func appendExtensions(out, msg []byte) (_ []byte, names []string) {
	if !gjson.GetBytes(msg, "data").Exists() {
		return out, nil // the data is the whole message, and has them
	}
	gjson.ParseBytes(msg).ForEach(func(name, value gjson.Result) bool {
		if isAttribute(name.Str, value) && !slices.Contains(names, name.Str) {
			names = append(names, name.Str)
			out = append(appendString(append(out, ','), name.Str), ':')
			out = append(out, value.Raw...)
		}
		return true
	})
	return out, names
}

// isAttribute reports whether CloudEvents takes a member as an attribute that is not
// written already: by the name, and by the value's type.
func isAttribute(name string, value gjson.Result) bool {
	switch name {
	case "", "specversion", "id", "source", "type", "time", "data":
		return false
	case "subject", "dataschema", "datacontenttype":
		return value.Type == gjson.String && value.Str != ""
	}
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	switch value.Type {
	case gjson.True, gjson.False:
		return true
	case gjson.String:
		return !slices.ContainsFunc([]rune(value.Str), isControl)
	case gjson.Number:
		_, err := strconv.ParseInt(value.Raw, 10, 32)
		return err == nil
	default:
		return false
	}
}
