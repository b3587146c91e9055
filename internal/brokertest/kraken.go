package brokertest

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"
)

// Kraken is a fake of Kraken's WebSocket API v2: /v2.
type Kraken struct{ Exchange }

// StartKraken runs one until the test ends.
func StartKraken(tb testing.TB, rules Rules) *Kraken {
	tb.Helper()
	b := &Kraken{}
	b.ids = map[string]int64{}
	b.rules = rules.or(Rules{
		Symbols: []string{"BTC/USD", "ETH/USD", "SOL/USD"},
		Idle:    time.Minute, Heartbeat: time.Second, Attempts: 150, AttemptsIn: 10 * time.Minute,
	})
	b.refuses = b.crowd("/v2")
	b.serve = b.talk
	b.start(tb, true)
	return b
}

func (b *Kraken) talk(ctx context.Context, t *talk) error {
	if !b.accept(t, Both) {
		return errLost
	}
	s := &krakenSession{b: b, t: t}
	s.desk = &desk{rules: b.rules, hear: s.hear, trade: s.trade, beat: s.heartbeat}
	status := map[string]any{"system": "online", "api_version": "v2", "connection_id": 12345, "version": "2.0.10"}
	if err := t.send(ctx, krakenUpdate("status", "update", status)); err != nil {
		return err
	}
	return s.desk.serve(ctx, t, 0)
}

type krakenSession struct {
	b       *Kraken
	t       *talk
	desk    *desk
	symbols []string
	turn    int
}

func krakenUpdate(channel, kind string, data ...any) any {
	return map[string]any{"channel": channel, "type": kind, "data": data}
}

// hear answers a request; a subscription has an answer for each symbol.
func (s *krakenSession) hear(ctx context.Context, message []byte) error {
	var r struct {
		Method string `json:"method"`
		ID     *int64 `json:"req_id"`
		Params struct {
			Channel  string   `json:"channel"`
			Symbols  []string `json:"symbol"`
			Snapshot bool     `json:"snapshot"`
		} `json:"params"`
	}
	answer := map[string]any{"success": false, "time_in": time.Now().UTC(), "time_out": time.Now().UTC()}
	if err := json.Unmarshal(message, &r); err != nil {
		answer["error"] = "JSON does not conform to schema"
		return s.t.send(ctx, answer)
	}
	answer["method"] = r.Method
	if r.ID != nil {
		answer["req_id"] = *r.ID
	}
	switch {
	case r.Method == "ping":
		answer["method"] = "pong"
		delete(answer, "success")
		return s.t.send(ctx, answer)
	case r.Method != "subscribe":
		answer["error"] = "Method is not supported"
		return s.t.send(ctx, answer)
	case r.Params.Channel != "trade":
		answer["error"] = "Channel is not supported"
		return s.t.send(ctx, answer)
	}
	for _, symbol := range r.Params.Symbols {
		if err := s.subscribe(ctx, answer, symbol, r.Params.Snapshot); err != nil {
			return err
		}
	}
	return nil
}

func (s *krakenSession) subscribe(ctx context.Context, answer map[string]any, symbol string, snapshot bool) error {
	if !s.b.trades(symbol) {
		answer["success"], answer["error"], answer["symbol"] = false, "Currency pair not supported "+symbol, symbol
		delete(answer, "result")
		return s.t.send(ctx, answer)
	}
	delete(answer, "error")
	delete(answer, "symbol")
	answer["success"], answer["result"] = true, map[string]any{"channel": "trade", "symbol": symbol, "snapshot": snapshot}
	if err := s.t.send(ctx, answer); err != nil {
		return err
	}
	if !slices.Contains(s.symbols, symbol) {
		s.symbols = append(s.symbols, symbol)
	}
	if last := s.b.last(symbol); snapshot && last > 0 {
		return s.t.data(ctx, krakenUpdate("trade", "snapshot", krakenTrade(symbol, last)), 1)
	}
	return nil
}

func krakenTrade(symbol string, id int64) any {
	return map[string]any{
		"symbol": symbol, "side": "buy", "price": 97000.1, "qty": 0.001, "ord_type": "limit", "trade_id": id,
		"timestamp": time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"),
	}
}

// trade sends one trade, or two in a message.
func (s *krakenSession) trade(ctx context.Context) error {
	if len(s.symbols) == 0 {
		return nil
	}
	s.turn++
	symbol := s.symbols[s.turn%len(s.symbols)]
	var trades []any
	for range 1 + s.turn%2 {
		id, ok := s.b.next(symbol)
		if !ok {
			return nil
		}
		trades = append(trades, krakenTrade(symbol, id))
	}
	s.desk.beaten = time.Now() // a heartbeat comes only when nothing else does
	return s.t.data(ctx, krakenUpdate("trade", "update", trades...), len(trades))
}

func (s *krakenSession) heartbeat(ctx context.Context) error {
	if len(s.symbols) == 0 {
		return nil
	}
	return s.t.send(ctx, map[string]any{"channel": "heartbeat"})
}
