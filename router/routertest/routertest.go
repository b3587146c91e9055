// Package routertest runs routes in memory, on the real router, for tests of handlers
// and of routes.
//
//	box := routertest.Start(t, cfg)
//	box.Send("trade_commands", `{"type":"enter","data":{"bot":"momentum-1"}}`)
//	got := box.Handled("bot")
//
// With [Options] the time is fake, so that no test waits for a pause, and handlers answer
// what the test says:
//
//	box := routertest.StartWith(t, cfg, routertest.Options{
//		Now:     time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC),
//		Answers: map[string][]error{"bot": {errors.New("no"), nil}},
//	})
package routertest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"

	"signalbox/router"
	"signalbox/router/transport"
)

const (
	// longest is how far [Box.Wait] lets fake time go on.
	longest = 24 * time.Hour
	// fakeDrain is how long what still sleeps in fake time may hold up Close.
	fakeDrain = 10 * time.Millisecond
)

// Options are what a Box runs with.
type Options struct {
	// Now makes the time fake, and is where it begins. Then time only goes on in Send, Wait
	// and Advance, and only while no handler is at work: pauses, ages and windows of
	// dedupe take no real time, and no attempt times out but by [ErrTimeout].
	Now time.Time
	// Answers replace handlers, by name: the verdicts on an event, attempt by attempt, of
	// which the last repeats. Each event begins anew on each route. Use [router.Permanent],
	// [router.Unavailable], [ErrTimeout], [Panic] and nil as verdicts.
	Answers map[string][]error
	// MaxPublished is how many messages handlers may publish, so that a circle ends;
	// 0: any number.
	MaxPublished int
	Log          *slog.Logger // nil: none
}

// Box is a router that runs in memory, on Watermill's gochannel.
type Box struct {
	router *router.Router
	pubsub *gochannel.GoChannel
	config router.Config
	clock  *clock
	sent   atomic.Int64
	most   int // messages that handlers may publish; 0: any number
	close  func() error
	closed atomic.Bool

	mu        sync.Mutex
	outcomes  []router.Outcome
	published map[string][]string // by declared channel
	handlers  int                 // messages that handlers have published
	overrun   bool                // they wanted to publish more than they may
}

// Start runs cfg until the test ends. It fails the test when cfg is not right.
func Start(tb testing.TB, cfg router.Config) *Box {
	tb.Helper()
	return StartWith(tb, cfg, Options{})
}

// StartWith is Start with options. Their log is by default the test's.
func StartWith(tb testing.TB, cfg router.Config, opts Options) *Box {
	tb.Helper()
	if opts.Log == nil {
		opts.Log = slog.New(slog.NewTextHandler(tb.Output(), nil))
	}
	box, err := NewWith(cfg, opts)
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
	return NewWith(cfg, Options{Log: log})
}

// NewWith is New with options.
func NewWith(cfg router.Config, opts Options) (*Box, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	clock := &clock{fake: !opts.Now.IsZero(), now: opts.Now}
	b := &Box{
		pubsub: transport.NewMemory(nil), config: answered(cfg, clock, opts.Answers), most: opts.MaxPublished,
		clock: clock, published: map[string][]string{},
	}
	with := router.Options{
		Subscriber: func(ch router.Channel) (message.Subscriber, error) { return &listener{box: b, from: place(ch)}, nil },
		Publisher:  func(ch router.Channel) (message.Publisher, error) { return sender{b, ch}, nil },
		Dedupe:     &transport.MemoryDedupe{Now: b.clock.Now},
		Latest:     &transport.MemoryLatest{Now: b.clock.Now},
		Logger:     opts.Log,
		Now:        b.clock.Now,
		Busy:       b.clock.work,
		Observe:    b.observe,
	}
	if b.clock.fake {
		with.Sleep, with.Drain = b.clock.sleep, fakeDrain
	}
	r, err := router.New(b.config, with)
	if err != nil {
		return nil, err
	}
	b.router = r
	if err := b.run(); err != nil {
		return nil, err
	}
	return b, nil
}

// run starts the router and returns when it has subscribed.
func (b *Box) run() error {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.router.Run(ctx) }()
	select {
	case <-b.router.Running():
	case err := <-ended:
		stop()
		return err
	}
	b.close = sync.OnceValue(func() error {
		b.closed.Store(true)
		stop()
		err := <-ended
		_ = b.pubsub.Close() // its only error is none
		return err
	})
	return nil
}

// answered is cfg with the handlers that routes name and cfg lacks, and those that the
// answers are for.
func answered(cfg router.Config, clock *clock, answers map[string][]error) router.Config {
	cfg.Handlers = slices.Clone(cfg.Handlers)
	for _, route := range cfg.Routes {
		if !slices.ContainsFunc(cfg.Handlers, func(h router.HandlerSpec) bool { return h.Name == route.Handler }) {
			cfg.Handlers = append(cfg.Handlers, router.HandlerSpec{Name: route.Handler, New: newAnswering(clock, nil)})
		}
	}
	for i, h := range cfg.Handlers {
		if own, replaced := answers[h.Name]; replaced {
			cfg.Handlers[i].New = newAnswering(clock, own)
		}
	}
	return cfg
}

// Send sends messages to a declared channel, each as soon as every route is through with
// the one before, and returns when they are through with the last, and with all that
// handlers published for it. Fake time goes on meanwhile, as far as their pauses need, or
// for a day. It panics when the channel is not declared; a handler must not call it.
func (b *Box) Send(channel string, messages ...string) {
	for _, m := range messages {
		b.Post(channel, m)
		b.Wait()
	}
}

// Post is Send without waiting: fake time stands still.
func (b *Box) Post(channel string, messages ...string) {
	ch := b.channel(channel)
	b.post(ch, topic(ch), messages)
}

// PostAs is Post to a name that a pattern channel reads, such as sensors:oven-3.
func (b *Box) PostAs(channel, name string, messages ...string) {
	b.post(b.channel(channel), name, messages)
}

func (b *Box) post(to router.Channel, name string, messages []string) {
	for _, m := range messages {
		if err := b.deliver(to.Transport, name, []byte(m)); err != nil && !b.closed.Load() {
			panic(fmt.Sprintf("routertest: send to %q: %v", to.Name, err))
		}
	}
}

func (b *Box) channel(name string) router.Channel {
	i := slices.IndexFunc(b.config.Channels, func(ch router.Channel) bool { return ch.Name == name })
	if i < 0 {
		panic(fmt.Sprintf("routertest: channel %q is not declared", name))
	}
	return b.config.Channels[i]
}

// Wait waits until every route is through with everything, and reports whether it is:
// fake time goes on for a day at most, and an event whose target stays away waits longer.
func (b *Box) Wait() bool { return b.clock.settle(longest) }

// Advance lets fake time go on by d: what sleeps until then wakes at its time. It returns
// when nothing is at work any more. Without fake time it panics.
func (b *Box) Advance(d time.Duration) {
	if !b.clock.fake {
		panic("routertest: Advance needs fake time (Options.Now)")
	}
	b.clock.pass(d)
}

// Now is the time in the box.
func (b *Box) Now() time.Time { return b.clock.Now() }

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

// Overrun reports whether handlers wanted to publish more than Options.MaxPublished.
func (b *Box) Overrun() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.overrun
}

// Stats returns the router's counters.
func (b *Box) Stats() router.Stats { return b.router.Stats() }

// Close stops the router and waits for it. What is sent from then on is lost.
func (b *Box) Close() error { return b.close() }

func (b *Box) observe(o router.Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.outcomes = append(b.outcomes, o)
}
