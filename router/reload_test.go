package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router/internal/batch"
)

// maker makes handlers and knows how often each was closed.
type maker struct {
	mu   sync.Mutex
	made []*made
}

type made struct {
	HandlerFunc
	name, revision string
	closed         atomic.Int32
	late           atomic.Int32 // calls after Close
}

func (m *made) Handle(ctx context.Context, e *Event) error {
	if m.closed.Load() > 0 {
		m.late.Add(1)
	}
	return m.HandlerFunc(ctx, e)
}

func (m *made) Close() error {
	m.closed.Add(1)
	return nil
}

func (m *maker) spec(name, revision string, h HandlerFunc) HandlerSpec {
	return HandlerSpec{Name: name, Revision: revision, New: func(Env) (Handler, error) {
		one := &made{HandlerFunc: h, name: name, revision: revision}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.made = append(m.made, one)
		return one, nil
	}}
}

// summary says which handlers were made, in order, and how often each was closed.
func (m *maker) summary() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var words []string
	for _, one := range m.made {
		words = append(words, fmt.Sprintf("%s.%s:%d", one.name, one.revision, one.closed.Load()))
		if one.late.Load() > 0 {
			words = append(words, "LATE")
		}
	}
	return strings.Join(words, " ")
}

func mustReload(t testing.TB, r *running, cfg Config) Changes {
	t.Helper()
	c, err := r.Reload(cfg)
	if err != nil {
		t.Fatalf("Reload: %v", err)
	}
	return c
}

func to(handler string, types ...string) Route {
	return Route{Channel: "in", Types: types, Handler: handler}
}

// An instance whose spec stays is kept; any other is closed once, after its last event.
func TestReloadKeepsAndClosesHandlers(t *testing.T) {
	m := &maker{}
	cfg := func(routes []Route, specs ...HandlerSpec) Config {
		return Config{Channels: []Channel{{Name: "in"}}, Handlers: specs, Routes: routes}
	}
	a, b := to("a", "*"), to("b", "*")
	r := start(t, cfg([]Route{a, b}, m.spec("a", "1", accepting), m.spec("b", "1", accepting)), Options{})
	step := func(want string, next Config) {
		t.Helper()
		mustReload(t, r, next)
		r.await(t, r.send(t, message0("", "x")))
		if got := m.summary(); got != want {
			t.Errorf("handlers %s, want %s", got, want)
		}
	}
	step("a.1:0 b.1:0", cfg([]Route{a, b}, m.spec("a", "1", accepting), m.spec("b", "1", accepting)))
	step("a.1:0 b.1:1 b.2:0", cfg([]Route{a, b}, m.spec("a", "1", accepting), m.spec("b", "2", accepting)))
	step("a.1:0 b.1:1 b.2:1", cfg([]Route{a}, m.spec("a", "1", accepting), m.spec("b", "2", accepting))) // not used
	step("a.1:1 b.1:1 b.2:1 a.:0", cfg([]Route{a}, m.spec("a", "", accepting)))
	step("a.1:1 b.1:1 b.2:1 a.:1 a.:0", cfg([]Route{a}, m.spec("a", "", accepting))) // nobody knows whether it is the same
	r.stop()
	_ = receive(t, "Run to return", r.ended)
	if got, want := m.summary(), "a.1:1 b.1:1 b.2:1 a.:1 a.:1"; got != want {
		t.Errorf("handlers at the end %s, want %s", got, want)
	}
}

