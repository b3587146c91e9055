package router

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// typesOf returns the values of the top-level members named "type", by a tokenizer that
// shares no code with the decoder. Lone surrogates, which the decoder lets pass, are
// nothing to it, so that it tells whether it understood the message.
func typesOf(payload []byte) (types []string, understood bool) {
	d := jsontext.NewDecoder(bytes.NewReader(payload), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if tok, err := d.ReadToken(); err != nil || tok.Kind() != '{' {
		return nil, false
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, false
		}
		isType := name.String() == "type"
		value, err := d.ReadValue()
		if err != nil {
			return nil, false
		}
		if isType {
			types = append(types, string(value))
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, false
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, false
	}
	return types, true
}

func FuzzDecode(f *testing.F) {
	for _, tc := range rejections {
		if len(tc.payload) < 4096 {
			f.Add(tc.payload, tc.fields.Split, tc.fields.Type)
		}
	}
	for _, file := range []string{"binance_stream.jsonl", "trade_commands.jsonl", "malformed.txt"} {
		content, err := os.ReadFile("testdata/samples/" + file)
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			f.Add(line, "", "")
		}
	}
	f.Add(`{"type":"a","traceparent":"`+aParent+`","tracestate":"`+aState+`"}`, "", "")
	f.Add(`{"type":"a","traceparent":"`+aParent+`","x":1,"traceparent":"01-`+aTrace+`-b7ad6b7169203331-01-x","tracestate":"a=\r\n"}`, "", "")
	f.Add(`[{"type":"a"},{}]`, ".", "")
	f.Add(`{"id":"x","items":[{"type":"a"},7]}`, "items", "")
	f.Add(`{"type":"\ud800"}`, "", "")
	f.Add(`{"type":"a","time":1e400,"id":-0.0e-7}`, "", "")
	f.Fuzz(func(t *testing.T, payload, split, typeField string) {
		ch := Channel{Name: "in", Fields: Fields{Split: split, Type: typeField, Key: "data.key", Time: "t"}}
		events, err := decode(ch, payload)
		for _, e := range events {
			if e.Type == "" || e.ID == "" || e.Time.IsZero() {
				t.Errorf("event %+v", e)
			}
			if !jsontext.Value(e.Msg).IsValid(jsontext.AllowDuplicateNames(true)) {
				t.Errorf("accepted what is not JSON: %q", e.Msg)
			}
			if !strings.Contains(payload, string(e.Msg)) || !strings.Contains(string(e.Msg), string(e.Data)) {
				t.Errorf("the bytes are not the message's: %q, %q", e.Msg, e.Data)
			}
			if parent, state := traceContext(e.TraceParent, e.TraceState); parent != e.TraceParent || state != e.TraceState {
				t.Errorf("the trace context %q, %q is none", e.TraceParent, e.TraceState)
			}
			if or(typeField, "type") == "type" {
				if types, ok := typesOf(e.Msg); !ok || len(types) != 1 {
					t.Errorf("accepted with the types %q: %s", types, e.Msg)
				}
			}
		}
		if err == nil {
			return
		}
		for _, err := range each(nil, err) {
			m, ok := AsMalformed(err)
			if !ok {
				t.Fatalf("the error is not Malformed: %v", err)
			}
			if m.Offset < 0 || m.Offset > len(payload) || m.Cause == "" || m.Detail == "" || !utf8.ValidString(m.Error()) {
				t.Errorf("%q: cause %q, offset %d, %v", payload, m.Cause, m.Offset, err)
			}
			if m.Cause == CauseTwice && strings.Contains(m.Detail, `"trace`) && typeField == "" && split == "" {
				t.Errorf("rejected for its trace context: %v", err)
			}
			// The converse: a good message is not rejected.
			types, understood := typesOf([]byte(payload))
			if split == "" && typeField == "" && understood && jsontext.Value(payload).IsValid(jsontext.AllowDuplicateNames(true)) && len(types) == 1 && len(types[0]) > 2 && types[0][0] == '"' &&
				m.Cause != CauseTwice && m.Cause != CauseTooDeep && m.Cause != CauseTooBig {
				t.Errorf("rejected a good message %q: %v", payload, err)
			}
		}
	})
}
