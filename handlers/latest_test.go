package handlers_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"signalbox/handlers"
	"signalbox/router"
	"signalbox/router/routertest"
	"signalbox/router/transport"
)

// keeping is a configuration whose events are kept.
func keeping(options handlers.LatestOptions) router.Config {
	return router.Config{
		Channels: []router.Channel{{Name: "prices", Topic: "md:prices", Fields: router.Fields{Key: "data.symbol"}}},
		Handlers: []router.HandlerSpec{{Name: "latest", New: func(env router.Env) (router.Handler, error) {
			return handlers.Latest().New(env, options)
		}}},
		Routes: []router.Route{{Channel: "prices", Types: []string{"*"}, Handler: "latest"}},
	}
}

func ExampleLatest() {
	// routertest keeps in memory; `router run` in Redis.
	var publisher *router.Publisher
	cfg := keeping(handlers.LatestOptions{})
	cfg.Handlers = append(cfg.Handlers, router.HandlerSpec{Name: "bot", New: func(env router.Env) (router.Handler, error) {
		publisher = env.Publisher
		return router.HandlerFunc(func(context.Context, *router.Event) error { return nil }), nil
	}})
	cfg.Routes = append(cfg.Routes, router.Route{Channel: "prices", Types: []string{"*"}, Handler: "bot"})
	box, err := routertest.New(cfg, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = box.Close() }()
	box.Send("prices",
		`{"type":"tick","time":1700000001,"data":{"symbol":"BTC","price":1}}`,
		`{"type":"tick","time":1700000003,"data":{"symbol":"BTC","price":3}}`,
		`{"type":"tick","time":1700000002,"data":{"symbol":"BTC","price":2}}`,
	)
	kept, err := publisher.Latest(context.Background(), "prices")
	for _, event := range kept {
		fmt.Println(event.Key, event.Time.UTC().Format(time.TimeOnly), string(event.Data))
	}
	fmt.Println(err)
	// Output:
	// BTC 22:13:23 {"symbol":"BTC","price":3}
	// <nil>
}

// failing is a place that keeps nothing.
type failing struct{ err error }

func (f failing) Keep(context.Context, []router.Kept, time.Duration) error { return f.err }
func (f failing) Kept(context.Context, string, ...string) ([]router.Kept, error) {
	return nil, f.err
}

func TestLatestVerdicts(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	h, err := handlers.Latest().New(router.Env{Latest: failing{boom}}, handlers.LatestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	events := []*router.Event{{ID: "1", Name: "p"}, {ID: "2", Name: "p"}}
	for i, err := range h.(router.BatchHandler).HandleBatch(t.Context(), events) {
		if _, away := router.IsUnavailable(err); !away || !errors.Is(err, boom) {
			t.Errorf("event %d: %v; want it to wait", i, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Handle(ctx, events[0]); !errors.Is(err, context.Canceled) {
		t.Errorf("at a shutdown: %v", err)
	} else if _, away := router.IsUnavailable(err); away {
		t.Errorf("a shutdown is no target that is away: %v", err)
	}
	timedOut, expire := context.WithCancelCause(t.Context())
	expire(context.DeadlineExceeded)
	if _, away := router.IsUnavailable(h.Handle(timedOut, events[0])); !away {
		t.Error("a Redis that doesn't answer within the route's timeout is not away")
	}
	// An event that was kept, and replayed, is not kept again: it may be older by now.
	if err := h.Handle(t.Context(), &router.Event{ID: "3", Name: "p", Replayed: true}); err != nil {
		t.Errorf("a replayed event: %v", err)
	}
}

func TestLatestTTL(t *testing.T) {
	t.Parallel()
	store := &transport.MemoryLatest{}
	h, err := handlers.Latest().New(router.Env{Latest: store}, handlers.LatestOptions{TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Handle(t.Context(), &router.Event{ID: "1", Name: "p", Key: "k", Time: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if kept, err := store.Kept(t.Context(), "p", "k"); len(kept) != 1 || err != nil {
		t.Errorf("%v, %v", kept, err)
	}
}

func TestLatestOptions(t *testing.T) {
	t.Parallel()
	for _, ttl := range []time.Duration{-time.Second, time.Microsecond} {
		if err := (handlers.LatestOptions{TTL: ttl}).Validate(); err == nil || !strings.HasPrefix(err.Error(), "ttl: ") {
			t.Errorf("ttl %v: %v", ttl, err)
		}
	}
	if _, err := handlers.Latest().New(router.Env{}, handlers.LatestOptions{}); err == nil || !strings.Contains(err.Error(), "Options.Latest") {
		t.Errorf("without a place to keep: %v", err)
	}
}
