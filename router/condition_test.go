package router

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// even, failing and panicking look at the event's id and type.

func even(e *Event) (bool, error) { return strings.ContainsAny(e.ID[len(e.ID)-1:], "02468"), nil }

func failing(e *Event) (bool, error) {
	if e.Type == "bad" {
		return true, errors.New("data.p is a string")
	}
	return true, nil
}

func panicking(e *Event) (bool, error) {
	if e.Type == "boom" {
		panic("boom")
	}
	return true, nil
}

// TestConditions asks conditions that are false, fail and panic: siblings run, each
// event is done, and each is counted once on each route.
func TestConditions(t *testing.T) {
	all, evens, fails, panics := &recorder{}, &recorder{}, &recorder{}, &recorder{}
	var mu sync.Mutex
	outcomes := map[string]int{}
	r := start(t, Config{
		Channels: []Channel{{Name: "in"}},
		Handlers: handlers(map[string]Handler{"all": all, "evens": evens, "fails": fails, "panics": panics}),
		Routes: []Route{
			{Channel: "in", Types: []string{"*"}, Handler: "fails", When: failing},
			{Channel: "in", Types: []string{"*"}, Handler: "panics", When: panicking},
			{Channel: "in", Types: []string{"*"}, Handler: "evens", When: even},
			{Channel: "in", Types: []string{"*"}, Handler: "all"},
		},
	}, Options{Observe: func(o Outcome) {
		mu.Lock()
		defer mu.Unlock()
		outcomes[o.Route+" "+string(o.Result)]++
		if o.Event == nil || o.Channel != "in" || o.Handler != o.Route || (o.Result == Failed) != (o.Err != nil) || o.Attempt != 0 && o.Result != Handled {
			t.Errorf("outcome %+v", o)
		}
	}})
	r.await(t, r.send(t, message0("1", "fine"), message0("2", "bad"), message0("3", "boom"), message0("4", "bad"), message0("5", "fine")))
	for _, c := range []struct {
		recorder *recorder
		want     string
	}{{all, "1 2 3 4 5"}, {evens, "2 4"}, {fails, "1 3 5"}, {panics, "1 2 4 5"}} {
		if got := c.recorder.got(); got != c.want {
			t.Errorf("a handler got %s, want %s", got, c.want)
		}
	}
	stats := r.Stats()
	for i, want := range []RouteStats{{Handled: 3, Failed: 2}, {Handled: 4, Failed: 1}, {Handled: 2, Filtered: 3}, {Handled: 5}} {
		if s := stats.Routes[i]; s.Handled != want.Handled || s.Failed != want.Failed || s.Filtered != want.Filtered {
			t.Errorf("stats %+v, want %+v", s, want)
		}
	}
	if ch := stats.Channels["in"]; ch.Received != 5 || ch.Unmatched != 0 {
		t.Errorf("channel %+v", ch)
	}
	if failed := r.logs.lines(t, slog.LevelError, "condition failed"); len(failed) < 2 {
		t.Errorf("lines %v", failed)
	} else if one := failed[0]; one["channel"] != "in" || one["route"] != "fails" || one["type"] != "bad" || one["id"] != "2" || one["err"] != "data.p is a string" {
		t.Errorf("line %v", one)
	} else if failed[1]["err"] != "panic: boom" || failed[1]["route"] != "panics" {
		t.Errorf("line %v", failed[1])
	}
	mu.Lock()
	defer mu.Unlock()
	if outcomes["evens filtered"] != 3 || outcomes["evens handled"] != 2 || outcomes["fails failed"] != 2 || outcomes["panics failed"] != 1 {
		t.Errorf("outcomes %v", outcomes)
	}
}

// An event of which every condition is false is done, and neither unmatched nor logged.
func TestEveryConditionFalse(t *testing.T) {
	cfg := one(accepting)
	cfg.Routes[0].When = func(*Event) (bool, error) { return false, nil }
	cfg.Routes[0].Policy.Workers = 4
	r := start(t, cfg, Options{})
	r.await(t, r.send(t, message0("1", "a"), message0("2", "a"), `{`, `{"type":"signalbox.x"}`))
	s := r.Stats()
	if s.Routes[0].Filtered != 2 || s.Routes[0].Handled != 0 || s.Channels["in"].Unmatched != 1 || s.Channels["in"].Received != 4 {
		t.Errorf("stats %+v", s)
	}
	for _, line := range r.logs.lines(t, slog.LevelDebug, "") {
		if line["id"] != nil && line["type"] == "a" {
			t.Errorf("line %v", line)
		}
	}
}

// An event is asked about once, however often it is tried.
func TestConditionIsAskedOnce(t *testing.T) {
	cfg := one(HandlerFunc(misbehave))
	asked := 0 // by the reading goroutine only
	cfg.Routes[0].When = func(*Event) (bool, error) { asked++; return true, nil }
	cfg.Routes[0].Policy.Retry = Retry{Attempts: 3, Backoff: 1}
	r := start(t, cfg, Options{})
	r.await(t, r.send(t, message0("1", "error")))
	if s := r.Stats().Routes[0]; s.Failed != 1 || s.Retried != 2 || asked != 1 {
		t.Errorf("asked %d times, stats %+v", asked, s)
	}
}
