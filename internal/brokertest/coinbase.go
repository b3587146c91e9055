package brokertest

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Coinbase is a fake of Coinbase Exchange's market data feed.
type Coinbase struct{ Exchange }

// StartCoinbase runs one until the test ends.
func StartCoinbase(tb testing.TB, rules Rules) *Coinbase {
	tb.Helper()
	b := &Coinbase{}
	b.ids = map[string]int64{}
	b.rules = rules.or(Rules{
		Symbols:   []string{"BTC-USD", "ETH-USD", "SOL-USD"},
		Subscribe: 5 * time.Second, Heartbeat: time.Second, Messages: 100,
	})
	b.refuses = b.crowd("/")
	b.accepting = func(t *talk) websocket.AcceptOptions {
		t.meter.most = b.rules.Messages
		return websocket.AcceptOptions{CompressionMode: websocket.CompressionContextTakeover, CompressionThreshold: 1}
	}
	b.serve = b.talk
	b.start(tb, true)
	return b
}

func (b *Coinbase) talk(ctx context.Context, t *talk) error {
	if !b.accept(t, Both) {
		return errLost
	}
	s := &coinbaseSession{b: b, t: t, channels: map[string][]string{}}
	s.desk = &desk{
		rules: b.rules, late: goodbye{websocket.StatusPolicyViolation, "no subscribe in time"},
		hear: s.hear, trade: s.trade, beat: s.heartbeat,
	}
	return s.desk.serve(ctx, t, b.rules.Subscribe)
}

type coinbaseSession struct {
	b        *Coinbase
	t        *talk
	desk     *desk
	channels map[string][]string // and their products
	turn     int
}

// coinbaseChannel is a channel in a request and in its answer.
type coinbaseChannel struct {
	Name     string   `json:"name"`
	Products []string `json:"product_ids"`
}

// UnmarshalJSON takes a name, too.
func (c *coinbaseChannel) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		return json.Unmarshal(text, &c.Name)
	}
	type plain coinbaseChannel
	return json.Unmarshal(text, (*plain)(c))
}

// hear answers a request.
func (s *coinbaseSession) hear(ctx context.Context, message []byte) error {
	var r struct {
		Type     string            `json:"type"`
		Products []string          `json:"product_ids"`
		Channels []coinbaseChannel `json:"channels"`
	}
	if json.Unmarshal(message, &r) != nil {
		return s.fail(ctx, "Malformed JSON", "")
	}
	if r.Type != "subscribe" {
		return s.fail(ctx, "Type has to be either subscribe or unsubscribe", "")
	}
	for _, c := range r.Channels {
		products := slices.Concat(c.Products, r.Products)
		if !slices.Contains([]string{"matches", "heartbeat"}, c.Name) {
			return s.fail(ctx, "Failed to subscribe", c.Name+" is not a valid channel")
		}
		if len(products) == 0 {
			return s.fail(ctx, "Failed to subscribe", "You need to specify at least one product ID for channel "+c.Name)
		}
		for _, product := range products {
			if !s.b.trades(product) {
				return s.fail(ctx, "Failed to subscribe", product+" is not a valid product")
			}
		}
	}
	for _, c := range r.Channels {
		s.channels[c.Name] = slices.Compact(slices.Sorted(slices.Values(slices.Concat(s.channels[c.Name], c.Products, r.Products))))
	}
	s.desk.busy = len(s.channels) > 0
	return s.confirm(ctx)
}

func (s *coinbaseSession) fail(ctx context.Context, text, reason string) error {
	return s.t.send(ctx, map[string]any{"type": "error", "message": text, "reason": reason})
}

// confirm tells all subscriptions, and then the last trade of each product.
func (s *coinbaseSession) confirm(ctx context.Context) error {
	channels := []coinbaseChannel{}
	for name, products := range s.channels {
		channels = append(channels, coinbaseChannel{name, products})
	}
	if err := s.t.send(ctx, map[string]any{"type": "subscriptions", "channels": channels}); err != nil {
		return err
	}
	for _, product := range s.channels["matches"] {
		id := s.b.last(product)
		if id == 0 {
			continue
		}
		if err := s.t.data(ctx, coinbaseMatch("last_match", product, id), 1); err != nil {
			return err
		}
	}
	return nil
}

// coinbaseMatch is a trade. The sequence counts what other channels tell, too, such as orders.
func coinbaseMatch(kind, product string, id int64) any {
	return map[string]any{
		"type": kind, "trade_id": id, "sequence": 3 * id, "product_id": product, "price": "97000.10", "size": "0.001", "side": "sell",
		"maker_order_id": "ac928c66-ca53-498f-9c13-a110027a60e8", "taker_order_id": "132fb6ae-456b-4654-b4e0-d681ac05cea1",
		"time": time.Now().UTC(),
	}
}

func (s *coinbaseSession) trade(ctx context.Context) error {
	products := s.channels["matches"]
	if len(products) == 0 {
		return nil
	}
	s.turn++
	product := products[s.turn%len(products)]
	id, ok := s.b.next(product)
	if !ok {
		return nil
	}
	return s.t.data(ctx, coinbaseMatch("match", product, id), 1)
}

func (s *coinbaseSession) heartbeat(ctx context.Context) error {
	for _, product := range s.channels["heartbeat"] {
		id := s.b.last(product)
		err := s.t.send(ctx, map[string]any{
			"type": "heartbeat", "sequence": 3 * id, "last_trade_id": id, "product_id": product, "time": time.Now().UTC(),
		})
		if err != nil {
			return err
		}
	}
	return nil
}
