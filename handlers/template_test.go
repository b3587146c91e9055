package handlers

import (
	"strings"
	"testing"
	"time"

	"signalbox/router"
)

func templateEvent() *router.Event {
	return &router.Event{
		ID: "7", Type: "tick", Channel: "price_data", Name: "prices:live", Key: "BTCUSDT",
		Time: time.Date(2026, 11, 21, 23, 30, 0, 5e6, time.FixedZone("", 3600)),
		Data: []byte(`{"symbol":"BTC\"USDT","price":97429.710,"big":12345678901234567890,"levels":[ {"p":1} , 2],"none":null,"yes":true,"a.b":"dot","":"empty"}`),
		Msg:  []byte(`{"type":"tick", "v": 1}`),
	}
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                     "",
		"plain":                                "plain",
		"{data.symbol} at {time}":              `BTC"USDT at 2026-11-21T22:30:00.005Z`,
		"{id}{type}{channel}{name}{key}":       "7tickprice_dataprices:liveBTCUSDT",
		"{data.price} {data.big} {data.yes}":   "97429.710 12345678901234567890 true",
		"{data.levels} {data.levels.0.p}":      `[{"p":1},2] 1`,
		"[{data.none}{data.missing}{source}]":  "[]",
		"{{{key}}} }}":                         "{BTCUSDT} }",
		"{msg}":                                `{"type":"tick","v":1}`,
		"{msg.v}":                              "1",
		"{data.levels.#}, {data.*}, {data.@x}": ", , ", // no name of a field is a command
	} {
		parsed, err := parseTemplate(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := parsed.of(templateEvent(), nil); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
}

func TestTemplateFill(t *testing.T) {
	t.Parallel()
	parsed, err := parseTemplate("{date}/{key}", "date")
	if err != nil {
		t.Fatal(err)
	}
	got := parsed.of(templateEvent(), func(own, text string) string {
		if own == "date" {
			return "today"
		}
		return strings.ToLower(text)
	})
	if want := "today/btcusdt"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTemplateMistakes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{data.symbol":    `"{data.symbol": a { without }; write {{ for the character`,
		"symbol}":         `"symbol}": a } without {; write }} for the character`,
		"{symbol}":        `"{symbol}": "symbol": an event has no field "symbol"; it has id, type, source, time, key, channel, name, data, msg`,
		"{}":              `"{}": "": an event has no field ""; it has id, type, source, time, key, channel, name, data, msg`,
		"{date}":          `"{date}": "date": an event has no field "date"; it has id, type, source, time, key, channel, name, data, msg`,
		"{key.x}":         `"{key.x}": "key.x": "key" has no members; only data and msg have`,
		"{data.}":         `"{data.}": "data.": a name between the dots is missing`,
		"{data.a..b} {x}": `"{data.a..b} {x}": "data.a..b": a name between the dots is missing`,
	} {
		if _, err := parseTemplate(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v\nwant %s", text, err, want)
		}
	}
}
