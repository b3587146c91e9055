package transport

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestEntryPayload(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		fields []string
		want   string
		twice  string
	}{
		{"payload wins", []string{"payload", "p", "data", "d"}, "p", ""},
		{"empty payload", []string{"payload", "", "x", "y"}, "", ""},
		{"only data", []string{"data", `{"type":"t"}`}, `{"type":"t"}`, ""},
		{"only message", []string{"message", "m"}, "m", ""},
		{"only another", []string{"body", "b"}, `{"body":"b"}`, ""},
		{"sorted", []string{"b", "2", "a", "1"}, `{"a":"1","b":"2"}`, ""},
		{"json data", []string{"type", "t", "data", ` {"n": 1}`}, `{"data": {"n": 1},"type":"t"}`, ""},
		{"text data", []string{"type", "t", "data", "NaN"}, `{"data":"NaN","type":"t"}`, ""},
		{"escapes", []string{`q"`, "\\\n\x00é"}, `{"q\"":"\\\u000a\u0000é"}`, ""},
		{"bad utf-8", []string{"type", "\xff"}, "{\"type\":\"\xff\"}", ""},
		{"none", nil, "{}", ""},
		{"a name without a value", []string{"a", "1", "b"}, `{"a":"1"}`, ""},
		{"twice", []string{"type", "b", "x", "1", "type", "a"}, `{"type":"b","type":"a","x":"1"}`, ""},
		{"payload twice", []string{"payload", "a", "payload", "b"}, `{"payload":"a","payload":"b"}`, "payload"},
		{"payload twice, the same", []string{"payload", "a", "type", "t", "payload", "a"}, `{"payload":"a","payload":"a","type":"t"}`, "payload"},
		{"only data, twice", []string{"data", "1", "data", "2"}, `{"data":1,"data":2}`, "data"},
		{"only message, three times", []string{"message", "a", "message", "b", "message", "c"}, `{"message":"a","message":"b","message":"c"}`, "message"},
		{"message twice beside others", []string{"message", "a", "message", "b", "type", "t"}, `{"message":"a","message":"b","type":"t"}`, ""},
	} {
		got, twice := entryPayload(c.fields)
		if string(got) != c.want || twice != c.twice {
			t.Errorf("%s: got %s and twice %q, want %s and %q", c.name, got, twice, c.want, c.twice)
		}
	}
}

func TestEntryTime(t *testing.T) {
	t.Parallel()
	if got := entryTime("1700000000123-5"); !got.Equal(time.UnixMilli(1700000000123)) {
		t.Errorf("got %v", got)
	}
	for _, id := range []string{"", "x-1", "-5-1", "99999999999999999999-0"} {
		if got := entryTime(id); !got.IsZero() {
			t.Errorf("%s: got %v", id, got)
		}
	}
}

func FuzzEntry(f *testing.F) {
	f.Add("payload", "x", "metadata", "y", "_watermill_message_uuid", "z")
	f.Add("data", `{"a":1}`, "type", "tick", "", "")
	f.Add("data", "\xff", "message", "\x00\"\\", "k", "v")
	f.Add("_watermill_message_uuid", "u", "metadata", "\xdf\xff\xff\xff\xff", "a", "b")
	f.Add("type", "a", "type", "b", "n", "1")
	f.Add("payload", "a", "payload", "b", "n", "1")
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2, k3, v3 string) {
		fields := []string{k1, v1, k2, v2, k3, v3}
		times, last := map[string]int{}, map[string]string{}
		for i := 0; i < len(fields); i += 2 {
			times[fields[i]]++
			last[fields[i]] = fields[i+1]
		}
		got, twice := entryPayload(fields)
		uuid, metadata := entryHeader(fields)
		if metadata == nil || uuid != last[uuidField] {
			t.Fatalf("uuid %q, metadata %v", uuid, metadata)
		}
		only := ""
		for _, name := range []string{"message", "data"} {
			if times[name] == 3 {
				only = name
			}
		}
		if times[payloadField] > 0 {
			only = payloadField
		}
		if only != "" && times[only] == 1 {
			if string(got) != last[only] || twice != "" {
				t.Fatalf("payload %q became %q, twice %q", last[only], got, twice)
			}
			return
		}
		if twice != only {
			t.Fatalf("%q stands twice, not %q", only, twice)
		}
		for _, text := range fields {
			if !utf8.ValidString(text) {
				if utf8.Valid(got) && !json.Valid(got) {
					t.Fatalf("%q is broken", got)
				}
				return
			}
		}
		sameMembers(t, fields, got)
	})
}

// sameMembers asserts that a JSON object has the fields, each as often as it stands.
func sameMembers(t *testing.T, fields []string, object []byte) {
	t.Helper()
	const embedded = "data" // perhaps not as a string
	want, got := map[string][]string{}, map[string][]string{}
	for i := 0; i < len(fields); i += 2 {
		value := fields[i+1]
		if fields[i] == embedded {
			value = ""
		}
		want[fields[i]] = append(want[fields[i]], value)
	}
	if !json.Valid(object) {
		t.Fatalf("%q is no JSON", object)
	}
	members := json.NewDecoder(bytes.NewReader(object))
	_, _ = members.Token() // the bracket
	for members.More() {
		token, _ := members.Token()
		name, _ := token.(string)
		var raw json.RawMessage
		_ = members.Decode(&raw)
		var value string
		if err := json.Unmarshal(raw, &value); name != embedded && err != nil {
			t.Fatalf("field %q is %s: %v", name, raw, err)
		}
		if name == embedded {
			value = ""
		}
		got[name] = append(got[name], value)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%q has %q, want %q", object, got, want)
	}
}

func BenchmarkEntryPayload(b *testing.B) {
	for name, fields := range map[string][]string{
		"payload": {payloadField, strings.Repeat("x", 280)},
		"object":  {"type", "tick", "data", `{"symbol":"BTCUSDT","price":97000.5}`, "source", "broker"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				entryPayload(fields)
			}
		})
	}
}
