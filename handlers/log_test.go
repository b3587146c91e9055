package handlers_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

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
			handler := newLog(b, slog.NewTextHandler(nowhere{}, nil), bench.options)
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
