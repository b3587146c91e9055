package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/router/internal/batch"
)

// gauge counts how much goes on at the same time.
type gauge struct {
	mu        sync.Mutex
	now, most int
	byKey     map[string]int
	overlap   bool             // two events of a key at once
	lastOf    map[string]int   // the last id of each key
	disorder  map[string][]int // of each key, the ids that came too late
}

func newGauge() *gauge {
	return &gauge{byKey: map[string]int{}, lastOf: map[string]int{}, disorder: map[string][]int{}}
}

func (g *gauge) enter(e *Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now++
	g.most = max(g.most, g.now)
	if e.Key == "" {
		return
	}
	g.byKey[e.Key]++
	g.overlap = g.overlap || g.byKey[e.Key] > 1
	id, _ := strconv.Atoi(e.ID)
	if last, ok := g.lastOf[e.Key]; ok && id < last {
		g.disorder[e.Key] = append(g.disorder[e.Key], id)
	}
	g.lastOf[e.Key] = id
}

func (g *gauge) leave(e *Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now--
	g.byKey[e.Key]--
}

func (g *gauge) check(t testing.TB, most int) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.overlap || len(g.disorder) > 0 {
		t.Errorf("two events of a key at once: %v; out of order: %v", g.overlap, g.disorder)
	}
	if g.most != most {
		t.Errorf("at most %d at once, want %d", g.most, most)
	}
}

// sendAll sends payloads in batches of random size.
func (r *running) sendAll(t testing.TB, payloads []string) []*batch.Item {
	var items []*batch.Item
	for len(payloads) > 0 {
		n := min(1+rand.IntN(256), len(payloads))
		items = append(items, r.send(t, payloads[:n]...)...)
		payloads = payloads[n:]
	}
	return items
}

// With many workers the events of a key stay in order, one at a time, and no more run
// than there are workers.
func TestWorkersKeepTheOrderOfAKey(t *testing.T) {
	for kind, asHandler := range map[string]func(HandlerFunc) Handler{"handler": asHandler, "batch": asBatch} {
		for _, workers := range []int{1, 2, 64} {
			t.Run(fmt.Sprint(kind, "/", workers), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g := newGauge()
					h := func(_ context.Context, e *Event) error {
						g.enter(e)
						defer g.leave(e)
						time.Sleep(rand.N(10 * time.Millisecond))
						return nil
					}
					r := start(t, under(Policy{Workers: workers, Timeout: time.Hour}, asHandler(h)), Options{})
					payloads := make([]string, 10_000)
					for i := range payloads {
						payloads[i] = keyed(fmt.Sprint(i), fmt.Sprint(rand.IntN(100)), "a")
					}
					items := r.sendAll(t, payloads)
					time.Sleep(time.Hour)
					r.await(t, items)
					r.counts(t, RouteStats{Handled: 10_000})
					r.idle(t)
					want := workers
					if kind == "batch" { // a chunk holds many keys, and how many chunks there are is chance
						want = g.most
					}
					g.check(t, want)
					if g.most > workers {
						t.Errorf("%d at once", g.most)
					}
				})
			})
		}
	}
}

// Sixty-four workers get through at least 55 times as much as one, and forty times
// when one call in twenty takes ten times as long, although no more than 1,024 events
// are in hand.
func TestWorkersThroughput(t *testing.T) {
	const events, inFlight, usual = 6400, 1024, 50 * time.Millisecond
	measure := func(t *testing.T, workers, keys, slow int) (took time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(1, 2)) // which events are slow, and the keys, are the same for all
			h := HandlerFunc(func(_ context.Context, e *Event) error {
				if e.Type == "slow" {
					time.Sleep(9 * usual)
				}
				time.Sleep(usual)
				return nil
			})
			window := make(chan struct{}, inFlight)
			r := start(t, under(Policy{Workers: workers}, h), Options{Observe: func(Outcome) { <-window }})
			begin := time.Now()
			for range events / 64 {
				payloads := make([]string, 64)
				for i := range payloads {
					window <- struct{}{}
					key, typ := "", "usual"
					if keys > 0 {
						key = fmt.Sprint(rnd.IntN(keys))
					}
					if rnd.IntN(100) < slow {
						typ = "slow"
					}
					payloads[i] = keyed(fmt.Sprint(i), key, typ)
				}
				r.send(t, payloads...)
			}
			for range inFlight {
				window <- struct{}{}
			}
			took = time.Since(begin)
			r.counts(t, RouteStats{Handled: events})
		})
		return took
	}
	for _, tc := range []struct {
		keys, slow int
		want       float64
	}{{0, 0, 55}, {0, 5, 40}, {1000, 5, 40}, {1000, 0, 40}, {10_000, 0, 55}, {10_000, 5, 40}} {
		one, many := measure(t, 1, tc.keys, tc.slow), measure(t, 64, tc.keys, tc.slow)
		times := float64(one) / float64(many)
		t.Logf("%5d keys, %d %% slow: %v with one worker, %v with 64: %.1f times", tc.keys, tc.slow, one, many, times)
		if times < tc.want {
			t.Errorf("%d keys, %d %% slow: %.1f times, want at least %v", tc.keys, tc.slow, times, tc.want)
		}
	}
}