// What is wrong with a configuration leaves everything as it is, and nothing behind.
func TestReloadRefuses(t *testing.T) {
	m := &maker{}
	var refused []*carrier
	subscribed := 0
	c := newCarrier()
	opts := Options{Subscriber: func(ch Channel) (message.Subscriber, error) {
		switch ch.Name {
		case "in":
			subscribed++
			return c, nil
		case "unopened":
			return nil, errors.New("no such thing")
		case "unsubscribed":
			return &broken{}, nil
		}
		refused = append(refused, newCarrier())
		return refused[len(refused)-1], nil
	}}
	good := Config{Channels: []Channel{{Name: "in"}}, Handlers: []HandlerSpec{m.spec("h", "1", accepting)}, Routes: []Route{to("h", "*")}}
	r := start(t, good, opts)
	with := func(channel string, spec HandlerSpec) Config {
		cfg := good
		cfg.Channels = []Channel{{Name: "in"}, {Name: "fresh"}, {Name: channel}}
		cfg.Handlers = append(slices.Clone(good.Handlers), spec)
		cfg.Routes = append(slices.Clone(good.Routes), Route{Channel: "fresh", Types: []string{"*"}, Handler: spec.Name}, Route{Channel: channel, Types: []string{"*"}, Handler: "h"})
		return cfg
	}
	fails := func(Env) (Handler, error) { return nil, errors.New("cannot be made") }
	service := good
	service.Service = "other"
	for want, cfg := range map[string]Config{
		"cannot be made":        with("more", HandlerSpec{Name: "new", New: fails}),
		"no such thing":         with("unopened", m.spec("new", "1", accepting)),
		"no such host":          with("unsubscribed", m.spec("new", "1", accepting)),
		"is not declared":       {Channels: good.Channels, Routes: good.Routes},
		"cannot become \"other": service,
	} {
		if _, err := r.Reload(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Reload: %v, want %s", err, want)
		}
		c.await(t, c.send(t, message0("", "x")))
	}
	if subscribed != 1 {
		t.Errorf("the channel that stays was opened %d times", subscribed)
	}
	for _, fresh := range refused {
		receive(t, "a subscriber of no use to be closed", fresh.closed)
	}
	if got := m.summary(); strings.Contains(got, "h.1:1") || strings.Contains(got, "new.1:0") {
		t.Errorf("handlers %s, want that of the old configuration open and those of no use closed", got)
	}
	if s := r.Stats().Routes; len(s) != 1 || s[0].Handled != 5 {
		t.Errorf("stats %+v, want 5 handled", s)
	}
}

