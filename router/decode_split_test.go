package router

import (
	"fmt"
	"strings"
	"testing"
)

func TestDecodeSplit(t *testing.T) {
	for _, tc := range []struct {
		name    string
		fields  Fields
		payload string
		events  []string // id, type, msg
		errs    []string // how they begin
	}{
		{
			"itself",
			Fields{Split: "."},
			`[ {"type":"a"} , {"type":"b","id":"x"},{"type":"c"}]`,
			[]string{`uuid-1 a {"type":"a"}`, `x b {"type":"b","id":"x"}`, `uuid-3 c {"type":"c"}`},
			nil,
		},
		{"itself, one object", Fields{Split: "."}, `{"type":"a"}`, []string{`uuid a {"type":"a"}`}, nil},
		{"empty", Fields{Split: "."}, `[]`, nil, nil},
		{
			"path",
			Fields{Split: "events"},
			`{"events":[{"type":"a"},{"type":"b"}]}`,
			[]string{`uuid-1 a {"type":"a"}`, `uuid-2 b {"type":"b"}`},
			nil,
		},
		{
			"carrier's id",
			Fields{Split: "events"},
			`{"id":"m","events":[{"type":"a"},{"type":"b"}]}`,
			[]string{`m-1 a {"type":"a"}`, `m-2 b {"type":"b"}`},
			nil,
		},
		{"carrier's id is a number", Fields{Split: "events"}, `{"id":7,"events":[{"type":"a"}]}`, []string{`7-1 a {"type":"a"}`}, nil},
		{"dotted path", Fields{Split: "data.list", Type: "e"}, `{"data":{"list":[{"e":"a"}]}}`, []string{`uuid-1 a {"e":"a"}`}, nil},
		{"path with gjson's signs", Fields{Split: "@this#"}, `{"@this#":[{"type":"a"}]}`, []string{`uuid-1 a {"type":"a"}`}, nil},
		{"path with a number", Fields{Split: "0"}, `{"0":[{"type":"a"}]}`, []string{`uuid-1 a {"type":"a"}`}, nil},
		{"path missing", Fields{Split: "events"}, `{"type":"a"}`, []string{`uuid a {"type":"a"}`}, nil},
		{"path is no array", Fields{Split: "events"}, `{"type":"a","events":7}`, []string{`uuid a {"type":"a","events":7}`}, nil},
		{"path, but the message is an array", Fields{Split: "events"}, `[{"events":[{"type":"a"}]}]`, nil, []string{`the message is an array`}},
		{"no split", Fields{}, `[{"type":"a"}]`, nil, []string{`the message is an array`}},
		{"nested arrays", Fields{Split: "."}, `[[{"type":"a"}],{"type":"b"}]`, []string{`uuid-2 b {"type":"b"}`}, []string{`the message is an array`}},
		{
			"bad and good",
			Fields{Split: "."},
			`[{"type":"a"},7,{"type":"b"},{"x":1},{"type":"c","type":"d"},{"type":""},null,{"type":"e"}]`,
			[]string{`uuid-1 a {"type":"a"}`, `uuid-3 b {"type":"b"}`, `uuid-8 e {"type":"e"}`},
			[]string{`the message is a number`, `the message has no field "type"`, `the field "type" stands twice at byte 12`, `the field "type" is empty at byte 8`, `the message is null`},
		},
		{"default type", Fields{Split: ".", DefaultType: "q"}, `[{"u":1},{"u":2}]`, []string{`uuid-1 q {"u":1}`, `uuid-2 q {"u":2}`}, nil},
		{"over max_bytes as a whole", Fields{Split: ".", MaxBytes: 20}, `[{"type":"a"},{"type":"b"}]`, nil, []string{`the message has 27 bytes`}},
		{"one broken element breaks all", Fields{Split: "."}, `[{"type":"a"},{]`, nil, []string{`not JSON`}},
	} {
		events, err := decode(Channel{Name: "in", Fields: tc.fields}, tc.payload)
		var got []string
		for _, e := range events {
			got = append(got, fmt.Sprintf("%s %s %s", e.ID, e.Type, e.Msg))
		}
		if fmt.Sprint(got) != fmt.Sprint(tc.events) {
			t.Errorf("%s: events\n%s, want\n%s", tc.name, strings.Join(got, "\n"), strings.Join(tc.events, "\n"))
		}
		errs := []error{err}
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			errs = joined.Unwrap()
		}
		if err == nil {
			errs = nil
		}
		if len(errs) != len(tc.errs) {
			t.Errorf("%s: errors %v, want %q", tc.name, err, tc.errs)
			continue
		}
		for i, err := range errs {
			if _, ok := AsMalformed(err); !ok || !strings.HasPrefix(err.Error(), tc.errs[i]) {
				t.Errorf("%s: error %q, want %q", tc.name, err, tc.errs[i])
			}
		}
	}
}

// A name on the way to the array that stands twice would hide one of two arrays.
func TestDecodeSplitRejectsTwoArrays(t *testing.T) {
	for _, payload := range []string{
		`{"events":[{"type":"a"}],"events":[{"type":"b"}]}`,
		`{"events":[{"type":"a"}],"\u0065vents":[{"type":"b"}]}`,
		`{"events":1,"events":[{"type":"b"}]}`,
		`{"id":"1","id":"2","events":[{"type":"b"}]}`,
	} {
		events, err := decode(Channel{Name: "in", Fields: Fields{Split: "events"}}, payload)
		if m, ok := AsMalformed(err); !ok || m.Cause != CauseTwice || len(events) != 0 {
			t.Errorf("%s: %d events, error %v, want %s", payload, len(events), err, CauseTwice)
		}
	}
}
