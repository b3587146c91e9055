package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"

	"signalbox/router/internal/batch"
)

// The events of a chunk end together, so they came by one feed.
func TestChunksAreOfOneFeed(t *testing.T) {
	old, end := context.WithCancel(t.Context())
	defer end()
	w := &worker{lanes: &lanes{}}
	w.lanes.route.Store(&route{batch: slowBatch{newSlow()}})
	for _, feed := range []context.Context{old, old, t.Context(), old} {
		w.rest = append(w.rest, newDelivery(feed, nil, nil))
	}
	var sizes []int
	for len(w.rest) > 0 && w.next() {
		sizes = append(sizes, len(w.tries))
	}
	if want := []int{2, 1, 1}; !slices.Equal(sizes, want) {
		t.Errorf("chunks of %v, want %v", sizes, want)
	}
}

// The context of an attempt ends at the timeout, at most an eighth late and never
// early, wherever in the watchdog's round the attempt begins.
func TestTimeoutEndsTheContext(t *testing.T) {
	for _, timeout := range []time.Duration{16 * time.Millisecond, 100 * time.Millisecond, time.Second, 0, 10 * time.Minute} {
		t.Run(timeout.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				usual := orDefault(timeout, 30*time.Second)
				var ends []time.Duration
				h := HandlerFunc(func(ctx context.Context, e *Event) error {
					if ctx.Err() != nil {
						t.Error("the context ended before the attempt began")
					}
					if e.Type == "quick" {
						time.Sleep(rand.N(usual))
						return ctx.Err()
					}
					begin := time.Now()
					<-ctx.Done()
					ends = append(ends, time.Since(begin))
					if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
						t.Errorf("cause %v", cause)
					}
					return ctx.Err()
				})
				seen := &witness{}
				r := start(t, under(Policy{Timeout: timeout}, h), Options{Observe: seen.observe})
				var items []*batch.Item
				for range 50 {
					items = append(items, r.send(t, message0("quick", "quick"), message0("slow", "slow"))...)
				}
				time.Sleep(200 * usual)
				r.await(t, items)
				for _, end := range ends {
					if end < usual || end > usual+usual/8 {
						t.Errorf("the context ended after %v", end)
					}
				}
				r.counts(t, RouteStats{Handled: 50, Failed: 50})
				if err := seen.errOf("slow"); err == nil || !strings.Contains(err.Error(), "timeout of "+usual.String()) || !errors.Is(err, context.Canceled) {
					t.Errorf("error %v", err)
				}
				r.idle(t)
			})
		})
	}
}

// workers counts the goroutines of all workers, those left behind included.
func workers() int {
	stacks := make([]byte, 4<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "created by signalbox/router.(*lanes).start")
}

// What a handler returns after its timeout counts, if it returns: nil is done, and an
// error may be tried again.
func TestTimeoutAndVerdict(t *testing.T) {
	for name, tc := range map[string]struct {
		verdict error
		want    string
	}{
		"nil":         {nil, "handled 1"},
		"error":       {errors.New("refused"), "retried 1, failed 2"},
		"permanent":   {Permanent(errors.New("never")), "failed 1"},
		"unavailable": {Unavailable(errors.New("away"), 0), "retried 0, handled 1"},
	} {
		for kind, asHandler := range map[string]func(HandlerFunc) Handler{"handler": asHandler, "batch": asBatch} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					attempts, running := 0, 0
					h := func(ctx context.Context, e *Event) error {
						running++
						defer func() { running-- }()
						if running > 1 {
							t.Error("two attempts overlap")
						}
						if ctx.Err() != nil {
							t.Error("the context ended before the attempt began")
						}
						if e.Type == "next" {
							return nil
						}
						attempts++
						if _, away := IsUnavailable(tc.verdict); away && attempts > 1 {
							return nil
						}
						<-ctx.Done()
						time.Sleep(900 * time.Millisecond) // in time, just
						return tc.verdict
					}
					seen := &witness{}
					r := start(t, under(Policy{Timeout: time.Second, Retry: Retry{Attempts: 2}}, asHandler(h)), Options{Observe: seen.observe})
					items := r.send(t, message0("1", "a"))
					synctest.Wait() // so that it is a batch of its own
					items = append(items, r.send(t, message0("2", "next"))...)
					time.Sleep(time.Minute)
					r.await(t, items)
					if seen.of("1") != tc.want || seen.of("2") != "handled 1" {
						t.Errorf("outcomes %s and %s, want %s", seen.of("1"), seen.of("2"), tc.want)
					}
					if err := seen.errOf("1"); strings.HasPrefix(tc.want, "failed") && (!strings.Contains(err.Error(), "timeout of 1s") || !errors.Is(err, tc.verdict)) {
						t.Errorf("error %v", err)
					}
					r.idle(t)
				})
			})
		}
	}
}

