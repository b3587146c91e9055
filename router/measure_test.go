package router

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Types that the configuration knows are counted by themselves, from the start; however
// many a stranger makes up, they are one.
func TestTypesAreCounted(t *testing.T) {
	cfg := one(accepting)
	cfg.Channels[0].Types = []string{"declared", "tick"}
	cfg.Routes[0].Types = []string{"tick", "order.*", "!order.test"}
	cfg.Routes = append(cfg.Routes, Route{Name: "own", Channel: "in", Types: []string{"*"}, Handler: "h", Isolated: true})
	f := &fakes{}
	r := start(t, cfg, Options{Subscriber: f.open})
	want := map[string]uint64{"declared": 0, "tick": 0, "order.test": 0, OtherTypes: 0}
	check := func() {
		t.Helper()
		if got := r.Stats().Channels["in"].Types; !maps.Equal(got, want) {
			t.Errorf("types %v, want %v", got, want)
		}
	}
	check()
	f.sendAll(t, `{"type":"tick"}`, `{"type":"declared"}`, `{"type":"order.new"}`, `{"type":"order.test"}`, `{"type":"tick"}`, `nonsense`)
	want = map[string]uint64{"declared": 1, "tick": 2, "order.test": 1, OtherTypes: 1}
	check()
	if got := r.Stats().Channels["in"].Received; got != 6 {
		t.Errorf("received %d, want 6", got)
	}
	payloads := make([]string, 5_000)
	for i := range payloads {
		payloads[i] = fmt.Sprintf(`{"type":"made up %d"}`, i)
	}
	f.sendAll(t, payloads...)
	want[OtherTypes] += 5_000
	check()

	now := cfg
	now.Channels = []Channel{cfg.Channels[0]}
	now.Channels[0].Types = []string{"new", "tick"}
	if _, err := r.Reload(now); err != nil {
		t.Fatal(err)
	}
	f.sendAll(t, `{"type":"new"}`)
	want["new"] = 1
	check() // what is gone stays counted
}

func TestMeasure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := one(HandlerFunc(func(context.Context, *Event) error {
			time.Sleep(time.Second)
			return nil
		}))
		r := start(t, cfg, Options{Measure: true})
		sent := time.Now().Add(-time.Minute).Format(time.RFC3339Nano)
		r.await(t, r.send(t, fmt.Sprintf(`{"type":"a","time":%q}`, sent), fmt.Sprintf(`{"type":"b","time":%q}`, sent)))
		stats := r.Stats()
		took, age := stats.Routes[0].Took, stats.Channels["in"].Age
		if took.Count != 2 || took.Sum != 2*time.Second || took.Buckets[0] != 2 {
			t.Errorf("the handler took %+v, want two calls of 1 s", took)
		}
		if age.Count != 2 || age.Sum != 2*time.Minute {
			t.Errorf("ages %+v, want two of a minute", age)
		}
	})
}

func TestMeasureIsOff(t *testing.T) {
	r := start(t, one(accepting), Options{})
	r.await(t, r.send(t, `{"type":"a"}`))
	if stats := r.Stats(); stats.Routes[0].Took != nil || stats.Channels["in"].Age != nil {
		t.Errorf("measured without being asked: %+v", stats)
	}
}

// The onlooker sees what fails, what goes well only if it wants to, and no more of either
// than it said.
func TestOnlooker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := HandlerFunc(func(_ context.Context, e *Event) error {
			if e.Type == "bad" {
				return errors.New("no")
			}
			return nil
		})
		var mu sync.Mutex
		seen := map[string]int{}
		o := &Onlooker{PerSecond: 3, See: func(o Outcome) {
			mu.Lock()
			defer mu.Unlock()
			seen[string(o.Result)+" "+o.Route+" "+o.Channel]++
			if o.Result == Rejected && string(o.Payload) != "nonsense" {
				t.Errorf("rejected %q", o.Payload)
			}
		}}
		r := start(t, one(h), Options{Onlooker: o, MayIdle: true})
		check := func(want map[string]int) {
			t.Helper()
			mu.Lock()
			defer mu.Unlock()
			if !maps.Equal(seen, want) {
				t.Errorf("seen %v, want %v", seen, want)
			}
			clear(seen)
			time.Sleep(time.Second)
		}
		flood := func() {
			var all []string
			for range 10 {
				all = append(all, `{"type":"good"}`, `{"type":"bad"}`, `nonsense`)
			}
			r.await(t, r.send(t, all...))
		}
		flood()
		check(map[string]int{"failed h in": 3, "rejected  in": 3})
		o.All.Store(true)
		flood()
		check(map[string]int{"failed h in": 3, "rejected  in": 3, "handled h in": 3})
		o.All.Store(false)
		r.await(t, r.send(t, `{"type":"good"}`, `{"type":"bad"}`))
		check(map[string]int{"failed h in": 1})
	})
}

// backlogged is a carrier that knows what waits in it.
type backlogged struct{ *carrier }

func (backlogged) Backlog() (queued, inHand int) { return 3, 4 }

func TestBacklogIsInStats(t *testing.T) {
	cfg := one(accepting)
	r := start(t, cfg, Options{Subscriber: func(Channel) (message.Subscriber, error) { return backlogged{newCarrier()}, nil }})
	if got := r.Stats().Subscriptions; len(got) != 1 || got[0] != (SubscriptionStats{Channel: "in", Queued: 3, InHand: 4}) {
		t.Errorf("subscriptions %+v", got)
	}
}

// A router turns while it runs, and whoever asks afterwards, or after a subscription was
// lost, is told.
func TestTurning(t *testing.T) {
	f := &fakes{}
	cfg := one(accepting)
	cfg.Channels = append(cfg.Channels, Channel{Name: "other"})
	cfg.Routes = append(cfg.Routes, Route{Channel: "other", Types: []string{"*"}, Handler: "h"})
	r := start(t, cfg, Options{Subscriber: f.open})
	if err := r.Turning(t.Context()); err != nil {
		t.Errorf("a router that runs: %v", err)
	}
	_ = f.carriers[1].Close()
	deadline := time.Now().Add(patience)
	for r.Turning(t.Context()) == nil && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if err := r.Turning(t.Context()); err == nil || err.Error() != `the subscription to channel "other" ended by itself` {
		t.Errorf("after a subscription was lost: %v", err)
	}
	r.stop()
	_ = receive(t, "the end", r.ended)
	if err := r.Turning(t.Context()); err == nil {
		t.Error("a router that has stopped turns")
	}
}

// A router that drains is not stuck, however long its handlers take.
func TestTurningWhileItDrains(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	r := start(t, one(HandlerFunc(func(context.Context, *Event) error {
		close(begun)
		<-end
		return nil
	})), Options{})
	r.send(t, message0("1", "enter"))
	_ = receive(t, "the event", begun)
	r.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := r.Turning(ctx); err != nil {
		t.Error(err)
	}
	close(end)
	_ = receive(t, "the end", r.ended)
}

func TestTurningIsStuck(t *testing.T) {
	r, err := New(one(accepting), Options{Subscriber: func(Channel) (message.Subscriber, error) { return newCarrier(), nil }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := r.Turning(ctx); !errors.Is(err, context.DeadlineExceeded) { // nobody has called Run
		t.Errorf("got %v", err)
	}
}