func TestReloadOnlyWhileItRuns(t *testing.T) {
	c := newCarrier()
	r, err := New(one(accepting), Options{Logger: (&logs{}).logger(), Subscriber: func(Channel) (message.Subscriber, error) { return c, nil }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Reload(one(accepting)); err == nil {
		t.Error("a reload before Run returned nil")
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	receive(t, "the router to run", r.Running())
	stop()
	_ = receive(t, "Run to return", ended)
	if _, err := r.Reload(one(accepting)); err == nil {
		t.Error("a reload after Run returned nil")
	}
}

// Channels come and go; what stays is never opened again, whatever else of it changes.
func TestReloadOpensOnlyWhatIsNew(t *testing.T) {
	f := &fakes{}
	cfg := func(channels ...Channel) Config {
		c := Config{Channels: channels, Handlers: []HandlerSpec{{Name: "h", Revision: "1", New: func(Env) (Handler, error) { return accepting, nil }}}}
		for _, ch := range channels {
			c.Routes = append(c.Routes, Route{Channel: ch.Name, Types: []string{"*"}, Handler: "h"})
		}
		return c
	}
	a, b := Channel{Name: "a", Transport: PubSub}, Channel{Name: "b", Transport: Stream}
	r := start(t, cfg(a, b), Options{Subscriber: f.open, MayIdle: true})
	opened := func(want int, closed ...int) {
		t.Helper()
		if len(f.carriers) != want {
			t.Fatalf("%d subscribers were opened, want %d", len(f.carriers), want)
		}
		for i, c := range f.carriers {
			if got := has(c.closed); got != slices.Contains(closed, i) {
				t.Errorf("subscriber %d is closed: %v", i, got)
			}
		}
	}
	a.Types, a.Description, a.Fields.Key, b.MaxLen, b.Start = []string{"x"}, "prices", "k", 5, StartNew
	c := mustReload(t, r, cfg(a, b))
	opened(2)
	if !slices.Equal(c.Channels.Changed, []string{"a", "b"}) || !c.Routes.Empty() || !c.Handlers.Empty() {
		t.Errorf("changes %+v, want channels a and b changed", c)
	}
	f.carriers[0].await(t, f.carriers[0].send(t, `{"type":"x","k":"key"}`))

	renamed := a
	renamed.Name, renamed.Topic = "quotes", "a"
	c = mustReload(t, r, cfg(renamed, b))
	opened(2)
	if !slices.Equal(c.Channels.Added, []string{"quotes"}) || !slices.Equal(c.Channels.Removed, []string{"a"}) {
		t.Errorf("changes %+v, want a renamed", c)
	}
	f.carriers[0].await(t, f.carriers[0].send(t, `{"type":"x"}`))
	if s := r.Stats(); s.Channels["quotes"].Received != 2 || s.Routes[0].Handled != 2 {
		t.Errorf("stats %+v, want 2 of quotes", s)
	}

	b.InFlight = 7
	mustReload(t, r, cfg(renamed, b))
	opened(3, 1)
	mustReload(t, r, cfg(b))
	opened(3, 0, 1)
	mustReload(t, r, Config{})
	opened(3, 0, 1, 2)
	mustReload(t, r, cfg(a))
	opened(4, 0, 1, 2)
	f.carriers[3].await(t, f.carriers[3].send(t, `{"type":"x"}`))
}

// On one stream the new subscription is made when the old one is through.
func TestReloadOfAStreamDrainsFirst(t *testing.T) {
	var mu sync.Mutex
	var steps []string
	note := func(step string) {
		mu.Lock()
		defer mu.Unlock()
		steps = append(steps, step)
	}
	cfg := one(accepting)
	cfg.Channels[0].Transport = Stream
	n := 0
	opts := Options{Subscriber: func(Channel) (message.Subscriber, error) {
		n++
		return &noting{carrier: newCarrier(), name: fmt.Sprint(n), note: note}, nil
	}}
	r := start(t, cfg, opts)
	cfg.Channels = []Channel{{Name: "in", Transport: Stream, InFlight: 5}}
	mustReload(t, r, cfg)
	if want := []string{"subscribe 1", "close 1", "subscribe 2"}; !slices.Equal(steps, want) {
		t.Errorf("%q, want %q", steps, want)
	}
	cfg.Channels = []Channel{{Name: "in", Transport: Stream, Topic: "other"}}
	mustReload(t, r, cfg)
	if want := []string{"subscribe 3", "close 2"}; !slices.Equal(steps[3:], want) {
		t.Errorf("%q, want %q", steps[3:], want)
	}
}

type noting struct {
	*carrier
	name   string
	note   func(string)
	closed sync.Once // Watermill closes it, too
}

func (n *noting) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	n.note("subscribe " + n.name)
	return n.carrier.Subscribe(ctx, topic)
}

func (n *noting) Close() error {
	n.closed.Do(func() { n.note("close " + n.name) })
	return n.carrier.Close()
}

// Counters go on; a type that no route took may be taken, and the other way round.
func TestReloadKeepsCounters(t *testing.T) {
	cfg := one(accepting)
	cfg.Routes[0].Types = []string{"a"}
	r := start(t, cfg, Options{})
	send := func() { r.await(t, r.send(t, message0("1", "a"), message0("2", "b"), `{`)) }
	send()
	cfg.Routes = []Route{to("h", "a", "b")}
	mustReload(t, r, cfg)
	send()
	cfg.Routes = []Route{{Name: "only b", Channel: "in", Types: []string{"b"}, Handler: "h"}}
	mustReload(t, r, cfg)
	send()
	s := r.Stats()
	if ch := s.Channels["in"]; ch.Received != 9 || ch.Unmatched != 2 || ch.Rejected[CauseNotJSON] != 3 {
		t.Errorf("channel %+v, want 9 received, 2 unmatched, 3 rejected", ch)
	}
	if len(s.Routes) != 2 || s.Routes[0].Route != "only b" || s.Routes[0].Handled != 1 || s.Routes[1].Handled != 3 {
		t.Errorf("routes %+v, want 1 and 3 handled", s.Routes)
	}
	cfg.Routes = []Route{to("h", "a")}
	mustReload(t, r, cfg)
	send()
	if s := r.Stats().Routes; len(s) != 2 || s[0].Handled != 4 || s[1].Handled != 1 {
		t.Errorf("routes %+v, want 4 and 1 handled", s)
	}
}

// Whatever a channel is called and however often it comes and goes, each event that it
// brought is in the sums once.
func TestReloadKeepsCountersOfRenamedChannels(t *testing.T) {
	f := &fakes{}
	cfg := func(name string, inFlight int) Config {
		return Config{
			Channels: []Channel{{Name: name, Topic: "t", Transport: Stream, InFlight: inFlight}},
			Handlers: []HandlerSpec{{Name: "h", Revision: "1", New: func(Env) (Handler, error) { return accepting, nil }}},
			Routes:   []Route{{Channel: name, Types: []string{"*"}, Handler: "h"}},
		}
	}
	r := start(t, cfg("a", 0), Options{Subscriber: f.open})
	sent := uint64(0)
	for _, next := range []Config{cfg("b", 0), cfg("a", 0), cfg("b", 7), cfg("a", 7), cfg("a", 0), cfg("b", 7), cfg("b", 0), cfg("a", 0)} {
		c := f.carriers[len(f.carriers)-1]
		c.await(t, c.send(t, `{"type":"x"}`))
		sent++
		mustReload(t, r, next)
		var received, handled uint64
		stats := r.Stats()
		for _, ch := range stats.Channels {
			received += ch.Received
		}
		for _, route := range stats.Routes {
			handled += route.Handled
		}
		if received != sent || handled != sent {
			t.Fatalf("%d sent: %d received, %d handled", sent, received, handled)
		}
	}
}

// An event that waits for its target is tried again as soon as a reload brings another
// handler, which is what such a reload is for.
func TestReloadMendsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &maker{}
		away := func(context.Context, *Event) error { return Unavailable(errors.New("wrong address"), time.Hour) }
		cfg := Config{Channels: []Channel{{Name: "in"}}, Handlers: []HandlerSpec{m.spec("h", "1", away)}, Routes: []Route{to("h", "*")}}
		r := start(t, cfg, Options{})
		items := r.send(t, message0("1", "a"), message0("2", "a"))
		time.Sleep(time.Minute)
		mustReload(t, r, cfg) // nothing has changed, so it goes on waiting
		synctest.Wait()
		if s := r.Stats().Routes[0]; s.Retried != 1 {
			t.Errorf("stats %+v, want 1 retry", s)
		}
		cfg.Handlers = []HandlerSpec{m.spec("h", "2", accepting)}
		begin := time.Now()
		mustReload(t, r, cfg)
		r.await(t, items)
		if waited := time.Since(begin); waited > time.Second {
			t.Errorf("waited %v", waited)
		}
		if got := m.summary(); got != "h.1:1 h.2:0" {
			t.Errorf("handlers %s", got)
		}
	})
}