func asHandler(h HandlerFunc) Handler { return h }

// asBatch is a BatchHandler that asks h about one event after the other.
func asBatch(h HandlerFunc) Handler {
	return batcher{batch: func(ctx context.Context, events []*Event) []error {
		verdicts := make([]error, len(events))
		for i, e := range events {
			verdicts[i] = h(ctx, e)
		}
		return verdicts
	}}
}

// A handler that ignores its timeout is left behind a second later: its event failed
// and is not tried again, its lane goes on in order, its siblings don't notice. When
// it ends after all, however it ends, nothing changes.
func TestAbandon(t *testing.T) {
	for end, late := range map[string]func() error{
		"nil": func() error { return nil }, "error": func() error { return errors.New("late") }, "panic": func() error { panic("late") },
		"goexit": func() error { runtime.Goexit(); return nil },
	} {
		for kind, asHandler := range map[string]func(HandlerFunc) Handler{"handler": asHandler, "batch": asBatch} {
			t.Run(end+"/"+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					release := make(chan struct{})
					next, sibling := &recorder{}, &recorder{}
					h := func(ctx context.Context, e *Event) error {
						if e.Type == "deaf" {
							<-release
							if ctx.Err() == nil {
								t.Error("the context has not ended")
							}
							return late()
						}
						if ctx.Err() != nil {
							t.Error("the context of the next event has ended")
						}
						return next.Handle(ctx, e)
					}
					cfg := under(Policy{Timeout: 2 * time.Second, Retry: Retry{Attempts: 5}}, asHandler(h))
					cfg.Handlers = append(cfg.Handlers, handlers(map[string]Handler{"sibling": sibling})...)
					cfg.Routes = append(cfg.Routes, Route{Channel: "in", Types: []string{"*"}, Handler: "sibling"})
					seen := &witness{}
					r := start(t, cfg, Options{Observe: func(o Outcome) {
						if o.Route == "h" {
							seen.observe(o)
						}
					}})
					items := r.send(t, message0("1", "deaf"))
					synctest.Wait() // so that it is a batch of its own
					items = append(items, r.send(t, message0("2", "a"), message0("3", "a"))...)
					items = append(items, r.send(t, message0("4", "a"))...)
					time.Sleep(2990 * time.Millisecond)
					if r.isDone(items[0]) || seen.of("1") != "" || sibling.got() != "1 2 3 4" {
						t.Errorf("given up early, or the sibling waits: %s; %s", seen.of("1"), sibling.got())
					}
					time.Sleep(510 * time.Millisecond)
					r.await(t, items)
					check := func() {
						t.Helper()
						if next.got() != "2 3 4" || seen.of("1") != "failed 1" || !errors.Is(seen.errOf("1"), errAbandoned) {
							t.Errorf("the lane went on with %s; outcomes %s", next.got(), seen.of("1"))
						}
						r.counts(t, RouteStats{Handled: 3, Failed: 1, Abandoned: 1})
						r.exactlyOnce(t)
						r.idle(t)
						if lines := r.logs.lines(t, slog.LevelError, ""); len(lines) != 1 || lines[0]["attempt"] != 1.0 || lines[0]["id"] != "1" {
							t.Errorf("logged %v", lines)
						}
					}
					check()
					if n := workers(); n != 1 {
						t.Errorf("%d goroutines, want only the one left behind", n)
					}
					close(release)
					time.Sleep(time.Minute)
					check()
					if n := workers(); n != 0 {
						t.Errorf("%d goroutines are left", n)
					}
				})
			})
		}
	}
}