// An event without a key is on its own: it waits for none, and none waits for it.
func TestKeylessEventsAreOnTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, seen := &script{verdicts: map[string][]error{"bad": {errors.New("refused")}}}, &witness{}
		r := start(t, under(Policy{Workers: 2, Retry: Retry{Attempts: 2, Backoff: time.Hour, MaxBackoff: time.Hour}}, h), Options{Observe: seen.observe})
		items := r.send(t, message0("0", "bad"), message0("1", "a"), message0("2", "a"), keyed("3", "k", "a"))
		synctest.Wait()
		if r.isDone(items[0]) || !r.isDone(items[1]) || !r.isDone(items[2]) || !r.isDone(items[3]) {
			t.Errorf("outcomes %+v", seen.outcomes)
		}
		time.Sleep(2 * time.Hour)
		r.await(t, items)
		r.idle(t)
	})
}

// An event that waits for its next attempt holds up its own key only.
func TestRetryHoldsUpItsKeyOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &script{verdicts: map[string][]error{"bad": {errors.New("refused")}}}
		r := start(t, under(Policy{Workers: 2, Retry: Retry{Attempts: 2, Backoff: time.Hour, MaxBackoff: time.Hour}}, h), Options{})
		items := r.send(t, keyed("0", "x", "bad"), keyed("1", "y", "a"), keyed("2", "x", "a"), keyed("3", "y", "a"))
		synctest.Wait()
		items = append(items, r.send(t, keyed("4", "x", "a"), keyed("5", "y", "a"))...)
		synctest.Wait()
		for i, item := range items {
			if r.isDone(item) != (i%2 == 1) {
				t.Errorf("event %d: done %v", i, r.isDone(item))
			}
		}
		time.Sleep(2 * time.Hour)
		r.await(t, items)
		var ofX []string
		for _, id := range h.order {
			if id == "0" || id == "2" || id == "4" {
				ofX = append(ofX, id)
			}
		}
		if fmt.Sprint(ofX) != "[0 0 2 4]" {
			t.Errorf("the order of x is %v", ofX)
		}
	})
}

// Lanes that are idle cost nothing: no goroutine, and no entry for keys that were.
func TestIdleLanesCostNothing(t *testing.T) {
	const keys = 100_000
	h := newSlow()
	h.begun = make(chan string, keys)
	cfg := under(Policy{Workers: 8}, h)
	for i := range 50 {
		cfg.Routes = append(cfg.Routes, Route{Name: fmt.Sprint(i), Channel: "in", Types: []string{"other"}, Handler: "h", Policy: Policy{Workers: 64}})
	}
	var left atomic.Int32
	left.Store(keys)
	all := make(chan struct{})
	r := start(t, cfg, Options{Observe: func(Outcome) {
		if left.Add(-1) == 0 {
			close(all)
		}
	}})
	if n := workers(); n != 0 {
		t.Errorf("%d workers before the first event", n)
	}
	payloads := make([]string, keys)
	for i := range payloads {
		payloads[i] = keyed("", fmt.Sprint(i), "a")
	}
	begin := time.Now()
	r.sendAll(t, payloads)
	l := r.routes[0].lanes
	l.mu.Lock()
	if len(l.byKey) != keys || l.active != 8 {
		t.Errorf("%d keys, %d active", len(l.byKey), l.active)
	}
	l.mu.Unlock()
	if n := workers(); n != 8 {
		t.Errorf("%d workers for one busy route", n)
	}
	waiting := time.Now()
	close(h.release)
	receive(t, "all to be handled", all)
	t.Logf("sent in %v, handled in %v", waiting.Sub(begin), time.Since(waiting))
	for range 1000 { // the last worker may not have noticed yet
		if workers() == 0 {
			break
		}
		runtime.Gosched()
	}
	r.idle(t)
}