// Whatever changes under load, each event is handled once, in the order of its key, and
// no two of a key at a time; every handler is closed once, and not called after that.
func TestReloadUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, m := newGauge(), &maker{}
		work := func(_ context.Context, e *Event) error {
			g.enter(e)
			defer g.leave(e)
			time.Sleep(rand.N(3 * time.Millisecond))
			return nil
		}
		revision := 0
		random := func() Config {
			cfg := Config{Channels: []Channel{{Name: "in", Fields: Fields{Key: "key"}}}}
			cfg.Channels[0].Schemas = map[string]Schema{"a": asks([]string{"type", "id", "key"}[rand.IntN(3)])}
			route := to("h", "a")
			route.Policy = Policy{Workers: []int{1, 2, 8}[rand.IntN(3)], Retry: Retry{Attempts: 1 + rand.IntN(3)}, Timeout: time.Hour}
			spec := m.spec("h", fmt.Sprint(revision-rand.IntN(2)), work)
			if revision++; rand.IntN(3) == 0 { // takes batches
				alone := spec.New
				spec.New = func(env Env) (Handler, error) {
					h, err := alone(env)
					return batcher{HandlerFunc: h.Handle, batch: each1(h)}, err
				}
			}
			cfg.Handlers = []HandlerSpec{spec}
			cfg.Routes = []Route{route}
			if rand.IntN(2) == 0 { // a route beside it comes and goes
				cfg.Routes = append(cfg.Routes, Route{Name: "aside", Channel: "in", Types: []string{"*"}, Handler: "h2"})
				cfg.Handlers = append(cfg.Handlers, m.spec("h2", "1", accepting))
			}
			return cfg
		}
		r := start(t, random(), Options{})
		ctx, stop := context.WithCancel(t.Context())
		var reloads sync.WaitGroup
		reloads.Go(func() {
			for ctx.Err() == nil {
				mustReload(t, r, random())
				time.Sleep(rand.N(20 * time.Millisecond))
			}
		})
		var items []*batch.Item
		for i := range 200 {
			payloads := make([]string, 20)
			for j := range payloads {
				payloads[j] = keyed(fmt.Sprint(i*20+j), fmt.Sprint(rand.IntN(10)), "a")
			}
			items = append(items, r.send(t, payloads...)...)
			time.Sleep(rand.N(10 * time.Millisecond))
		}
		stop()
		reloads.Wait()
		time.Sleep(time.Hour)
		r.await(t, items)
		if s := r.Stats().Routes[0]; s.Handled != 4000 || s.Failed != 0 || s.Unfinished != 0 {
			t.Errorf("stats %+v, want 4000 handled", s)
		}
		g.check(t, g.most)
		r.stop()
		_ = receive(t, "Run to return", r.ended)
		for _, one := range m.made {
			if _, isBatch := any(one).(BatchHandler); !isBatch && one.late.Load() > 0 {
				t.Errorf("handler %s.%s was called after it was closed", one.name, one.revision)
			}
		}
		t.Logf("%d handlers, up to %d events at a time", len(m.made), g.most)
	})
}

