package router

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/router/internal/batch"
)

// crowd is a configuration with n routes, each for a type of its own, to h.
func crowd(n int, p Policy, h Handler) Config {
	cfg := one(h)
	cfg.Routes = nil
	for i := range n {
		cfg.Routes = append(cfg.Routes, Route{Name: fmt.Sprint("r", i), Channel: "in", Types: []string{fmt.Sprint("t", i)}, Handler: "h", Policy: p})
	}
	return cfg
}

// crowdItems are rounds of an event for each route.
func crowdItems(r *running, routes, rounds int) []*batch.Item {
	var items []*batch.Item
	for i := range routes * rounds {
		payload := fmt.Sprintf(`{"id":"%d","type":"t%d"}`, i, i%routes)
		items = append(items, &batch.Item{Topic: "topic", Time: time.Now(), Payload: []byte(payload), Owner: r.carrier})
	}
	return items
}

// Many routes with an event or two each share a worker, but none waits for another: a
// handler that blocks holds up its own route only.
func TestBundleHoldsUpNobody(t *testing.T) {
	const routes = 100
	for name, policy := range map[string]Policy{"one worker": {}, "two workers": {Workers: 2}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				var quick atomic.Int64
				h := HandlerFunc(func(_ context.Context, e *Event) error {
					if e.Type == "t0" || e.Type == "t50" {
						time.Sleep(time.Second)
						return nil
					}
					if took := time.Since(begin); took > 10*time.Millisecond {
						t.Errorf("%s waited for %v", e.Type, took)
					}
					quick.Add(1)
					return nil
				})
				r := start(t, crowd(routes, policy, h), Options{})
				items := crowdItems(r, routes, 2)
				r.sendItems(t, items)
				r.await(t, items)
				if quick.Load() != 2*(routes-2) {
					t.Errorf("%d events handled", quick.Load())
				}
				// Those of one route go one after the other.
				want := 2 * time.Second
				if policy.Workers == 2 {
					want = time.Second
				}
				if took := time.Since(begin).Round(time.Second); took != want {
					t.Errorf("all took %v, want %v", took, want)
				}
			})
		})
	}
}

// What ends or keeps the worker of a bundle takes nothing of the others with it.
func TestBundleGoesOn(t *testing.T) {
	const routes = 40
	synctest.Test(t, func(t *testing.T) {
		h := HandlerFunc(func(ctx context.Context, e *Event) error {
			switch e.Type {
			case "t3":
				runtime.Goexit()
			case "t5":
				panic("as asked for")
			case "t7":
				<-ctx.Done()
				time.Sleep(time.Minute) // whatever ctx says
			case "t9":
				return errors.New("refused")
			}
			return nil
		})
		policy := Policy{Timeout: time.Second, Retry: Retry{Attempts: 2, Backoff: time.Second, MaxBackoff: time.Second}}
		r := start(t, crowd(routes, policy, h), Options{})
		items := crowdItems(r, routes, 3)
		r.sendItems(t, items)
		r.await(t, items)
		time.Sleep(time.Hour) // until what was left behind has returned
		for _, s := range r.Stats().Routes {
			want := RouteStats{Channel: s.Channel, Route: s.Route, Handler: s.Handler, Handled: 3}
			switch s.Route {
			case "r3", "r5":
				want.Handled, want.Failed = 0, 3
			case "r7":
				want.Handled, want.Failed, want.Abandoned = 0, 3, 3
			case "r9":
				want.Handled, want.Failed = 0, 3
			}
			want.Retried = s.Retried
			if s != want {
				t.Errorf("%+v, want %+v", s, want)
			}
		}
	})
}

// Each route keeps the order of its events, from batch to batch.
func TestBundleKeepsOrder(t *testing.T) {
	const routes, rounds = 50, 40
	last := make([]int, routes) // the router's promise makes this safe
	h := HandlerFunc(func(_ context.Context, e *Event) error {
		var id, typ int
		_, _ = fmt.Sscan(e.ID, &id)
		_, _ = fmt.Sscanf(e.Type, "t%d", &typ)
		if id < last[typ] {
			return fmt.Errorf("%d came after %d", id, last[typ])
		}
		last[typ] = id
		return nil
	})
	r := start(t, crowd(routes, Policy{}, h), Options{})
	items := crowdItems(r, routes, rounds)
	for from := 0; from < len(items); from += 3 * routes / 2 {
		r.sendItems(t, items[from:min(len(items), from+3*routes/2)])
	}
	r.await(t, items)
	for _, s := range r.Stats().Routes {
		if s.Handled != rounds {
			t.Errorf("%+v", s)
		}
	}
}

// The context of an attempt ends with the work of the feed that its event came by, also
// when the worker has handled events of another feed before.
func TestAttemptEndsWithItsFeed(t *testing.T) {
	old, end := context.WithCancel(t.Context())
	w := &worker{lanes: &lanes{}}
	defer w.stop()
	r := &route{Route: Route{Policy: Policy{Timeout: -1}}}
	first := w.begin(old, r)
	w.end()
	if again := w.begin(old, r); again != first {
		t.Error("a context for each attempt")
	}
	w.end()
	end()
	if ctx := w.begin(t.Context(), r); ctx.Err() != nil {
		t.Error("the context ended with a feed that is gone")
	}
	w.end()
}
