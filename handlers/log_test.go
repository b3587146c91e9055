package handlers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/lmittmann/tint"

	"signalbox/handlers"
	"signalbox/router"
	"signalbox/router/routertest"
)

func TestLogLines(t *testing.T) {
	const tick = `{"type":"tick","id":"7","source":"/feed","time":"2026-11-22T10:15:00Z","data":{"symbol":"BTCUSDT","price":97000.10,` +
		`"open":true,"levels":[[1, 2],[3, 4]],"note":null,"a b":"c"}}`
	for _, test := range []struct {
		name    string
		options handlers.LogOptions
		message string
		want    string
	}{
		{
			"defaults",
			handlers.Log().Defaults,
			`{"type":"a","id":"1","data":{"symbol":"X"}}`,
			`level=INFO msg=event handler=log channel=in type=a id=1 key=X data="{\"symbol\":\"X\"}"`,
		},
		{
			"zero options",
			handlers.LogOptions{},
			`{"type":"a","id":"1","data":5}`,
			`level=INFO msg=event handler=log channel=in type=a id=1 data=5`,
		},
		{
			"no data: the message",
			handlers.LogOptions{Fields: []string{"data"}},
			`{"type":"a" , "n":1}`,
			`level=INFO msg=event handler=log data="{\"type\":\"a\",\"n\":1}"`,
		},
		{"level", handlers.LogOptions{Level: "debug"}, tick, ``},
		{
			"text fields",
			handlers.LogOptions{Fields: []string{"name", "source", "key", "id"}},
			tick,
			`level=INFO msg=event handler=log name=in event_source=/feed key=BTCUSDT id=7`,
		},
		{
			"slog's own names",
			handlers.LogOptions{Fields: []string{"time", "msg"}},
			`{"type":"a","time":1700000000}`,
			`level=INFO msg=event handler=log event_time=2023-11-14T22:13:20.000Z event_msg="{\"type\":\"a\",\"time\":1700000000}"`,
		},
		{
			"paths",
			handlers.LogOptions{Fields: []string{"data.symbol", "data.price", "data.open", "data.a b", "msg.id"}},
			tick,
			`level=INFO msg=event handler=log data.symbol=BTCUSDT data.price=97000.10 data.open=true "data.a b"=c msg.id=7`,
		},
		{
			"paths to arrays",
			handlers.LogOptions{Fields: []string{"data.levels", "data.levels.1.0"}},
			tick,
			`level=INFO msg=event handler=log data.levels=[[1,2],[3,4]] data.levels.1.0=3`,
		},
		{
			"missing and null",
			handlers.LogOptions{Fields: []string{"data.nothing", "data.note", "data.symbol.deeper", "type"}},
			tick,
			`level=INFO msg=event handler=log type=tick`,
		},
		{
			"path syntax of gjson is text",
			handlers.LogOptions{Fields: []string{"data.@this", "data.s*", "data.levels|0", "type"}},
			tick,
			`level=INFO msg=event handler=log type=tick`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			box, out := start(t, oneRoute(spec(handlers.Log(), test.options)))
			box.Send("in", test.message)
			if got := len(box.Handled("log")); got != 1 {
				t.Errorf("handled %d events, want 1", got)
			}
			if got := strings.TrimSuffix(out.String(), "\n"); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestLogJSON(t *testing.T) {
	var out bytes.Buffer
	handler := newLog(t, slog.NewJSONHandler(&out, withoutTime()), handlers.LogOptions{
		Level:  "warn",
		Fields: []string{"type", "time", "data.price", "data.open", "data.big", "data"},
	})
	err := handler.Handle(t.Context(), &router.Event{
		Type: "tick", Time: time.Unix(0, 0).UTC(),
		Data: []byte(`{"price":97000.10,"open":false,"big":1` + strings.Repeat("0", 100) + `}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	const zeros = "0000000000"
	big := "1" + strings.Repeat(zeros, 10)
	want := `{"level":"WARN","msg":"event","type":"tick","event_time":"1970-01-01T00:00:00Z","data.price":97000.10,"data.open":false,` +
		`"data.big":"` + big + `","data":"{\"price\":97000.10,\"open\":false,\"big\":` + big + `}"}` + "\n"
	if got := out.String(); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

// hostile is what a payload may do to a terminal or to who reads a log by line.
func hostile() map[string]string {
	return map[string]string{
		"ansi":            "\x1b[2J\x1b[31mred",
		"csi in one":      "\u009b31mred",
		"line":            "a\r\nlevel=ERROR msg=forged",
		"unicode lines":   "a\u2028b\u2029c\u0085d",
		"bidi":            "\u202egnp.exe\u2066",
		"nul bell delete": "\x00\x07\x7f",
		"tag characters":  "\U000e0041\U000e0042",
		"invalid":         "a\xff\xfeb\xc3",
		"tint's escape":   `say "\x1b[31m"`,
		"replacement":     "a b\ufffd and what follows",
		"long":            strings.Repeat("é\x1b ", 1<<18),
	}
}

func TestLogHostileText(t *testing.T) {
	formats := map[string]func(io.Writer) slog.Handler{
		"text":           func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, withoutTime()) },
		"json":           func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, withoutTime()) },
		"tint":           func(w io.Writer) slog.Handler { return tint.NewTextHandler(w, &tint.Options{NoColor: true}) },
		"tint in colour": func(w io.Writer) slog.Handler { return tint.NewTextHandler(w, nil) },
	}
	for format, newHandler := range formats {
		for name, text := range hostile() {
			t.Run(format+"/"+name, func(t *testing.T) {
				var out bytes.Buffer
				handler := newLog(t, newHandler(&out), handlers.LogOptions{
					Fields: []string{"channel", "type", "id", "key", "source", "name", "data.text", "data", "msg"},
				})
				quoted := strings.ReplaceAll(strings.ReplaceAll(text, `\`, `\\`), `"`, `\"`)
				data := []byte(`{"text":"` + quoted + `"}`)
				event := &router.Event{Channel: text, Type: text, ID: text, Key: text, Source: text, Name: text, Data: data, Msg: data}
				if err := handler.Handle(t.Context(), event); err != nil {
					t.Fatal(err)
				}
				checkLine(t, out.String())
			})
		}
	}
}

func checkLine(t *testing.T, line string) {
	t.Helper()
	// Tint's own colours: any other ESC comes from the payload.
	for _, own := range []string{"\x1b[2m", "\x1b[0m", "\x1b[92m", "\x1b[22m"} {
		line = strings.ReplaceAll(line, own, "")
	}
	body, ended := strings.CutSuffix(line, "\n")
	if !ended {
		t.Fatalf("no line: %q", line)
	}
	for i, r := range body {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			t.Fatalf("%U at byte %d of %q", r, i, body)
		}
	}
	if len(body) > 10*1200 {
		t.Errorf("the line has %d bytes", len(body))
	}
	if !strings.Contains(body, "event_msg") {
		t.Errorf("the last attribute is missing in %q", body)
	}
}

func TestLogCutsLongData(t *testing.T) {
	var out bytes.Buffer
	handler := newLog(t, slog.NewJSONHandler(&out, nil), handlers.LogOptions{Fields: []string{"data"}})
	for _, test := range []struct {
		name, data string
		cut        bool
	}{
		{"just fits", `"` + strings.Repeat("x", 510) + `"`, false},
		{"just fits, spaces don't count", strings.Repeat(" ", 1<<20) + `"` + strings.Repeat("x", 510) + `"` + strings.Repeat("\n", 1<<20), false},
		{"one too many", `"` + strings.Repeat("x", 511) + `"`, true},
		{"1 MB", `{"text":"` + strings.Repeat("x", 1<<20) + `"}`, true},
		{"inside a character", `"` + strings.Repeat("é", 1<<10) + `"`, true},
		{"inside an escape", `"` + strings.Repeat("\u2028", 1<<10) + `"`, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			out.Reset()
			if err := handler.Handle(t.Context(), &router.Event{Data: []byte(test.data)}); err != nil {
				t.Fatal(err)
			}
			var line struct{ Data string }
			if err := json.Unmarshal(out.Bytes(), &line); err != nil {
				t.Fatal(err)
			}
			shown, cut := strings.CutSuffix(line.Data, "…")
			if cut != test.cut || len(shown) > 512 || !cut && shown != strings.TrimSpace(test.data) {
				t.Errorf("cut %t after %d bytes: %s", cut, len(shown), line.Data)
			}
		})
	}
}