// each1 is a batch of events handled one by one.
func each1(h Handler) func(context.Context, []*Event) []error {
	return func(ctx context.Context, events []*Event) []error {
		verdicts := make([]error, len(events))
		for i, e := range events {
			verdicts[i] = h.Handle(ctx, e)
		}
		return verdicts
	}
}

// A route that is gone finishes what it has; what it cannot finish within the drain is
// given up, so that it isn't in hand for ever. It is kept: the stream won't deliver it
// again. The handler is closed when it returns.
func TestReloadDropsWhatARemovedRouteCannotFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSlow()
		h.deaf = true
		cfg, kept := onStream(accepting), &shelf{}
		cfg.Handlers = append(cfg.Handlers, HandlerSpec{Name: "slow", New: func(Env) (Handler, error) { return h, nil }})
		cfg.Routes = append(cfg.Routes, Route{Channel: "in", Types: []string{"slow"}, Handler: "slow", Policy: Policy{Timeout: -1}})
		r := start(t, cfg, Options{Drain: 5 * time.Second, Publisher: kept.open})
		items := r.send(t, message0("1", "slow"), message0("2", "slow"))
		<-h.begun
		begin := time.Now()
		mustReload(t, r, onStream(accepting))
		if took := time.Since(begin); took < 5*time.Second || took > 7*time.Second {
			t.Errorf("the reload took %v", took)
		}
		if h.closed.Load() {
			t.Error("the handler was closed while it ran")
		}
		r.await(t, r.send(t, message0("3", "slow"))) // the other route goes on
		close(h.release)
		synctest.Wait()
		r.await(t, items)
		if s := r.Stats().Routes; s[1].Handled != 1 || s[1].Failed != 1 || s[1].Dead != 1 || s[0].Handled != 3 {
			t.Errorf("stats %+v, want 1 handled and 1 a dead letter", s)
		}
		if letters := kept.kept(); len(letters) != 1 || letters[0].UUID != "2" || letters[0].Metadata.Get("route") != "slow" || letters[0].Metadata.Get("attempts") != "0" {
			t.Errorf("kept %v", letters)
		}
		if !h.closed.Load() || h.late.Load() {
			t.Errorf("the handler is closed: %v, called after that: %v", h.closed.Load(), h.late.Load())
		}
		if n := len(r.logs.lines(t, slog.LevelWarn, "")); n != 3 { // both that are left behind, and the letter
			t.Errorf("logged %v", r.logs.lines(t, slog.LevelWarn, ""))
		}
	})
}

// So does what waits for its next attempt when its route is renamed, and what waits
// behind it.
func TestReloadKeepsWhatARenamedRouteHadWaiting(t *testing.T) {
	for name, verdict := range map[string]error{"failed": errors.New("boom"), "target away": Unavailable(errors.New("away"), time.Hour)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				waits := onStream(HandlerFunc(func(context.Context, *Event) error { return verdict }))
				waits.Routes[0].Policy.Retry = Retry{Attempts: 2, Backoff: time.Hour, MaxBackoff: time.Hour}
				kept := &shelf{}
				r := start(t, waits, Options{Publisher: kept.open})
				items := r.send(t, `{"type":"a","id":"1"}`, `{"type":"a","id":"2"}`)
				synctest.Wait() // the first waits
				renamed := waits
				renamed.Routes = slices.Clone(waits.Routes)
				renamed.Routes[0].Name = "renamed"
				mustReload(t, r, renamed)
				r.await(t, items)
				var got []string
				for _, letter := range kept.kept() {
					got = append(got, letter.UUID+" "+letter.Metadata.Get("route")+" "+letter.Metadata.Get("reason"))
				}
				if want := []string{"1 h failed", "2 h failed"}; !slices.Equal(got, want) {
					t.Errorf("kept %q, want %q", got, want)
				}
			})
		})
	}
}

