package brokertest

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Alpaca is a fake of Alpaca's stream of stock trades: /v2/iex, as the free plan has it.
type Alpaca struct{ Exchange }

// StartAlpaca runs one until the test ends.
func StartAlpaca(tb testing.TB, rules Rules) *Alpaca {
	tb.Helper()
	b := &Alpaca{}
	b.ids = map[string]int64{}
	b.rules = rules.or(Rules{
		Symbols: []string{"AAPL", "MSFT", "SPY"}, Key: "key", Secret: "secret",
		Login: 10 * time.Second, Streams: 30,
	})
	b.refuses = b.crowd("/v2/iex")
	b.serve = b.talk
	b.start(tb, true)
	return b
}

func (b *Alpaca) talk(ctx context.Context, t *talk) error {
	s := &alpacaSession{b: b, t: t}
	s.desk = &desk{rules: b.rules, hear: s.hear, trade: s.trade, late: goodbye{websocket.StatusPolicyViolation, "auth timeout"}}
	if b.rules.Ping > 0 {
		t.wait.Go(func() { t.pings(ctx, b.rules.Ping, b.rules.Pong) })
	}
	if err := s.say(ctx, note{Type: "success", Message: "connected"}); err != nil {
		return err
	}
	if key := t.header.Get("APCA-API-KEY-ID"); key != "" {
		if err := s.login(ctx, key, t.header.Get("APCA-API-SECRET-KEY")); err != nil {
			return err
		}
	}
	err := s.desk.serve(ctx, t, b.rules.Login)
	if err == s.desk.late { //nolint:errorlint // it is this very value
		_ = s.say(ctx, note{Type: "error", Code: 404, Message: "auth timeout"})
	}
	return err
}

type alpacaSession struct {
	b      *Alpaca
	t      *talk
	desk   *desk
	trades []string
	turn   int
}

// say sends a control message, which is an array of one.
func (s *alpacaSession) say(ctx context.Context, n any) error { return s.t.send(ctx, []any{n}) }

// fail tells an error after which the session goes on.
func (s *alpacaSession) fail(ctx context.Context, code int, text string) error {
	return s.say(ctx, note{Type: "error", Code: code, Message: text})
}

// end tells an error, and ends the connection.
func (s *alpacaSession) end(ctx context.Context, code int, text string) error {
	s.b.end(s.t, text)
	if err := s.fail(ctx, code, text); err != nil {
		return err
	}
	return goodbye{websocket.StatusNormalClosure, text}
}

func (s *alpacaSession) login(ctx context.Context, key, secret string) error {
	switch {
	case s.desk.busy:
		return s.fail(ctx, 403, "already authenticated")
	case key != s.b.rules.Key || secret != s.b.rules.Secret:
		return s.end(ctx, 402, "auth failed")
	case !s.b.accept(s.t, Refuse):
		return s.end(ctx, 406, "connection limit exceeded")
	}
	s.desk.busy = true
	return s.say(ctx, note{Type: "success", Message: "authenticated"})
}

// hear answers a request.
func (s *alpacaSession) hear(ctx context.Context, message []byte) error {
	var r struct {
		Action string   `json:"action"`
		Key    string   `json:"key"`
		Secret string   `json:"secret"`
		Trades []string `json:"trades"`
	}
	if json.Unmarshal(message, &r) != nil {
		return s.fail(ctx, 400, "invalid syntax")
	}
	switch {
	case r.Action == "auth":
		return s.login(ctx, r.Key, r.Secret)
	case r.Action != "subscribe":
		return s.fail(ctx, 400, "invalid syntax")
	case !s.desk.busy:
		return s.fail(ctx, 401, "not authenticated")
	}
	all := slices.Compact(slices.Sorted(slices.Values(slices.Concat(s.trades, r.Trades))))
	if len(all) > s.b.rules.Streams {
		return s.fail(ctx, 405, "symbol limit exceeded")
	}
	s.trades = all
	return s.say(ctx, map[string]any{"T": "subscription", "trades": all, "quotes": []string{}, "bars": []string{}})
}

// trade sends an array of one trade or two, of one symbol after the other.
func (s *alpacaSession) trade(ctx context.Context) error {
	var list []any
	s.turn++
	for range min(len(s.trades), 1+s.turn%2) {
		s.trades = append(s.trades[1:], s.trades[0])
		symbol := s.trades[0]
		id, ok := s.b.next(symbol)
		if !ok || !s.b.trades(symbol) {
			continue
		}
		list = append(list, map[string]any{
			"T": "t", "S": symbol, "i": 52983525029461 + id, "x": "V", "p": 187.42, "s": 100, "c": []string{"@"}, "z": "C",
			"t": time.Now().UTC(),
		})
	}
	if list == nil {
		return nil
	}
	return s.t.data(ctx, list, len(list))
}