func FuzzLogData(f *testing.F) {
	for _, text := range hostile() {
		f.Add([]byte(`{ "text" : "` + text[:min(len(text), 100)] + `" }`))
	}
	f.Add([]byte(`[1, "\\\\x1b", "\\"", {}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		var out bytes.Buffer
		handler := newLog(t, slog.NewJSONHandler(&out, nil), handlers.LogOptions{Fields: []string{"data"}})
		if err := handler.Handle(t.Context(), &router.Event{Data: data}); err != nil {
			t.Fatal(err)
		}
		var line struct{ Data string }
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsFunc(line.Data, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q is not printable", line.Data)
		}
		// What is shown whole still says the same.
		var got, want any
		if json.Unmarshal(data, &want) != nil || strings.HasSuffix(line.Data, "…") {
			return
		}
		if err := json.Unmarshal([]byte(line.Data), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s says %v, want %v (%v)", line.Data, got, want, err)
		}
	})
}

func TestLogEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		handler := newLog(t, slog.NewTextHandler(&out, withoutTime()), handlers.LogOptions{
			Every: time.Second, Fields: []string{"type", "key", "data"},
		})
		tick := func(key string, n int) {
			event := &router.Event{Channel: "prices", Type: "tick", Key: key, Data: fmt.Appendf(nil, "%d", n)}
			if err := handler.Handle(t.Context(), event); err != nil {
				t.Error(err)
			}
		}
		for n := range 25 { // at 0, 100, … 2400 ms
			tick("BTC", n)
			if n%10 == 0 {
				tick("ETH", n)
			}
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Hour)
		tick("BTC", 99)
		const want = `level=INFO msg=event type=tick key=BTC data=0
level=INFO msg=event type=tick key=ETH data=0
level=INFO msg=event type=tick key=BTC data=10 skipped=9
level=INFO msg=event type=tick key=ETH data=10
level=INFO msg=event type=tick key=BTC data=20 skipped=9
level=INFO msg=event type=tick key=ETH data=20
level=INFO msg=event type=tick key=BTC data=99 skipped=4
`
		if got := out.String(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

// Keys come from payloads: however many there are, lines and memory stay bounded, and
// every event is in a line or in a count.
func TestLogEveryWithEndlessKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counted := &counter{}
		handler := newLog(t, counted, handlers.LogOptions{Every: time.Minute, Fields: []string{"key"}})
		const rounds, keys = 3, 5000
		for range rounds {
			for n := range keys {
				if err := handler.Handle(t.Context(), &router.Event{Type: "tick", Key: fmt.Sprint("k", n)}); err != nil {
					t.Error(err)
				}
			}
			time.Sleep(2 * time.Minute)
		}
		if most := rounds * (1024 + 1); counted.lines > most {
			t.Errorf("%d lines, want at most %d", counted.lines, most)
		}
		// What the last round passed over is still to be told.
		if said := counted.lines + counted.skipped; said < (rounds-1)*keys || said > rounds*keys {
			t.Errorf("%d lines and %d skipped of %d events", counted.lines, counted.skipped, rounds*keys)
		}
	})
}

// counter is a slog.Handler that counts lines and what they say was skipped.
type counter struct{ lines, skipped int }

func (c *counter) Enabled(context.Context, slog.Level) bool { return true }
func (c *counter) WithAttrs([]slog.Attr) slog.Handler       { return c }
func (c *counter) WithGroup(string) slog.Handler            { return c }

func (c *counter) Handle(_ context.Context, record slog.Record) error {
	c.lines++
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == "skipped" {
			c.skipped += int(a.Value.Int64())
		}
		return true
	})
	return nil
}

func TestLogOptions(t *testing.T) {
	for _, test := range []struct {
		options handlers.LogOptions
		want    string // empty: valid
	}{
		{handlers.LogOptions{}, ""},
		{handlers.LogOptions{Level: "error", Fields: []string{"data.a.b", "msg.x", "time"}, Every: time.Second}, ""},
		{handlers.LogOptions{Level: "INFO"}, `level: "INFO" is not one of debug, info, warn, error`},
		{handlers.LogOptions{Fields: []string{"dta.symbol"}}, `fields: "dta.symbol": an event has no field "dta"; it has id, type, source, time, key, channel, name, data, msg`},
		{handlers.LogOptions{Fields: []string{""}}, `fields: "": an event has no field ""; it has id, type, source, time, key, channel, name, data, msg`},
		{handlers.LogOptions{Fields: []string{"key.symbol"}}, `fields: "key.symbol": "key" has no members; only data and msg have`},
		{handlers.LogOptions{Fields: []string{"time.hour"}}, `fields: "time.hour": "time" has no members; only data and msg have`},
		{handlers.LogOptions{Fields: []string{"data."}}, `fields: "data.": a name between the dots is missing`},
		{handlers.LogOptions{Fields: []string{"data.a..b"}}, `fields: "data.a..b": a name between the dots is missing`},
		{handlers.LogOptions{Fields: []string{"id", "id"}}, `fields: "id" stands twice`},
		{handlers.LogOptions{Every: -time.Second}, `every: -1s is negative; 0s is a line for every event`},
		{
			handlers.LogOptions{Level: "loud", Every: -1},
			"level: \"loud\" is not one of debug, info, warn, error\nevery: -1ns is negative; 0s is a line for every event",
		},
	} {
		var got string
		err := test.options.Validate()
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%+v:\ngot  %s\nwant %s", test.options, got, test.want)
		}
		if _, made := handlers.Log().New(router.Env{Log: slog.New(slog.DiscardHandler)}, test.options); (made == nil) != (err == nil) {
			t.Errorf("%+v: Validate says %v, New %v", test.options, err, made)
		}
	}
}

func ExampleLog() {
	log := slog.New(slog.NewTextHandler(os.Stdout, withoutTime()))
	box, err := routertest.New(router.Config{
		Channels: []router.Channel{{Name: "price_data"}},
		Handlers: []router.HandlerSpec{spec(handlers.Log(), handlers.LogOptions{
			Fields: []string{"channel", "type", "data.symbol", "data.price"},
		})},
		Routes: []router.Route{{Channel: "price_data", Types: []string{"tick"}, Handler: "log"}},
	}, log)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = box.Close() }()

	box.Send("price_data", `{"type":"tick","data":{"symbol":"BTCUSDT","price":97429.71}}`)
	// Output:
	// level=INFO msg=event handler=log channel=price_data type=tick data.symbol=BTCUSDT data.price=97429.71
}

func BenchmarkLog(b *testing.B) {
	event := &router.Event{
		ID: "7", Type: "tick", Key: "BTCUSDT", Channel: "price_data", Name: "price_data",
		Data: []byte(`{"symbol":"BTCUSDT","bid":97000.1,"ask":97000.2,"volume":12.5}`),
	}
	for _, bench := range []struct {
		name    string
		options handlers.LogOptions
	}{
		{"disabled", handlers.LogOptions{Level: "debug"}},
		{"every=1h", handlers.LogOptions{Every: time.Hour}},
		{"every event", handlers.LogOptions{}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			handler := newLog(b, slog.DiscardHandler, bench.options)
			b.ReportAllocs()
			for b.Loop() {
				_ = handler.Handle(b.Context(), event)
			}
		})
	}
}

// nowhere is io.Discard behind a formatting handler, whose cost belongs to a line.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

func newLog(tb testing.TB, out slog.Handler, options handlers.LogOptions) router.Handler {
	tb.Helper()
	handler, err := handlers.Log().New(router.Env{Log: slog.New(out)}, options)
	if err != nil {
		tb.Fatal(err)
	}
	return handler
}
