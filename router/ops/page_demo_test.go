package ops

import (
	"context"
	"fmt"
	"time"
)

// demoConfig is what config/routes.toml wires.
func demoConfig() wireConfig {
	now := time.Now()
	types := []string{"start", "stop", "enter", "exit"}
	said := []string{"started", "stopped", "entered", "exited"}
	save := func(channel string) wireRoute {
		return wireRoute{Channel: channel, Name: "save", Types: []string{"*"}, Handler: "save", Policy: "isolated · 4 workers", Isolated: true}
	}
	return wireConfig{
		Service: "router", Version: "0.6.0", Started: now.Add(-3 * time.Hour).UnixMilli(), Since: now.Add(-40 * time.Minute).UnixMilli(),
		Files: []string{"config/routes.toml"}, Hash: "3fa9c0d1e2b4",
		Channels: []wireChannel{
			{Name: "bot_status", Transport: "pubsub", Topic: "bot_status", Types: said, Description: "What the bots say they did"},
			{Name: "price_data", Transport: "pubsub", Topic: "price_data", Types: []string{"tick"}, Description: "Quotes from the one broker connection"},
			{Name: "trade_commands", Transport: "stream", Topic: "trade_commands", Types: types, Description: "What the bots are told to do", Dead: []string{"trade_commands.dead"}},
		},
		Handlers: []wireHandler{
			{Name: "prices", Kind: "log"},
			{Name: "paper_bot", Kind: "paper_bot", Publishes: []string{"bot_status"}},
			{Name: "save", Kind: "sql"},
			{Name: "latest", Kind: "latest"},
			{Name: "log", Kind: "log"},
		},
		Routes: []wireRoute{
			{Channel: "price_data", Name: "prices", Types: []string{"tick"}, Handler: "prices"},
			{Channel: "price_data", Name: "latest", Types: []string{"tick"}, Handler: "latest"},
			{Channel: "trade_commands", Name: "paper_bot", Types: []string{"*", "!enter"}, Handler: "paper_bot"},
			{Channel: "trade_commands", Name: "enter", Types: []string{"enter"}, Handler: "paper_bot", Policy: "max_age 5s · dedupe 10m · 3 attempts"},
			{Channel: "bot_status", Name: "log", Types: []string{"*"}, Handler: "log"},
			save("price_data"), save("trade_commands"), save("bot_status"),
		},
	}
}

// tick is a quote, as the demo's feed sends four a second.
func (f *fakeRouter) tick(n int) {
	symbol, price := "BTCUSDT", 97430.25+float64(n%40)
	if n%2 == 1 {
		symbol, price = "ETHUSDT", 3120.5+float64(n%17)/10
	}
	f.happen(wireEvent{
		Channel: "price_data", Type: "tick", Result: "handled", ID: fmt.Sprintf("0193b2c4-%04d", n), Key: symbol, Micros: 40 + int64(n%30),
		Time: time.Now().UnixMilli(), Message: fmt.Sprintf(`{"type":"tick","data":{"symbol":%q,"price":%.2f}}`, symbol, price),
	}, "prices", "latest", "save")
}

// order is a command to the bots, on a route; it is saved, too.
func (f *fakeRouter) order(id, typ, result, route, why string) {
	now := time.Now()
	e := wireEvent{
		Channel: "trade_commands", Type: typ, ID: id, Result: result, Error: why, Time: now.UnixMilli(), Micros: 1800, Attempt: 1,
		Trace:   "4bf92f3577b34da6a3ce929d0e0e4736",
		Message: fmt.Sprintf(`{"id":%q,"type":%q,"time":%q,"data":{"bot":"momentum-1","symbol":"BTCUSDT","side":"long","size":"0.02"}}`, id, typ, now.Format(time.RFC3339Nano)),
	}
	if result == "retried" {
		e.Pause = 200
	}
	f.happen(e, route)
	if result != "handled" && result != "duplicate" {
		return
	}
	f.happen(wireEvent{Channel: "trade_commands", Type: typ, ID: id, Result: "handled", Micros: 900, Message: e.Message}, "save")
	f.happen(wireEvent{
		Channel: "bot_status", Type: map[string]string{"start": "started", "stop": "stopped", "enter": "entered", "exit": "exited"}[typ], ID: id + "-done", Result: "handled", Micros: 300,
		Message: fmt.Sprintf(`{"id":%q,"data":{"bot":"momentum-1","command":%q}}`, id+"-done", id),
	}, "log", "save")
}

// demo plays the scenes of `router demo` until ctx ends, faster by a factor.
func (f *fakeRouter) demo(ctx context.Context, faster int) {
	tick := time.NewTicker(250 * time.Millisecond / time.Duration(faster))
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		f.tick(n)
		id := fmt.Sprintf("c-%d", n/64*5+n%64/7)
		switch n % 64 {
		case 2:
			f.order(id, "start", "handled", "paper_bot", "")
		case 7:
			f.order(id, "enter", "handled", "enter", "")
		case 11:
			f.order(id, "enter", "duplicate", "enter", "handled before, within the window of dedupe")
		case 15:
			f.happen(wireEvent{Channel: "price_data", Result: "rejected", Error: "not JSON: invalid character 'h' at start of value at byte 0", Message: "hello"})
		case 19:
			f.order(id, "enter", "retried", "enter", "exchange timeout")
		case 20:
			f.order(id, "enter", "handled", "enter", "")
		case 27:
			f.order(id, "enter", "skipped", "enter", "9s old, max age 5s")
		case 31:
			f.order(id, "exit", "handled", "paper_bot", "")
		}
	}
}