// A worker that is lost, however it is, is replaced: there are as many as before.
func TestLostWorkersAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 4
		g, release := newGauge(), make(chan struct{})
		h := HandlerFunc(func(ctx context.Context, e *Event) error {
			switch e.Type {
			case "deaf":
				<-release
			case "usual":
				g.enter(e)
				defer g.leave(e)
				time.Sleep(time.Second / 2)
			default:
				return misbehave(ctx, e)
			}
			return nil
		})
		r := start(t, under(Policy{Workers: n, Timeout: time.Second}, h), Options{})
		var items []*batch.Item
		for i := range 100 {
			typ := []string{"deaf", "goexit", "panic", "error"}[rand.IntN(4)]
			items = append(items, r.send(t, keyed(fmt.Sprint(i), fmt.Sprint(i%7), typ), message0("", typ))...)
		}
		time.Sleep(time.Hour)
		r.await(t, items)
		r.idle(t)
		begin := time.Now()
		for i := range 100 {
			items = append(items, r.send(t, keyed(fmt.Sprint(1000+i), fmt.Sprint(i), "usual"))...)
		}
		for open := true; open; {
			time.Sleep(time.Second / 2)
			synctest.Wait()
			open = !r.isDone(items[len(items)-1])
		}
		if took := time.Since(begin); took != 100/n*time.Second/2 {
			t.Errorf("it took %v", took)
		}
		g.check(t, n)
		r.idle(t)
		close(release)
		synctest.Wait()
		if workers() != 0 {
			t.Errorf("%d workers are left", workers())
		}
		r.exactlyOnce(t)
	})
}

// Whatever handlers do, with whatever policy, and whenever the router stops: each event
// has one end on each route, is done once or unfinished, in the order of its key.
func TestPoliciesAtRandom(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tryAtRandom(t, seed) })
		})
	}
}

func tryAtRandom(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 7))
	policy := Policy{
		Timeout: time.Second, MaxAge: []time.Duration{0, 20 * time.Second}[rnd.IntN(2)],
		Retry:   Retry{Attempts: 1 + rnd.IntN(3), Backoff: 100 * time.Millisecond, MaxBackoff: time.Second},
		Workers: []int{1, 2, 3, 16, 64}[rnd.IntN(5)],
	}
	types := []string{"fine", "fine", "fine", "error", "permanent", "panic", "goexit", "away", "obeys", "late", "deaf", "edge"}
	g, release := newGauge(), make(chan struct{})
	h := func(ctx context.Context, e *Event) error {
		g.enter(e)
		defer g.leave(e)
		time.Sleep(rand.N(20 * time.Millisecond))
		switch e.Type {
		case "away":
			if rand.IntN(3) > 0 {
				return Unavailable(errors.New("away"), rand.N(time.Second))
			}
		case "obeys":
			<-ctx.Done()
			return ctx.Err()
		case "late":
			time.Sleep(time.Second + rand.N(1300*time.Millisecond))
		case "edge":
			time.Sleep(time.Duration(rand.IntN(40)) * time.Second / 16)
		case "deaf":
			<-release
		default:
			return misbehave(ctx, e)
		}
		return nil
	}
	batches := rnd.IntN(2) == 0
	handler := asHandler(h)
	if batches {
		handler = asBatch(h)
	}
	ends := map[string]int{}
	var mu sync.Mutex
	r := start(t, under(policy, handler), Options{Drain: 2 * time.Second, Observe: func(o Outcome) {
		if o.Result == Retried {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if before := ends[o.Event.ID]; before != 0 {
			t.Errorf("event %s has two ends", o.Event.ID)
		}
		ends[o.Event.ID] = 1
		if o.Result == Unfinished {
			ends[o.Event.ID] = 2
		}
	}})
	var items []*batch.Item
	n := 0
	for range 20 {
		var some []*batch.Item
		for range 1 + rnd.IntN(15) {
			key := ""
			if k := rnd.IntN(8); k > 0 {
				key = fmt.Sprint(k)
			}
			some = append(some, &batch.Item{Topic: "topic", Time: time.Now(), Owner: r.carrier, Payload: []byte(keyed(fmt.Sprint(n), key, types[rnd.IntN(len(types))]))})
			n++
		}
		r.sendItems(t, some)
		items = append(items, some...)
		time.Sleep(time.Duration(rnd.IntN(500)) * time.Millisecond)
	}
	if seed%2 == 0 {
		time.Sleep(24 * time.Hour)
	}
	r.stop()
	<-r.ended //nolint:errcheck // only its end matters
	time.Sleep(time.Hour)
	close(release)
	time.Sleep(time.Hour)

	s := r.Stats()
	route := s.Routes[0]
	if sum := route.Handled + route.Failed + route.Skipped + route.Unfinished; sum != uint64(n) || s.Channels["in"].Received != uint64(n) {
		t.Errorf("%d sent, %d received, %d have an end: %+v", n, s.Channels["in"].Received, sum, route)
	}
	if seed%2 == 0 && route.Unfinished > 0 {
		t.Errorf("%d unfinished after a day", route.Unfinished)
	}
	mu.Lock()
	defer mu.Unlock()
	for i, item := range items {
		if end := ends[fmt.Sprint(i)]; end == 0 || r.isDone(item) != (end == 1) {
			t.Errorf("event %d: end %d, done %v", i, end, r.isDone(item))
		}
	}
	r.exactlyOnce(t)
	r.idle(t)
	if !batches && len(g.disorder) > 0 { // in a batch, an event that is tried again comes after those that were not
		t.Errorf("out of order: %v", g.disorder)
	}
	if left := workers(); left != 0 {
		t.Errorf("%d workers are left", left)
	}
	for _, line := range r.logs.lines(t, slog.LevelError, "") {
		if line["err"] == context.Canceled.Error() {
			t.Errorf("a shutdown is logged as an error: %v", line)
		}
	}
}

