package handlers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"signalbox/router"
)

// execLine is an event as a program reads it: one line of JSON with all the fields, also
// those that are empty, so that a program need not ask whether they are there. A trace
// context is among them only where there is one, since hardly any event has; the whole
// message only when it is wanted: it mostly repeats the data.
func execLine(e *router.Event, withMsg bool) ([]byte, error) {
	line := make([]byte, 0, 192+len(e.Data)+len(e.ID)+len(e.Name))
	at := ""
	if !e.Time.IsZero() {
		at = e.Time.UTC().Format(time.RFC3339Nano)
	}
	for _, f := range [...]struct{ before, text string }{
		{`{"id":`, e.ID},
		{`,"type":`, e.Type},
		{`,"source":`, e.Source},
		{`,"time":`, at},
		{`,"key":`, e.Key},
		{`,"channel":`, e.Channel},
		{`,"name":`, e.Name},
	} {
		line = appendQuoted(append(line, f.before...), f.text)
	}
	eachTrace(e, func(name, value string) {
		line = appendQuoted(append(line, `,"`+name+`":`...), value)
	})
	line, err := appendOneLine(append(line, `,"data":`...), e.Data)
	if err != nil {
		return nil, fmt.Errorf("the data of the event is no JSON: %w", err)
	}
	if withMsg {
		if line, err = appendOneLine(append(line, `,"msg":`...), e.Msg); err != nil {
			return nil, fmt.Errorf("the message is no JSON: %w", err)
		}
	}
	return append(line, "}\n"...), nil
}

// appendOneLine appends JSON as it is, but for line breaks between its tokens.
func appendOneLine(line []byte, raw json.RawMessage) ([]byte, error) {
	if len(raw) == 0 {
		return append(line, "null"...), nil
	}
	if bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\r') < 0 {
		return append(line, raw...), nil
	}
	out := bytes.NewBuffer(line)
	err := json.Compact(out, raw)
	return out.Bytes(), err
}

func appendQuoted(line []byte, text string) []byte {
	quoted, err := jsontext.AppendQuote(line, text)
	if err != nil { // invalid UTF-8 is the only error
		quoted, _ = jsontext.AppendQuote(line, strings.ToValidUTF8(text, "\uFFFD"))
	}
	return quoted
}
