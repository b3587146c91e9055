package router

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// sample returns the lines of a file in testdata/samples.
func sample(t *testing.T, file string) []string {
	t.Helper()
	content, err := os.ReadFile("testdata/samples/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
}

// The samples, each with the fields that its feed's documentation suggests: the first
// event of each type is shown, and the count of events of that type.
func TestDecodeSamples(t *testing.T) {
	var out strings.Builder
	for _, tc := range []struct {
		file   string
		fields Fields
	}{
		{"binance_stream.jsonl", Fields{Type: "e", ID: "t", Time: "E", Key: "s"}},
		{"binance_book_ticker.jsonl", Fields{DefaultType: "book_ticker", ID: "u", Key: "s"}},
		{"coinbase_ticker.jsonl", Fields{ID: "sequence", Key: "product_id"}},
		{"trade_commands.jsonl", Fields{Key: "data.bot"}},
		{"bot_status.jsonl", Fields{Key: "data.bot"}},
	} {
		counts, first := map[string]int{}, map[string]Event{}
		var types []string
		for _, line := range sample(t, tc.file) {
			events, err := decode(Channel{Name: "in", Fields: tc.fields}, line)
			if err != nil || len(events) != 1 {
				t.Fatalf("%s: %s: %d events, %v", tc.file, line, len(events), err)
			}
			e := events[0]
			if counts[e.Type]++; counts[e.Type] == 1 {
				types, first[e.Type] = append(types, e.Type), e
			}
		}
		for _, typ := range types {
			e := first[typ]
			when := e.Time.UTC().Format(time.RFC3339Nano)
			if time.Since(e.Time).Abs() < time.Minute {
				when = "arrival"
			}
			fmt.Fprintf(&out, "%s: %d × type=%s id=%s time=%s key=%s source=%s data=%.40s…\n",
				tc.file, counts[typ], e.Type, e.ID, when, e.Key, e.Source, e.Data)
		}
	}
	golden(t, "testdata/samples.golden", out.String())
}

func TestEventTime(t *testing.T) {
	arrival := time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)
	day := time.Date(2026, 11, 21, 23, 30, 0, 0, time.UTC)
	at := func(ns int64) time.Time { return time.Unix(0, ns).UTC() }
	for _, tc := range []struct {
		text string // JSON
		want time.Time
	}{
		{`"2026-11-21T23:30:00Z"`, day},
		{`"2026-11-22T00:30:00+01:00"`, day},
		{`"2026-11-21T23:30:00.123456789Z"`, day.Add(123456789)},
		{`1795302000`, at(1795302000_000000000)},
		{`1795302000041`, at(1795302000_041000000)},
		{`1795302000041007`, at(1795302000_041007000)},
		{`1795302000041007003`, at(1795302000_041007003)},
		{`"1795302000"`, at(1795302000_000000000)},
		{`"1795302000041"`, at(1795302000_041000000)},
		{`"1795302000041.5"`, at(1795302000_041500000)},
		{`1795302000.5`, at(1795302000_500000000)},
		{`1795302000.000041`, at(1795302000_000041000)},
		{`1795302000.123456789`, at(1795302000_123456789)},
		{`1795302000041.007`, at(1795302000_041007000)},
		{`1795302000041.007003`, at(1795302000_041007003)},
		{`1795302000041007.003`, at(1795302000_041007003)},
		{`1795302000041007003.9`, at(1795302000_041007003)},
		{`1.795302e9`, at(1795302000_000000000)},
		{`1.7953020005e9`, at(1795302000_500000000)},
		{`1.795302000041e12`, at(1795302000_041000000)},
		{`1.795302000041e+18`, at(1795302000_041000000)}, // Python: float(time.time_ns())
		{`1795302E3`, at(1795302000_000000000)},
		{`17953020000e-1`, at(1795302000_000000000)},
		{`99999999999`, time.Unix(99999999999, 0)},
		{`100000000000`, at(100000000_000000000)},
		{`99999999999999`, time.UnixMilli(99999999999999)},
		{`100000000000000`, at(100000000_000000000)},
		{`99999999999999999`, time.UnixMicro(99999999999999999)},
		{`100000000000000000`, at(100000000_000000000)},
		{`1`, at(1_000000000)},
		// What is no time counts as missing.
		{`0`, arrival},
		{`-1`, arrival},
		{`-1795302000.5`, arrival},
		{`1e300`, arrival},
		{`1e-300`, arrival},
		{`99999999999999999999`, arrival},
		{`""`, arrival},
		{`"now"`, arrival},
		{`"2026.11.21"`, arrival},
		{`"1795302000.5x"`, arrival},
		{`"1795302000.5.5"`, arrival},
		{`"1795302000 "`, arrival},
		{`"+1795302000"`, arrival},
		{`"0x6b0"`, arrival},
		{`"NaN"`, arrival},
		{`"Inf"`, arrival},
		{`"1_795_302_000"`, arrival},
		{`null`, arrival},
		{`true`, arrival},
		{`{"s":1795302000}`, arrival},
		{`[1795302000]`, arrival},
	} {
		d := newDecoder(Channel{Name: "in"})
		in := Message{Payload: []byte(`{"type":"a","time":` + tc.text + `}`), Time: arrival}
		var e Event
		if err := d.event(&e, in); err != nil {
			t.Fatalf("%s: %v", tc.text, err)
		}
		if !e.Time.Equal(tc.want) {
			t.Errorf("%s: %v, want %v", tc.text, e.Time.UTC(), tc.want.UTC())
		}
	}
}

