// Package routertest runs routes in memory, on the real router, for tests of handlers
// and of routes.
//
//	box := routertest.Start(t, cfg)
//	box.Send("trade_commands", `{"type":"enter","data":{"bot":"momentum-1"}}`)
//	got := box.Handled("bot")
package routertest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"

	"signalbox/router"
	"signalbox/router/transport"
)

// Box is a router that runs in memory, on Watermill's gochannel.
type Box struct {
	router *router.Router
	pubsub *gochannel.GoChannel
	config router.Config
	close  func() error

	mu        sync.Mutex
	outcomes  []router.Outcome
	published map[string][]string // by declared channel
}

// Start runs cfg until the test ends. It fails the test when cfg is not right.
func Start(tb testing.TB, cfg router.Config) *Box {
	tb.Helper()
	box, err := New(cfg, slog.New(slog.NewTextHandler(tb.Output(), nil)))
	if err != nil {
		tb.Fatalf("routertest: %v", err)
	}
	tb.Cleanup(func() {
		if err := box.Close(); err != nil {
			tb.Errorf("routertest: %v", err)
		}
	})
	return box
}

// New runs cfg until Close. A route may name a handler that cfg doesn't have: it then
// has one that only accepts. Every channel is carried in memory, whatever its
// transport; log may be nil.
func New(cfg router.Config, log *slog.Logger) (*Box, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	// Publish returns when the message is handled: tests need no waiting.
	pubsub := transport.NewMemory(nil)
	b := &Box{pubsub: pubsub, config: withAccepting(cfg), published: map[string][]string{}}
	r, err := router.New(b.config, router.Options{
		Subscriber: func(router.Channel) (message.Subscriber, error) { return pubsub, nil },
		Publisher:  func(ch router.Channel) (message.Publisher, error) { return recorder{b, ch}, nil },
		Dedupe:     &transport.MemoryDedupe{},
		Latest:     &transport.MemoryLatest{},
		Logger:     log,
		Observe:    b.observe,
	})
	if err != nil {
		return nil, err
	}
	b.router = r
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	select {
	case <-r.Running():
	case err := <-ended:
		stop()
		return nil, err
	}
	b.close = sync.OnceValue(func() error {
		stop()
		return <-ended
	})
	return b, nil
}

// withAccepting adds the handlers that routes name and cfg lacks.
func withAccepting(cfg router.Config) router.Config {
	cfg.Handlers = slices.Clone(cfg.Handlers)
	for _, route := range cfg.Routes {
		if !slices.ContainsFunc(cfg.Handlers, func(h router.HandlerSpec) bool { return h.Name == route.Handler }) {
			cfg.Handlers = append(cfg.Handlers, router.HandlerSpec{Name: route.Handler, New: accept})
		}
	}
	return cfg
}

func accept(router.Env) (router.Handler, error) {
	return router.HandlerFunc(func(context.Context, *router.Event) error { return nil }), nil
}

// Send sends messages to a declared channel, one after the other, and returns when
// every route is through with them. A handler that publishes to its own channel would
// wait for itself for ever. It panics when the channel is not declared.
func (b *Box) Send(channel string, messages ...string) {
	i := slices.IndexFunc(b.config.Channels, func(ch router.Channel) bool { return ch.Name == channel })
	if i < 0 {
		panic(fmt.Sprintf("routertest: channel %q is not declared", channel))
	}
	topic := b.config.Channels[i].Topic
	if topic == "" {
		topic = channel
	}
	for _, m := range messages {
		if err := b.pubsub.Publish(topic, message.NewMessage("", message.Payload(m))); err != nil {
			panic(fmt.Sprintf("routertest: send to %q: %v", channel, err))
		}
	}
}

// Handled returns the events that a handler has handled without an error, in order.
func (b *Box) Handled(handler string) []router.Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	var events []router.Event
	for _, o := range b.outcomes {
		if o.Result == router.Handled && o.Handler == handler {
			events = append(events, *o.Event)
		}
	}
	return events
}

// Outcomes returns what became of every event, in order of completion.
func (b *Box) Outcomes() []router.Outcome {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.outcomes)
}

// Published returns the messages that handlers have published to a declared channel.
func (b *Box) Published(channel string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.published[channel])
}

// Stats returns the router's counters.
func (b *Box) Stats() router.Stats { return b.router.Stats() }

// Close stops the router and waits for it.
func (b *Box) Close() error { return b.close() }

func (b *Box) observe(o router.Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.outcomes = append(b.outcomes, o)
}

// recorder remembers what is published before it sends it.
type recorder struct {
	box     *Box
	channel router.Channel
}

func (r recorder) Publish(topic string, msgs ...*message.Message) error {
	r.box.mu.Lock()
	for _, m := range msgs {
		r.box.published[r.channel.Name] = append(r.box.published[r.channel.Name], string(m.Payload))
	}
	r.box.mu.Unlock()
	return r.box.pubsub.Publish(topic, msgs...)
}

func (r recorder) Close() error { return nil }
