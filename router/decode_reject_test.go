package router

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func nested(open, inner, closing string, depth int) string {
	return strings.Repeat(open, depth) + inner + strings.Repeat(closing, depth)
}

// rejections are messages that are no events. The golden file holds the errors' texts:
// read it as somebody who has never seen the program and has to mend the sender.
var rejections = []struct {
	name    string
	fields  Fields
	payload string
	cause   Cause
	offset  int
}{
	{"empty", Fields{}, "", CauseEmpty, 0},
	{"white space", Fields{}, " \t\r\n ", CauseEmpty, 0},
	{"plain text", Fields{}, "hello", CauseNotJSON, 0},
	{"like a literal", Fields{}, "tick", CauseNotJSON, 1},
	{"cut off", Fields{}, `{"type":"tick"`, CauseNotJSON, 14},
	{"cut off in a string", Fields{}, `{"type":"tic`, CauseNotJSON, 12},
	{"cut off in a literal", Fields{}, `{"type":"a","data":tru`, CauseNotJSON, 22},
	{"trailing text", Fields{}, `{"type":"tick"} trailing`, CauseNotJSON, 16},
	{"trailing object", Fields{}, "{\"type\":\"a\"}\n{\"type\":\"b\"}", CauseNotJSON, 13},
	{"trailing comma", Fields{}, `{"type":"a",}`, CauseNotJSON, 12},
	{"comma only", Fields{}, `{"type":"a" "b":1}`, CauseNotJSON, 12},
	{"no value", Fields{}, `{"type":}`, CauseNotJSON, 8},
	{"single quotes", Fields{}, `{'type':'tick'}`, CauseNotJSON, 1},
	{"single quotes, value", Fields{}, `{"type":'tick'}`, CauseNotJSON, 8},
	{"Python literals", Fields{}, `{"type":"a","data":True}`, CauseNotJSON, 19},
	{"Python None", Fields{}, `{"type":"a","data":None}`, CauseNotJSON, 19},
	{"bare name", Fields{}, `{type:"a"}`, CauseNotJSON, 1},
	{"comment", Fields{}, `{"type":"a"} // note`, CauseNotJSON, 13},
	{"byte order mark", Fields{}, "\ufeff{\"type\":\"a\"}", CauseNotJSON, 0},
	{"UTF-16", Fields{}, "\xff\xfe{\x00", CauseInvalidUTF8, 0},
	{"msgpack", Fields{}, "\x81\xa4type\xa4tick", CauseInvalidUTF8, 0},
	{"control character", Fields{}, "{\"type\":\"a\nb\"}", CauseNotJSON, 10},
	{"bad escape", Fields{}, `{"type":"\x41"}`, CauseNotJSON, 9},
	{"leading zero", Fields{}, `{"type":"a","n":01}`, CauseNotJSON, 17},
	{"NUL after the value", Fields{}, "{\"type\":\"a\"}\x00", CauseNotJSON, 12},
	{"NaN", Fields{}, `{"type":"tick","data":NaN}`, CauseNaN, 22},
	{"Infinity", Fields{}, `{"type":"tick","data":Infinity}`, CauseNaN, 22},
	{"-Infinity", Fields{}, `{"type":"tick","data":-Infinity}`, CauseNaN, 22},
	{"NaN in an array", Fields{}, `{"type":"tick","data":[1,NaN]}`, CauseNaN, 25},
	{"NaN alone", Fields{}, `NaN`, CauseNaN, 0},
	{"invalid UTF-8 in a value", Fields{}, "{\"type\":\"a\",\"data\":\"\xff\"}", CauseInvalidUTF8, 20},
	{"invalid UTF-8 in the type", Fields{}, "{\"type\":\"a\xc3\"}", CauseInvalidUTF8, 10},
	{"invalid UTF-8 in a name", Fields{}, "{\"a\xffb\":1,\"type\":\"a\"}", CauseInvalidUTF8, 3},
	{"invalid UTF-8 after the value", Fields{}, "{\"type\":\"a\"} \xff", CauseInvalidUTF8, 13},
	{"surrogate bytes", Fields{}, "{\"type\":\"\xed\xa0\x80\"}", CauseInvalidUTF8, 9},
	{"half a surrogate pair, escaped", Fields{}, `{"type":"\ud800"}`, CauseInvalidUTF8, 9},
	{"half a surrogate pair in the data", Fields{}, `{"type":"a","data":"\uDC00x"}`, CauseInvalidUTF8, 20},
	{"over max_bytes", Fields{MaxBytes: 16}, `{"type":"tick12"}`, CauseTooBig, 16},
	{"over max_bytes by default", Fields{}, `{"type":"` + strings.Repeat("a", 1<<20) + `"}`, CauseTooBig, 1 << 20},
	{"1,001 deep", Fields{}, `{"type":"a","data":` + nested("[", "", "]", 1000) + `}`, CauseTooDeep, 19 + 999},
	{"1,001 objects deep", Fields{}, nested(`{"a":`, "1", "}", 1001), CauseTooDeep, 5000},
	{"100,000 deep", Fields{}, strings.Repeat("[", 100_000), CauseTooDeep, 1000},
	{"deep behind escapes", Fields{}, `{"type":"a","\"[":` + nested("[", "", "]", 1000) + `}`, CauseTooDeep, 18 + 999},
	{"array", Fields{}, `[1,2]`, CauseNotObject, 0},
	{"string", Fields{}, `"tick"`, CauseNotObject, 0},
	{"number", Fields{}, `17`, CauseNotObject, 0},
	{"boolean", Fields{}, `true`, CauseNotObject, 0},
	{"null", Fields{}, ` null`, CauseNotObject, 1},
	{"no type", Fields{}, `{"kind":"tick"}`, CauseNoType, 0},
	{"Type is not type", Fields{}, `{"Type":"tick"}`, CauseNoType, 0},
	{"no type at a path", Fields{Type: "meta.kind"}, `{"meta":{"type":"a"}}`, CauseNoType, 0},
	{"path through an array", Fields{Type: "meta.kind"}, `{"meta":[{"kind":"a"}]}`, CauseNoType, 0},
	{"path is no name", Fields{Type: "meta.kind"}, `{"meta.kind":"a"}`, CauseNoType, 0},
	{"type is a number", Fields{}, `{"type":7}`, CauseBadType, 8},
	{"type is null", Fields{DefaultType: "x"}, `{"type": null}`, CauseBadType, 9},
	{"type is an object", Fields{}, `{"type":{}}`, CauseBadType, 8},
	{"type is an array", Fields{}, `{"type":["a"]}`, CauseBadType, 8},
	{"type is a boolean", Fields{}, `{"type":true}`, CauseBadType, 8},
	{"type is empty", Fields{}, ` {"type":""}`, CauseBadType, 9},
	{"type is empty, with a default", Fields{DefaultType: "x"}, `{"type":""}`, CauseBadType, 8},
	{"bad type at a path", Fields{Type: "meta.kind"}, `{"meta":{"kind":1}}`, CauseBadType, 16},
	{"type twice", Fields{}, `{"type":"tick","type":"enter"}`, CauseTwice, 15},
	{"type twice, the same", Fields{}, `{"type":"tick","data":{},"type":"tick"}`, CauseTwice, 25},
	{"type twice, escaped", Fields{}, `{"type":"tick","\u0074ype":"enter"}`, CauseTwice, 15},
	{"type twice, both escaped", Fields{}, `{"t\u0079pe":"tick","\u0074ype":"enter"}`, CauseTwice, 20},
	{"type twice, first bad", Fields{}, `{"type":7,"type":"enter"}`, CauseTwice, 10},
	{"type twice at a path", Fields{Type: "meta.kind"}, `{"meta":{"kind":"a","kind":"b"}}`, CauseTwice, 20},
	{"type's parent twice", Fields{Type: "meta.kind"}, `{"meta":{"kind":"a"},"meta":{"kind":"b"}}`, CauseTwice, 21},
	{"type's parent twice, once no object", Fields{Type: "meta.kind"}, `{"meta":1,"meta":{"kind":"b"}}`, CauseTwice, 10},
	{"id twice", Fields{}, `{"type":"a","id":"1","id":"2"}`, CauseTwice, 21},
	{"data twice", Fields{}, `{"type":"a","data":1,"data":2}`, CauseTwice, 21},
}