// Seconds with six decimals are what most Python programs send (time.time()).
func TestEventTimeKeepsMicroseconds(t *testing.T) {
	for us := int64(0); us < 1_000_000; us += 7 {
		want := time.Unix(1795302000, us*1000)
		if got := unixTime(fmt.Sprintf("1795302000.%06d", us)); !got.Equal(want) {
			t.Fatalf("1795302000.%06d: %v, want %v", us, got, want.UTC())
		}
	}
}

func TestEventFields(t *testing.T) {
	entry := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name    string
		fields  Fields
		payload string
		id, key string
		source  string
		data    string // "" is the whole message
	}{
		{"CloudEvents", Fields{}, `{"id":"7","type":"a","source":"/s","data":{"x":1}}`, "7", "", "/s", `{"x":1}`},
		{"no data", Fields{}, `{"type":"a","x":1}`, "entry", "", "", ``},
		{"data is null", Fields{}, `{"type":"a","data":null}`, "entry", "", "", `null`},
		{"data with white space", Fields{}, `{"type":"a","data" : [ 1 , 2 ] }`, "entry", "", "", `[ 1 , 2 ]`},
		{"data is text", Fields{}, `{"type":"a","data":"\u0041"}`, "entry", "", "", `"\u0041"`},
		{"id is a number", Fields{}, `{"type":"a","id":12345678901234567890}`, "12345678901234567890", "", "", ``},
		{"id as it is written", Fields{}, `{"type":"a","id":1.50}`, "1.50", "", "", ``},
		{"id is 0", Fields{}, `{"type":"a","id":0}`, "0", "", "", ``},
		{"id is empty", Fields{}, `{"type":"a","id":""}`, "entry", "", "", ``},
		{"id is null", Fields{}, `{"type":"a","id":null}`, "entry", "", "", ``},
		{"id is an object", Fields{}, `{"type":"a","id":{}}`, "entry", "", "", ``},
		{"id at a path", Fields{ID: "meta.id"}, `{"type":"a","id":"no","meta":{"id":"yes"}}`, "yes", "", "", ``},
		{"key is a number", Fields{Key: "n"}, `{"type":"a","n":-7}`, "entry", "-7", "", ``},
		{"key at a path", Fields{Key: "data.symbol"}, `{"type":"a","data":{"symbol":"BTC"}}`, "entry", "BTC", "", `{"symbol":"BTC"}`},
		{"key in data that is no object", Fields{Key: "data.symbol"}, `{"type":"a","data":[{"symbol":"BTC"}]}`, "entry", "", "", `[{"symbol":"BTC"}]`},
		{"key missing", Fields{Key: "n"}, `{"type":"a"}`, "entry", "", "", ``},
		{"key from the name", Fields{KeyFromName: true}, `{"type":"a"}`, "entry", "prices.BTC", "", ``},
		{"key before the name", Fields{Key: "n", KeyFromName: true}, `{"type":"a","n":"k"}`, "entry", "k", "", ``},
		{"key missing, from the name", Fields{Key: "n", KeyFromName: true}, `{"type":"a"}`, "entry", "prices.BTC", "", ``},
		{"type is the key", Fields{Type: "e", Key: "e"}, `{"e":"a"}`, "entry", "a", "", ``},
		{"source is a number", Fields{}, `{"type":"a","source":1}`, "entry", "", "", ``},
		{"everything escaped", Fields{}, `{"\u0074ype":"a","i\u0064":"\u0037","sou\u0072ce":"\/s","d\u0061ta":1}`, "7", "", "/s", `1`},
		{"separate ID and t T e E", Fields{Type: "e", ID: "t", Time: "E", Key: "T"}, `{"E":1795302000,"T":"k","e":"a","t":5}`, "5", "k", "", ``},
	} {
		d := newDecoder(Channel{Name: "in", Fields: tc.fields})
		in := Message{Payload: []byte(tc.payload), Name: "prices.BTC", ID: "entry", Time: entry}
		var e Event
		if err := d.event(&e, in); err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if tc.data == "" {
			tc.data = tc.payload
		}
		if e.ID != tc.id || e.Key != tc.key || e.Source != tc.source || string(e.Data) != tc.data {
			t.Errorf("%s: id=%q key=%q source=%q data=%s, want %q, %q, %q, %s", tc.name, e.ID, e.Key, e.Source, e.Data, tc.id, tc.key, tc.source, tc.data)
		}
		if e.Type != "a" || e.Channel != "in" || e.Name != "prices.BTC" || !bytes.Equal(e.Msg, in.Payload) {
			t.Errorf("%s: type=%q channel=%q name=%q msg=%s", tc.name, e.Type, e.Channel, e.Name, e.Msg)
		}
		if tc.name != "separate ID and t T e E" && !e.Time.Equal(entry) {
			t.Errorf("%s: time %v, want the entry's", tc.name, e.Time)
		}
	}
}

// Without an id of its own or of a stream entry, an event gets a UUIDv7.
func TestEventIDIsMade(t *testing.T) {
	d := newDecoder(Channel{Name: "in"})
	seen := map[string]bool{}
	for range 100 {
		in := Message{Payload: []byte(`{"type":"a"}`)}
		var e Event
		if err := d.event(&e, in); err != nil {
			t.Fatal(err)
		}
		if len(e.ID) != 36 || e.ID[14] != '7' || seen[e.ID] {
			t.Fatalf("id %q is no new UUIDv7", e.ID)
		}
		seen[e.ID] = true
	}
}
