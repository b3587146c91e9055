package router

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router/internal/batch"
)

// Every item of a batch is done exactly once, whatever becomes of it, and the counters
// add up.
func TestBatchIsDoneExactlyOnce(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	r := start(t, Config{
		Channels: []Channel{{Name: "in", Fields: Fields{Split: "."}}},
		Handlers: handlers(map[string]Handler{
			"plain": HandlerFunc(misbehave),
			"batch": batcher{batch: func(_ context.Context, e []*Event) []error { return make([]error, len(e)) }},
			"some":  accepting,
		}),
		Routes: []Route{
			{Channel: "in", Types: []string{"*", "!unmatched"}, Handler: "plain"},
			{Channel: "in", Types: []string{"fine", "error"}, Handler: "batch"},
			{Channel: "in", Types: []string{"f*"}, Handler: "some"},
		},
	}, Options{})
	kinds := []string{
		`{"type":"fine"}`, `{"type":"error"}`, `{"type":"panic"}`, `{"type":"goexit"}`, `{"type":"unmatched"}`, `{"type":7}`, `nonsense`, ``,
		`[]`, `[{"type":"fine"},{"type":"error"},{"type":"goexit"}]`, `[{"type":"unmatched"},{},7]`, `[{"type":"fine"},{}]`, `{"type":"fan"}`,
	}
	var all []*batch.Item
	for range 40 {
		payloads := make([]string, 1+rnd.IntN(256))
		for i := range payloads {
			payloads[i] = kinds[rnd.IntN(len(kinds))]
		}
		all = append(all, r.send(t, payloads...)...)
	}
	r.await(t, all)

	var want struct{ received, unmatched, rejected, fine, bad, f uint64 }
	for _, item := range all {
		p := string(item.Payload)
		n := func(part string) uint64 { return uint64(strings.Count(p, part)) }
		want.unmatched += n("unmatched")
		want.fine += n("fine") + n("fan")
		want.f += n("fine") + n("fan")
		want.bad += n("error") + n("panic") + n("goexit")
		if p == "" || p == "nonsense" || p == `{"type":7}` {
			want.rejected++
		}
		want.rejected += n("{}") + n(",7]")
	}
	want.received = want.unmatched + want.rejected + want.fine + want.bad
	s := r.Stats()
	ch := s.Channels["in"]
	var rejected uint64
	for _, n := range ch.Rejected {
		rejected += n
	}
	if ch.Received != want.received || ch.Unmatched != want.unmatched || rejected != want.rejected {
		t.Errorf("channel %+v, want %+v", ch, want)
	}
	if s.Routes[0].Handled != want.fine || s.Routes[0].Failed != want.bad || s.Routes[2].Handled != want.f {
		t.Errorf("routes %+v, want %+v", s.Routes, want)
	}
	// What would go unlogged would go unnoticed.
	if len(r.logs.lines(t, slog.LevelWarn, "message rejected")) == 0 || len(r.logs.lines(t, slog.LevelInfo, "no route takes this type")) != 1 {
		t.Error("rejections are not logged, or an unmatched type not once")
	}
}

func TestBatchKeepsOrderWithinARoute(t *testing.T) {
	plain := &recorder{}
	var mu sync.Mutex
	var batched []string
	largest := 0
	held := make(chan struct{})
	first := true
	r := start(t, Config{
		Channels: []Channel{{Name: "in"}},
		Handlers: handlers(map[string]Handler{
			"plain": plain,
			"batch": batcher{batch: func(_ context.Context, events []*Event) []error {
				if first {
					first = false
					<-held // so that the rest waits, and comes as large batches
				}
				mu.Lock()
				defer mu.Unlock()
				largest = max(largest, len(events))
				for _, e := range events {
					batched = append(batched, e.ID)
				}
				return nil
			}},
		}),
		Routes: []Route{
			{Channel: "in", Types: []string{"a", "b"}, Handler: "plain"},
			{Channel: "in", Types: []string{"*"}, Handler: "batch"},
		},
	}, Options{})
	var all []*batch.Item
	var want []string
	for n := 0; n < 2000; {
		var payloads []string
		for range 1 + n%256 {
			payloads = append(payloads, message0(fmt.Sprint(n), string(rune('a'+n%2))))
			want = append(want, fmt.Sprint(n))
			n++
		}
		all = append(all, r.send(t, payloads...)...)
	}
	close(held)
	r.await(t, all)
	mu.Lock()
	defer mu.Unlock()
	if plain.got() != strings.Join(want, " ") || strings.Join(batched, " ") != strings.Join(want, " ") {
		t.Error("the order is not kept")
	}
	if largest < 2 || largest > maxChunk {
		t.Errorf("the largest batch had %d events", largest)
	}
}

