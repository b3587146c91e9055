package brokertest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Binance is a fake of Binance's market streams: /ws and /stream.
type Binance struct{ Exchange }

// StartBinance runs one until the test ends.
func StartBinance(tb testing.TB, rules Rules) *Binance {
	tb.Helper()
	b := &Binance{}
	b.ids = map[string]int64{}
	b.rules = rules.or(Rules{
		Symbols: []string{"BTCUSDT", "ETHUSDT", "SOLUSDT"},
		Ping:    20 * time.Second, Pong: time.Minute, Life: 24 * time.Hour, Notice: 10 * time.Minute,
		Messages: 5, Streams: 1024, Attempts: 300, AttemptsIn: 5 * time.Minute,
	})
	b.refuses = b.crowd("/ws", "/stream")
	b.accepting = func(t *talk) websocket.AcceptOptions {
		t.meter.most = b.rules.Messages
		count := func() {
			if !t.meter.add() {
				t.leave(tooMany())
			}
		}
		return websocket.AcceptOptions{
			OnPingReceived: func(context.Context, []byte) bool { count(); return true },
			OnPongReceived: func(context.Context, []byte) { count() },
		}
	}
	b.serve = b.talk
	b.start(tb, true)
	return b
}

func (b *Binance) talk(ctx context.Context, t *talk) error {
	if !b.accept(t, Both) {
		return errLost
	}
	t.wait.Go(func() { t.pings(ctx, b.rules.Ping, b.rules.Pong) })
	s := &binanceSession{b: b, t: t, combined: t.url.Path == "/stream"}
	d := &desk{rules: b.rules, hear: s.hear, trade: s.trade, warn: s.shutdown}
	return d.serve(ctx, t, 0)
}

type binanceSession struct {
	b        *Binance
	t        *talk
	combined bool
	streams  []string
	turn     int
}

// hear answers a request.
func (s *binanceSession) hear(ctx context.Context, message []byte) error {
	var r struct {
		Method string          `json:"method"`
		Params []string        `json:"params"`
		ID     json.RawMessage `json:"id"`
	}
	if err := json.Unmarshal(message, &r); err != nil {
		return s.fail(ctx, 3, "Invalid JSON: "+err.Error())
	}
	if !isBinanceID(r.ID) {
		return s.fail(ctx, 2, "Invalid request: request ID must be an unsigned integer")
	}
	var result any
	switch r.Method {
	case "SUBSCRIBE":
		all := slices.Compact(slices.Sorted(slices.Values(slices.Concat(s.streams, r.Params))))
		if len(all) > s.b.rules.Streams {
			return s.fail(ctx, 2, fmt.Sprintf("Invalid request: more than %d streams", s.b.rules.Streams))
		}
		s.streams = all
	case "UNSUBSCRIBE":
		s.streams = slices.DeleteFunc(s.streams, func(name string) bool { return slices.Contains(r.Params, name) })
	case "LIST_SUBSCRIPTIONS":
		result = append([]string{}, s.streams...)
	default:
		return s.fail(ctx, 2, fmt.Sprintf("Invalid request: unknown variant `%s`", r.Method))
	}
	return s.t.send(ctx, map[string]any{"result": result, "id": r.ID})
}

func (s *binanceSession) fail(ctx context.Context, code int, text string) error {
	return s.t.send(ctx, map[string]any{"code": code, "msg": text})
}

func isBinanceID(id json.RawMessage) bool {
	if len(id) == 0 {
		return false
	}
	_, err := strconv.ParseUint(string(id), 10, 63)
	return err == nil || string(id) == "null" || id[0] == '"' && len(id) <= 36+2
}

// trade sends a trade of the next stream. A name that does not exist is a stream, too, on
// which nothing ever comes.
func (s *binanceSession) trade(ctx context.Context) error {
	for range s.streams {
		s.turn++
		stream := s.streams[s.turn%len(s.streams)]
		low, kind, _ := strings.Cut(stream, "@")
		symbol := strings.ToUpper(low)
		if low != strings.ToLower(low) || kind != "aggTrade" && kind != "trade" || !s.b.trades(symbol) {
			continue
		}
		id, ok := s.b.next(symbol)
		if !ok {
			return nil
		}
		now := time.Now().UnixMilli()
		trade := map[string]any{
			"e": kind, "E": now, "T": now, "s": symbol, "p": "97000.10", "q": "0.001", "m": id%2 == 0, "M": true,
		}
		if kind == "trade" {
			trade["t"] = id
		} else {
			trade["a"], trade["f"], trade["l"] = id, 2*id, 2*id+1
		}
		return s.t.data(ctx, s.wrapped(stream, trade), 1)
	}
	return nil
}

// shutdown announces the end.
func (s *binanceSession) shutdown(ctx context.Context) error {
	return s.t.send(ctx, s.wrapped("!serverShutdown", map[string]any{"e": "serverShutdown", "E": time.Now().UnixMilli()}))
}

func (s *binanceSession) wrapped(stream string, event any) any {
	if s.combined {
		return map[string]any{"stream": stream, "data": event}
	}
	return event
}