// What waited behind the events of a batch that was left behind goes on, in order.
func TestAbandonWithMoreThanAChunk(t *testing.T) {
	for _, end := range []string{"deaf", "goexit", "panic", "length"} {
		t.Run(end, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []string
				var bad atomic.Int32
				release := make(chan struct{})
				h := batcher{batch: func(_ context.Context, events []*Event) []error {
					if events[0].Type == "first" {
						time.Sleep(time.Second / 2) // the rest gathers behind it
						return nil
					}
					for _, e := range events {
						if e.Type == end {
							bad.Store(int32(len(events)))
							switch end {
							case "deaf":
								<-release
							case "length":
								return make([]error, len(events)+1)
							default:
								_ = misbehave(context.Background(), e)
							}
						}
						got = append(got, e.ID)
					}
					return nil
				}}
				r := start(t, under(Policy{Timeout: time.Second}, h), Options{})
				items := r.send(t, message0("first", "first"))
				synctest.Wait()
				var want []string
				for n := range 1000 {
					typ := "fine"
					if n == 256 {
						typ = end
					}
					if n < 256 || n >= 512 {
						want = append(want, fmt.Sprint(n))
					}
					items = append(items, r.send(t, message0(fmt.Sprint(n), typ))...)
				}
				time.Sleep(time.Minute)
				r.await(t, items)
				if strings.Join(got, " ") != strings.Join(want, " ") || bad.Load() != 256 {
					t.Errorf("got %s, a bad chunk of %d", got, bad.Load())
				}
				abandoned := uint64(0)
				if end == "deaf" {
					abandoned = 256
				}
				r.counts(t, RouteStats{Handled: 745, Failed: 256, Abandoned: abandoned})
				r.idle(t)
				close(release)
			})
		})
	}
}

// A negative timeout is none.
func TestNoTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSlow()
		r := start(t, under(Policy{Timeout: -1}, h), Options{})
		items := r.send(t, message0("1", "a"))
		time.Sleep(1000 * time.Hour)
		r.counts(t, RouteStats{})
		close(h.release)
		synctest.Wait()
		r.await(t, items)
		r.counts(t, RouteStats{Handled: 1})
	})
}

// An attempt that ends in the very moment of its timeout never ends the context of the
// next, and a handler that returns in the very moment it is given up is counted once.
func TestTimeoutRaces(t *testing.T) {
	for name, around := range map[string]time.Duration{"timeout": 16 * time.Millisecond, "abandon": 1016 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const timeout = 16 * time.Millisecond
				var early, expired atomic.Int32
				h := func(ctx context.Context, e *Event) error {
					begin := time.Now()
					if e.Type == "edge" {
						time.Sleep(around - time.Millisecond + time.Duration(rand.IntN(5))*time.Millisecond)
						if ctx.Err() != nil {
							expired.Add(1)
						}
						return nil
					}
					if ctx.Err() != nil {
						early.Add(1)
					}
					select {
					case <-ctx.Done():
						if time.Since(begin) < timeout {
							early.Add(1)
						}
					case <-time.After(rand.N(timeout)):
					}
					return nil
				}
				r := start(t, under(Policy{Timeout: timeout, Workers: 4}, HandlerFunc(h)), Options{})
				var items []*batch.Item
				const n = 500
				for i := range n {
					items = append(items, r.send(t, keyed("", fmt.Sprint(i%16), "edge"))...)
					items = append(items, r.send(t, keyed("", fmt.Sprint(i%16), "after"))...)
				}
				time.Sleep(time.Hour)
				r.await(t, items)
				s := r.Stats().Routes[0]
				if early.Load() > 0 || s.Handled+s.Failed != 2*n || s.Failed != s.Abandoned {
					t.Errorf("%d contexts ended early; stats %+v", early.Load(), s)
				}
				if name == "timeout" && expired.Load() == 0 || name == "abandon" && (s.Abandoned == 0 || s.Abandoned == n) {
					t.Errorf("the edge was missed: %d expired, %d abandoned", expired.Load(), s.Abandoned)
				}
				r.idle(t)
			})
		})
	}
}