// The item's name, id and time reach the event.
func TestBatchItemsDescribeTheirEvents(t *testing.T) {
	got := make(chan Event, 2)
	cfg := one(HandlerFunc(func(_ context.Context, e *Event) error { got <- *e; return nil }))
	cfg.Channels[0].Topic, cfg.Channels[0].Pattern, cfg.Channels[0].Fields.KeyFromName = "prices.*", true, true
	r := start(t, cfg, Options{})
	item := r.send(t, `{"type":"a"}`)[0]
	if e := receive(t, "an event", got); e.Channel != "in" || e.Name != "topic" || e.Key != "topic" || !e.Time.Equal(item.Time) || len(e.ID) != 36 {
		t.Errorf("event %+v", e)
	}
	entry := &batch.Item{Topic: "prices.x", ID: "1-0", Payload: []byte(`{"type":"a"}`), Owner: r.carrier}
	r.sendItems(t, []*batch.Item{entry})
	if e := receive(t, "an event", got); e.ID != "1-0" || e.Name != "prices.x" {
		t.Errorf("event %+v", e)
	}
	r.await(t, []*batch.Item{item, entry})
}

type contextKeyOfTest struct{}

// setting is middleware that sets metadata, a context value and a new payload.
func setting(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		if msg.Metadata.Get("seen") != "" {
			panic("one message's metadata is another's")
		}
		msg.Metadata.Set("seen", "yes")
		ctx, cancel := context.WithCancel(context.WithValue(msg.Context(), contextKeyOfTest{}, string(msg.Payload)))
		defer cancel() // as Watermill's Timeout does; the event is handled later
		msg.SetContext(ctx)
		return next(msg)
	}
}

func TestMiddlewareContextReachesTheHandler(t *testing.T) {
	for _, payload := range []string{`{"type":"a"}`, `[{"type":"a"}]`} {
		got, released := make(chan any, 1), make(chan struct{})
		cfg := one(HandlerFunc(func(ctx context.Context, _ *Event) error {
			<-released
			if ctx.Err() != nil {
				t.Error("the middleware's context ended the handler's")
			}
			if EventFrom(ctx) == nil {
				t.Error("the event is not in the handler's context")
			}
			got <- ctx.Value(contextKeyOfTest{})
			return nil
		}))
		cfg.Channels[0].Fields.Split = "."
		r := start(t, cfg, Options{Middleware: []message.HandlerMiddleware{setting}})
		items := r.send(t, payload)
		close(released)
		if v := receive(t, "the handler", got); v != payload {
			t.Errorf("%s: the value is %v", payload, v)
		}
		r.await(t, items)
	}
}

func TestMiddleware(t *testing.T) {
	var mu sync.Mutex
	var order []string
	note := func(name string) message.HandlerMiddleware {
		return func(next message.HandlerFunc) message.HandlerFunc {
			return func(msg *message.Message) ([]*message.Message, error) {
				mu.Lock()
				order = append(order, name)
				mu.Unlock()
				if EventFrom(msg.Context()) != nil {
					t.Error("there is an event before it is decoded")
				}
				return next(msg)
			}
		}
	}
	judge := func(next message.HandlerFunc) message.HandlerFunc {
		return func(msg *message.Message) ([]*message.Message, error) {
			switch string(msg.Payload) {
			case "panic":
				panic("boom")
			case "error":
				return nil, fmt.Errorf("not for us: %w", batch.Errors{fmt.Errorf("one"), fmt.Errorf("two")})
			case "packed":
				msg.Payload = []byte(`{"type":"unpacked"}`)
			case "copied":
				copied := msg.Copy()
				copied.SetContext(msg.Context())
				copied.Payload = []byte(`{"type":"copied"}`)
				return next(copied)
			case "lost":
				msg.SetContext(context.Background())
			}
			return next(msg)
		}
	}
	var types []string
	cfg := one(HandlerFunc(func(_ context.Context, e *Event) error {
		mu.Lock()
		defer mu.Unlock()
		types = append(types, e.Type+" "+string(e.Msg))
		return nil
	}))
	var outcomes []Outcome
	r := start(t, cfg, Options{
		Middleware: []message.HandlerMiddleware{note("first"), note("second"), judge},
		Observe:    func(o Outcome) { mu.Lock(); outcomes = append(outcomes, o); mu.Unlock() },
	})
	r.await(t, r.send(t, "panic", "error", "packed", "copied", "lost", `{"type":"last"}`))
	mu.Lock()
	defer mu.Unlock()
	if fmt.Sprint(order[:2]) != "[first second]" || len(order) != 12 {
		t.Errorf("order %v", order)
	}
	if fmt.Sprint(types) != `[unpacked {"type":"unpacked"} copied {"type":"copied"} last {"type":"last"}]` {
		t.Errorf("types %v", types)
	}
	ch := r.Stats().Channels["in"]
	rejected := ch.Rejected[CauseMiddleware] + ch.Rejected[CauseNotJSON]
	if rejected != 3 || ch.Received != 6 {
		t.Errorf("stats %+v, want 6 received, 3 rejected", ch)
	}
}