// A channel that is gone drains on its old routes; what is left at the limit is not
// done, so that a stream keeps it.
func TestReloadOfARemovedChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSlow()
		f := &fakes{}
		both := one(h)
		both.Channels = append(both.Channels, Channel{Name: "stays"})
		both.Routes = append(both.Routes, Route{Channel: "stays", Types: []string{"*"}, Handler: "h"})
		r := start(t, both, Options{Drain: 5 * time.Second, Subscriber: f.open})
		items := f.carriers[0].send(t, message0("1", "a"), message0("2", "a"))
		<-h.begun
		cfg := both
		cfg.Channels, cfg.Routes = both.Channels[1:], both.Routes[1:]
		mustReload(t, r, cfg)
		for _, item := range items {
			if f.carriers[0].isDone(item) {
				t.Error("an event that was cut short is done")
			}
		}
		if s := r.Stats().Routes[1]; s.Unfinished != 2 || s.Failed != 0 {
			t.Errorf("stats %+v, want 2 unfinished", s)
		}
		close(h.release)
	})
}

// leaving is the owner of items that can be handled again.
type leaving struct {
	*carrier
	left map[*batch.Item]int
}

func newLeaving(c *carrier) *leaving { return &leaving{c, map[*batch.Item]int{}} }

func (*leaving) Begin(context.Context, *batch.Item) bool { return true }

func (l *leaving) Leave(item *batch.Item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left[item]++
}

// lefts are how often each item was left.
func (l *leaving) lefts() map[*batch.Item]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.left)
}

// A channel that is gone may come back while a handler of its route still runs: new
// events don't wait for that, and what was cut short is left, to be read again.
func TestReloadBringsAChannelBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSlow()
		h.deaf = true
		f := &fakes{}
		both := one(h)
		both.Channels = append(both.Channels, Channel{Name: "stays"})
		both.Routes[0].Policy.Timeout = -1
		both.Routes = append(both.Routes, Route{Channel: "stays", Types: []string{"*"}, Handler: "h"}, Route{Name: "second", Channel: "in", Types: []string{"b"}, Handler: "h2"})
		both.Handlers = append(both.Handlers, HandlerSpec{Name: "h2", Revision: "1", New: func(Env) (Handler, error) { return accepting, nil }})
		r := start(t, both, Options{Drain: 5 * time.Second, Subscriber: f.open})
		owner := newLeaving(f.carriers[0])
		items := []*batch.Item{
			{Topic: "in", Payload: []byte(message0("1", "a")), Owner: owner},
			{Topic: "in", Payload: []byte(message0("2", "b")), Owner: owner}, // the second route is through with it
		}
		owner.sendItems(t, items)
		<-h.begun
		cfg := both
		cfg.Channels, cfg.Routes = both.Channels[1:], both.Routes[1:2]
		mustReload(t, r, cfg)
		again := both
		again.Handlers = []HandlerSpec{{Name: "h", Revision: "mended", New: func(Env) (Handler, error) { return accepting, nil }}, both.Handlers[1]}
		mustReload(t, r, again)
		back := f.carriers[len(f.carriers)-1]
		back.await(t, back.send(t, message0("3", "a"), message0("4", "b")))
		close(h.release)
		synctest.Wait()
		owner.await(t, items[:1]) // its handler has returned after all
		if left := owner.lefts(); owner.isDone(items[1]) || left[items[1]] != 1 || len(left) != 1 {
			t.Errorf("the second event is done: %v, left: %v", owner.isDone(items[1]), left)
		}
	})
}

// A signal that comes in the middle of a reload ends it, and the drain of the router
// covers what both configurations have.
func TestStopDuringReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, m := newSlow(), &maker{}
		cfg := one(h)
		r := start(t, cfg, Options{Drain: 8 * time.Second})
		items := r.send(t, message0("1", "a"))
		<-h.begun
		reloaded := make(chan error, 1)
		go func() {
			_, err := r.Reload(Config{Channels: cfg.Channels, Handlers: []HandlerSpec{m.spec("new", "1", accepting)}, Routes: []Route{to("new", "*")}})
			reloaded <- err
		}()
		synctest.Wait() // the old route drains
		r.stop()
		if err := <-reloaded; err != nil {
			t.Errorf("Reload: %v", err)
		}
		close(h.release)
		if err := receive(t, "Run to return", r.ended); err != nil {
			t.Error(err)
		}
		r.await(t, items)
		if got := m.summary(); got != "new.1:1" || !h.closed.Load() {
			t.Errorf("handlers %s, and the old one closed: %v", got, h.closed.Load())
		}
	})
}