// After the process stood still (a paused container, a laptop asleep), a handler has
// its second all the same.
func TestAbandonAfterAStandstill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSlow()
		var running workforce
		r := newRoute(one(h).Routes[0], &Channel{}, newInstance(HandlerSpec{}, h), Options{Logger: slog.New(slog.DiscardHandler)}, nil, &running)
		r.Policy.Timeout = time.Minute
		w := &worker{lanes: r.lanes}
		running.Add(1)
		ctx := w.begin(t.Context(), r)
		time.Sleep(10 * time.Second) // it has been seen
		w.mu.Lock()
		w.since = w.since.Add(-time.Hour) // as if the clock had gone on without us
		w.mu.Unlock()
		w.watch()
		w.watch()
		synctest.Wait()
		if ctx.Err() == nil {
			t.Error("the context did not end")
		}
		if _, ok := w.end(); !ok {
			t.Error("the handler was given up without its second")
		}
		w.stop()
	})
}

// A handler that is still deaf after the limit of the drain is no failure either: its
// event is unfinished, as one whose handler obeyed would be.
func TestDrainThenAbandon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, seen := newSlow(), &witness{}
		h.deaf = true
		r := start(t, under(Policy{Timeout: 10 * time.Second}, h), Options{Drain: 5 * time.Second, Observe: seen.observe})
		items := r.send(t, message0("1", "a"), message0("2", "a"))
		<-h.begun
		r.stop()
		<-r.ended //nolint:errcheck // only its end matters
		time.Sleep(time.Hour)
		r.counts(t, RouteStats{Unfinished: 2})
		for _, item := range items {
			if r.isDone(item) {
				t.Errorf("%s is done", item.Payload)
			}
		}
		if lines := r.logs.lines(t, slog.LevelError, ""); len(lines) > 0 {
			t.Errorf("logged %v", lines)
		}
		if seen.of("1") != "unfinished 1" || h.late.Load() {
			t.Errorf("outcomes %s", seen.of("1"))
		}
		close(h.release)
		synctest.Wait()
		r.counts(t, RouteStats{Unfinished: 2})
	})
}

// Contexts that a handler derives end with the attempt, and cost no goroutine, however
// the event came.
func TestDerivedContexts(t *testing.T) {
	valued := func(next message.HandlerFunc) message.HandlerFunc {
		return func(msg *message.Message) ([]*message.Message, error) {
			ctx, cancel := context.WithCancel(context.WithValue(msg.Context(), contextKeyOfTest{}, "value"))
			defer cancel()
			msg.SetContext(ctx)
			return next(msg)
		}
	}
	for name, opts := range map[string]Options{
		"batch":      {},
		"middleware": {Middleware: []message.HandlerMiddleware{valued}},
		"foreign": {Subscriber: func(Channel) (message.Subscriber, error) {
			return gochannel.NewGoChannel(gochannel.Config{Persistent: true}, watermill.NopLogger{}), nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 100
				h := HandlerFunc(func(ctx context.Context, _ *Event) error {
					if name == "middleware" && ctx.Value(contextKeyOfTest{}) != "value" {
						t.Error("the middleware's value is lost")
					}
					before := runtime.NumGoroutine()
					derived := make([]context.Context, n)
					for i := range derived {
						var cancel func()
						derived[i], cancel = context.WithTimeout(ctx, time.Hour)
						defer cancel()
					}
					if more := runtime.NumGoroutine() - before; more > n/2 {
						t.Errorf("%d derived contexts cost %d goroutines", n, more)
					}
					begin := time.Now()
					<-ctx.Done()
					synctest.Wait()
					for _, d := range derived {
						if d.Err() == nil {
							t.Fatal("a derived context did not end")
						}
					}
					if took := time.Since(begin); took > 9*time.Second/8 {
						t.Errorf("it took %v", took)
					}
					return nil
				})
				opts := opts
				var pubsub message.Publisher
				if foreign := opts.Subscriber; foreign != nil {
					sub, _ := foreign(Channel{})
					pubsub = sub.(message.Publisher)
					opts.Subscriber = func(Channel) (message.Subscriber, error) { return sub, nil }
				}
				r := start(t, under(Policy{Timeout: time.Second}, h), opts)
				if pubsub != nil {
					if err := pubsub.Publish("in", message.NewMessage("1", []byte(message0("1", "a")))); err != nil {
						t.Fatal(err)
					}
				} else {
					r.send(t, message0("1", "a"))
				}
				time.Sleep(time.Minute)
				r.counts(t, RouteStats{Handled: 1})
				r.stop()
				<-r.ended //nolint:errcheck // only its end matters
			})
		})
	}
}
