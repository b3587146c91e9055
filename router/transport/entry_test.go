package transport

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestEntryPayload(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		fields map[string]any
		want   string
	}{
		{"payload wins", map[string]any{"payload": "p", "data": "d"}, "p"},
		{"empty payload", map[string]any{"payload": "", "x": "y"}, ""},
		{"only data", map[string]any{"data": `{"type":"t"}`}, `{"type":"t"}`},
		{"only message", map[string]any{"message": "m"}, "m"},
		{"only another", map[string]any{"body": "b"}, `{"body":"b"}`},
		{"sorted", map[string]any{"b": "2", "a": "1"}, `{"a":"1","b":"2"}`},
		{"json data", map[string]any{"type": "t", "data": ` {"n": 1}`}, `{"data": {"n": 1},"type":"t"}`},
		{"text data", map[string]any{"type": "t", "data": "NaN"}, `{"data":"NaN","type":"t"}`},
		{"escapes", map[string]any{`q"`: "\\\n\x00é"}, `{"q\"":"\\\u000a\u0000é"}`},
		{"bad utf-8", map[string]any{"type": "\xff"}, "{\"type\":\"\xff\"}"},
		{"none", nil, "{}"},
		{"strange value", map[string]any{"a": 1}, `{"a":""}`},
	} {
		if got := string(entryPayload(c.fields)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
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
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2, k3, v3 string) {
		fields := map[string]any{k1: v1, k2: v2, k3: v3}
		got := entryPayload(fields)
		uuid, metadata := entryHeader(fields)
		if metadata == nil || uuid != text(fields[uuidField]) {
			t.Fatalf("uuid %q, metadata %v", uuid, metadata)
		}
		if p, ok := fields[payloadField]; ok {
			if string(got) != p {
				t.Fatalf("payload %q became %q", p, got)
			}
			return
		}
		if len(fields) == 1 && (k1 == "data" || k1 == "message") {
			if string(got) != v1 {
				t.Fatalf("%q became %q", v1, got)
			}
			return
		}
		for k, v := range fields {
			if !utf8.ValidString(k) || !utf8.ValidString(text(v)) {
				if utf8.Valid(got) && !json.Valid(got) {
					t.Fatalf("%q is broken", got)
				}
				return
			}
		}
		var back map[string]json.RawMessage
		if err := json.Unmarshal(got, &back); err != nil || len(back) != len(fields) {
			t.Fatalf("%q: %v", got, err)
		}
		for k, v := range fields {
			var s string
			if k == "data" && json.Valid([]byte(text(v))) {
				continue
			}
			if err := json.Unmarshal(back[k], &s); err != nil || s != v {
				t.Fatalf("field %q is %q, want %q", k, s, v)
			}
		}
	})
}

func BenchmarkEntryPayload(b *testing.B) {
	for name, fields := range map[string]map[string]any{
		"payload": {payloadField: strings.Repeat("x", 280)},
		"object":  {"type": "tick", "data": `{"symbol":"BTCUSDT","price":97000.5}`, "source": "broker"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				entryPayload(fields)
			}
		})
	}
}