// A handler publishes to where its channel is by now.
func TestReloadMovesPublishers(t *testing.T) {
	var mu sync.Mutex
	var topics []string
	forward := HandlerSpec{Name: "f", Revision: "1", New: func(env Env) (Handler, error) {
		return HandlerFunc(func(ctx context.Context, _ *Event) error { return env.Publisher.Publish(ctx, "out", Event{Type: "x"}) }), nil
	}}
	cfg := Config{Channels: []Channel{{Name: "in"}, {Name: "out", Topic: "first"}}, Handlers: []HandlerSpec{forward}, Routes: []Route{to("f", "*")}}
	opts := Options{Publisher: func(Channel) (message.Publisher, error) {
		return publisherFunc(func(topic string, _ ...*message.Message) error {
			mu.Lock()
			defer mu.Unlock()
			topics = append(topics, topic)
			return nil
		}), nil
	}}
	r := start(t, cfg, opts)
	r.await(t, r.send(t, message0("1", "a")))
	cfg.Channels = []Channel{{Name: "in"}, {Name: "out", Topic: "second"}}
	mustReload(t, r, cfg)
	r.await(t, r.send(t, message0("2", "a")))
	if want := []string{"first", "second"}; !slices.Equal(topics, want) {
		t.Errorf("published to %q, want %q", topics, want)
	}
}

type publisherFunc func(string, ...*message.Message) error

func (f publisherFunc) Publish(topic string, msgs ...*message.Message) error {
	return f(topic, msgs...)
}
func (publisherFunc) Close() error { return nil }

func TestChangesOfRoutes(t *testing.T) {
	always := func(*Event) (bool, error) { return true, nil }
	base := Route{Channel: "in", Name: "r", Types: []string{"a"}, Handler: "h", When: always, WhenText: "true"}
	for name, change := range map[string]func(*Route){
		"nothing":        func(*Route) {},
		"types":          func(r *Route) { r.Types = []string{"b"} },
		"handler":        func(r *Route) { r.Handler = "g" },
		"policy":         func(r *Route) { r.Policy.Workers = 2 },
		"condition":      func(r *Route) { r.WhenText = "false" },
		"no condition":   func(r *Route) { r.When, r.WhenText = nil, "" },
		"unknown":        func(r *Route) { r.WhenText = "" },
		"a subscription": func(r *Route) { r.Isolated = true },
	} {
		now := base
		change(&now)
		if got := sameRoute(base, now); got != (name == "nothing") {
			t.Errorf("%s: the same: %v", name, got)
		}
	}
}

// lingering is a subscriber that takes its time to close, as one that works off what it has.
type lingering struct {
	*carrier
	closing chan struct{}
	begun   sync.Once
	release chan struct{}
}

func (l *lingering) Close() error {
	l.begun.Do(func() { close(l.closing) })
	<-l.release
	return l.carrier.Close()
}

// A signal that comes while a stream's old subscription ends, and another reload right
// after it: an error, and no panic.
func TestReloadAfterAStopDuringReload(t *testing.T) {
	old := &lingering{carrier: newCarrier(), closing: make(chan struct{}), release: make(chan struct{})}
	subscribers := []message.Subscriber{old, newCarrier(), newCarrier()}
	opts := Options{Subscriber: func(Channel) (message.Subscriber, error) {
		next := subscribers[0]
		subscribers = subscribers[1:]
		return next, nil
	}}
	cfg := one(accepting)
	cfg.Channels[0].Transport = Stream
	r := start(t, cfg, opts)
	regrouped := cfg
	regrouped.Channels = []Channel{{Name: "in", Transport: Stream, Group: "other"}}
	reloaded := make(chan error, 1)
	go func() {
		_, err := r.Reload(regrouped)
		reloaded <- err
	}()
	receive(t, "the old subscription to end", old.closing)
	r.stop()
	_ = receive(t, "Reload", reloaded)
	defer close(old.release)
	again := make(chan any, 1)
	go func() {
		defer func() { again <- recover() }()
		_, _ = r.Reload(regrouped)
	}()
	select {
	case p := <-again:
		if p != nil {
			t.Errorf("panic: %v", p)
		}
	case <-time.After(time.Second): // it waits for Run to end
	}
}