func TestDecodeRejects(t *testing.T) {
	var texts strings.Builder
	for _, tc := range rejections {
		events, err := decode(Channel{Name: "in", Fields: tc.fields}, tc.payload)
		m, ok := AsMalformed(err)
		if !ok || len(events) != 0 {
			t.Errorf("%s: %d events and error %v, want a Malformed error only", tc.name, len(events), err)
			continue
		}
		if m.Cause != tc.cause || m.Offset != tc.offset {
			t.Errorf("%s: cause %q at byte %d, want %q at byte %d (%v)", tc.name, m.Cause, m.Offset, tc.cause, tc.offset, err)
		}
		if len(m.Head) > 4*headBytes+8 {
			t.Errorf("%s: the head has %d bytes", tc.name, len(m.Head))
		}
		fmt.Fprintf(&texts, "# %s (%s)\n%v\n", tc.name, m.Cause, err)
	}
	golden(t, "testdata/rejections.golden", texts.String())
}

func TestDecodeAccepts(t *testing.T) {
	for _, tc := range []struct {
		name, payload, typ string
		fields             Fields
	}{
		{"Type beside type", `{"Type":"x","type":"tick","TYPE":1}`, "tick", Fields{}},
		{"white space around", "\r\n\t {\"type\" : \"tick\"}\n", "tick", Fields{}},
		{"type in data too", `{"data":{"type":"x"},"type":"tick"}`, "tick", Fields{}},
		{"type in an array too", `{"a":[{"type":"x"},{"type":"y"}],"type":"tick"}`, "tick", Fields{}},
		{"other names twice", `{"a":1,"a":2,"type":"tick"}`, "tick", Fields{}},
		{"escaped name", `{"\u0074ype":"tick"}`, "tick", Fields{}},
		{"escaped value", `{"type":"t\u0069ck"}`, "tick", Fields{}},
		{"type is white space", `{"type":" "}`, " ", Fields{}},
		{"type last", `{"data":[[[{"a":"}"}]]],"type":"tick"}`, "tick", Fields{}},
		{"1,000 deep", `{"type":"tick","data":` + nested("[", "", "]", 999) + `}`, "tick", Fields{}},
		{"brackets in a string", `{"type":"tick","data":"` + strings.Repeat("[{", 5000) + `"}`, "tick", Fields{}},
		{"many brackets, not deep", `{"type":"tick","data":[` + strings.Repeat("[],", 5000) + `0]}`, "tick", Fields{}},
		{"exactly max_bytes", `{"type":"tick1"}`, "tick1", Fields{MaxBytes: 16}},
		{"dotted path", `{"meta":{"x":1,"kind":"tick"},"kind":"no","type":7}`, "tick", Fields{Type: "meta.kind"}},
		{"deep path", `{"a":{"b":{"c":"tick"}}}`, "tick", Fields{Type: "a.b.c"}},
		{"name with gjson's signs", `{"*":"x","a#b":"tick"}`, "tick", Fields{Type: "a#b"}},
		{"default type", `{"u":1}`, "quote", Fields{DefaultType: "quote"}},
		{"default type beside a type", `{"type":"tick"}`, "tick", Fields{DefaultType: "quote"}},
		{"default type at a path", `{"meta":7}`, "quote", Fields{Type: "meta.kind", DefaultType: "quote"}},
		{"NaN in a string", `{"type":"tick","data":"NaN"}`, "tick", Fields{}},
		{"unicode", `{"type":"tïck 🚂"}`, "tïck 🚂", Fields{}},
		{"escaped backslash before ud800", `{"type":"tick","data":"\\ud800"}`, "tick", Fields{}},
		{"surrogate pair", `{"type":"\ud83d\ude82"}`, "🚂", Fields{}},
	} {
		events, err := decode(Channel{Name: "in", Fields: tc.fields}, tc.payload)
		switch {
		case err != nil || len(events) != 1:
			t.Errorf("%s: %d events, error %v", tc.name, len(events), err)
		case events[0].Type != tc.typ:
			t.Errorf("%s: type %q, want %q", tc.name, events[0].Type, tc.typ)
		case string(events[0].Msg) != tc.payload:
			t.Errorf("%s: Msg is not the message: %s", tc.name, events[0].Msg)
		}
	}
}

// A stream entry that has the message itself twice is rejected, also where it would
// pass as an event.
func TestDecodeEntryTwice(t *testing.T) {
	ch := Channel{Name: "in", Fields: Fields{DefaultType: "quote", Split: "."}}
	_, err := Decode(ch, Message{Payload: []byte(`{"payload":"a","payload":"b","type":"t"}`), Twice: "payload"})
	m, ok := AsMalformed(err)
	if !ok || m.Cause != CauseTwice || m.Detail != `the field "payload" stands twice` {
		t.Errorf("error %v, want the cause %s", err, CauseTwice)
	}
}

// Every line of the sample has a cause of its own kind, and its text names it.
func TestDecodeRejectsTheSample(t *testing.T) {
	content, err := os.ReadFile("testdata/samples/malformed.txt")
	if err != nil {
		t.Fatal(err)
	}
	var texts strings.Builder
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSuffix(line, "\n")
		_, err := decode(Channel{Name: "in"}, line)
		m, ok := AsMalformed(err)
		if !ok {
			t.Errorf("%s: error %v, want a Malformed", line, err)
			continue
		}
		fmt.Fprintf(&texts, "%-13s %v\n", m.Cause, err)
	}
	golden(t, "testdata/malformed.golden", texts.String())
}