// A batch handler with many workers and keys gets chunks, not single events, and each
// key in order.
func TestChunksOfManyKeys(t *testing.T) {
	var calls atomic.Int32
	g := newGauge()
	held := make(chan struct{})
	h := batcher{batch: func(_ context.Context, events []*Event) []error {
		<-held
		calls.Add(1)
		if len(events) > maxChunk {
			t.Errorf("a chunk of %d", len(events))
		}
		for _, e := range events {
			g.enter(e)
			g.leave(e)
		}
		return nil
	}}
	r := start(t, under(Policy{Workers: 4}, h), Options{})
	payloads := make([]string, 10_000)
	for i := range payloads {
		payloads[i] = keyed(fmt.Sprint(i), fmt.Sprint(i%3000), "a")
	}
	items := r.sendAll(t, payloads)
	close(held)
	r.await(t, items)
	if n := calls.Load(); n > 100 {
		t.Errorf("%d calls for 10,000 events", n)
	}
	if len(g.disorder) > 0 {
		t.Errorf("out of order: %v", g.disorder)
	}
}

// BenchmarkLanes pushes events of many keys into the lanes of a route and waits until
// all of them are handled. One op is one event.
func BenchmarkLanes(b *testing.B) {
	noBatch := batcher{batch: func(context.Context, []*Event) []error { return nil }}
	for name, h := range map[string]Handler{"Handler": accepting, "BatchHandler": noBatch} {
		for _, waiting := range []int{1000, 100_000} {
			b.Run(fmt.Sprint(name, "/waiting=", waiting), func(b *testing.B) {
				var running workforce
				route := Route{Policy: Policy{Workers: 8}}
				if err := route.Policy.normalize(); err != nil {
					b.Fatal(err)
				}
				r := newRoute(route, &Channel{}, newInstance(HandlerSpec{}, h), Options{Logger: slog.New(slog.DiscardHandler)}, nil, &running)
				owner := &benchOwner{all: make(chan struct{})}
				owner.left.Store(int64(b.N))
				keys := make([]string, waiting)
				for i := range keys {
					keys[i] = fmt.Sprint(i)
				}
				b.ReportAllocs()
				b.ResetTimer()
				for sent := 0; sent < b.N; {
					n := min(waiting, b.N-sent)
					events := make([]*delivery, n)
					for i := range events {
						events[i] = newDelivery(b.Context(), nil, nil)
						events[i].event.Type, events[i].event.Key = "a", keys[i]
						events[i].ticket = &ticket{item: &batch.Item{Owner: owner}}
						events[i].ticket.hold()
					}
					r.lanes.push(events)
					sent += n
					running.Wait()
				}
				<-owner.all
			})
		}
	}
}
