package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/router/internal/batch"
)

// under is a configuration with the channel "in", whose messages have a key, and a
// route to h for every type, with a policy.
func under(p Policy, h Handler) Config {
	cfg := one(h)
	cfg.Channels[0].Fields.Key = "key"
	cfg.Routes[0].Policy = p
	return cfg
}

// keyed is a message with a key.
func keyed(id, key, typ string) string {
	return fmt.Sprintf(`{"id":%q,"key":%q,"type":%q}`, id, key, typ)
}

// witness remembers what became of each event of the first route.
type witness struct {
	mu       sync.Mutex
	outcomes []Outcome
}

func (w *witness) observe(o Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.outcomes = append(w.outcomes, o)
}

// of returns the outcomes of the event with this id, as "retried 1, handled 2".
func (w *witness) of(id string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var of []string
	for _, o := range w.outcomes {
		if o.Event.ID == id {
			of = append(of, fmt.Sprint(o.Result, " ", o.Attempt))
		}
	}
	return strings.Join(of, ", ")
}

// errOf returns the error of the last outcome of the event with this id.
func (w *witness) errOf(id string) (err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range w.outcomes {
		if o.Event.ID == id {
			err = o.Err
		}
	}
	return err
}

// counts checks the counters of the first route.
func (r *running) counts(t testing.TB, want RouteStats) {
	t.Helper()
	got := r.Stats().Routes[0]
	want.Channel, want.Route, want.Handler = got.Channel, got.Route, got.Handler
	if got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
}

// idle checks that the first route has nothing left in its lanes.
func (r *running) idle(t testing.TB) {
	t.Helper()
	l := r.routes[0].lanes
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.active != 0 || len(l.ready) != 0 || len(l.byKey) != 0 || l.only != nil && (l.only.taken || len(l.only.queue) > 0) {
		t.Errorf("the lanes are not idle: %d active, %d ready, %d by key, only %+v", l.active, len(l.ready), len(l.byKey), l.only)
	}
}

// script is a handler that answers an event's n-th call with the n-th verdict of its
// type's list; nil after the last. It notes when it was called.
type script struct {
	verdicts map[string][]error
	mu       sync.Mutex
	calls    map[string][]time.Time // by id
	order    []string
}

func (s *script) Handle(_ context.Context, e *Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls == nil {
		s.calls = map[string][]time.Time{}
	}
	n := len(s.calls[e.ID])
	s.calls[e.ID] = append(s.calls[e.ID], time.Now())
	s.order = append(s.order, e.ID)
	if list := s.verdicts[e.Type]; n < len(list) {
		return list[n]
	}
	return nil
}

// scriptBatch is script as a BatchHandler.
type scriptBatch struct{ *script }

func (s scriptBatch) HandleBatch(ctx context.Context, events []*Event) []error {
	verdicts := make([]error, len(events))
	for i, e := range events {
		verdicts[i] = s.Handle(ctx, e)
	}
	return verdicts
}

// pauses returns how long each pause between the calls for an event was.
func (s *script) pauses(id string) []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var pauses []time.Duration
	for i, at := range s.calls[id] {
		if i > 0 {
			pauses = append(pauses, at.Sub(s.calls[id][i-1]))
		}
	}
	return pauses
}

func (s *script) got() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.order, " ")
}

func TestPolicyDefaults(t *testing.T) {
	once := Retry{1, 200 * time.Millisecond, 30 * time.Second}
	for _, tc := range []struct{ policy, want Policy }{
		{Policy{}, Policy{Timeout: 30 * time.Second, Retry: once, Workers: 1}},
		{
			Policy{Timeout: -1, Retry: Retry{7, time.Minute, time.Second}, MaxAge: time.Hour, Workers: 64},
			Policy{Timeout: -1, Retry: Retry{7, time.Minute, time.Minute}, MaxAge: time.Hour, Workers: 64},
		},
		{Policy{Timeout: 1}, Policy{Timeout: 1, Retry: once, Workers: 1}},
	} {
		cfg := under(tc.policy, accepting)
		r := start(t, cfg, Options{})
		if got := r.routes[0].Policy; got != tc.want {
			t.Errorf("%+v became %+v, want %+v", tc.policy, got, tc.want)
		}
		if cfg.Routes[0].Policy != tc.policy {
			t.Error("the caller's policy was changed")
		}
	}
}

func TestPolicyErrors(t *testing.T) {
	for want, policy := range map[string]Policy{
		"retry: -1 attempts":              {Retry: Retry{Attempts: -1}},
		"retry: a negative pause: -1ns, ": {Retry: Retry{Backoff: -1}},
		"0s, -1s":                         {Retry: Retry{MaxBackoff: -time.Second}},
		"max age -1m0s is negative":       {MaxAge: -time.Minute},
		"-2 workers":                      {Workers: -2},
	} {
		_, err := New(under(policy, accepting), Options{})
		if err == nil || !strings.Contains(err.Error(), `route "h": `) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want route \"h\" and %s", policy, err, want)
		}
	}
}

// Pauses double up to the cap, each between half and one and a half of that, whatever
// the numbers.
func TestPauses(t *testing.T) {
	const day = 24 * time.Hour
	for _, r := range []Retry{
		{0, 200 * time.Millisecond, 30 * time.Second},
		{0, time.Nanosecond, time.Hour},
		{0, 30 * time.Second, 7 * day},
		{0, 45 * time.Minute, 300 * day},
		{0, time.Hour, time.Hour},
		{0, 1, 1},
		{0, 1, math.MaxInt64 / 2},
		{0, math.MaxInt64 / 3, math.MaxInt64 / 2},
	} {
		want := float64(r.Backoff)
		for failures := range 200 {
			least, most := float64(r.MaxBackoff), 0.0
			for range 100 {
				got := float64(r.pause(failures))
				least, most = min(least, got), max(most, got)
			}
			if least < want/2-1 || most >= want*1.5+1 {
				t.Fatalf("%+v after %d failures: pauses from %v to %v, want around %v", r, failures, time.Duration(least), time.Duration(most), time.Duration(want))
			}
			if want > 1000 && (least > want*0.8 || most < want*1.2) {
				t.Fatalf("%+v after %d failures: pauses only from %v to %v", r, failures, time.Duration(least), time.Duration(most))
			}
			want = min(2*want, float64(r.MaxBackoff))
		}
	}
}

// An event is tried as often as the policy says, with growing pauses, while the lane's
// others wait; each attempt is told and logged.
func TestRetry(t *testing.T) {
	again := func(n int) (list []error) {
		for i := range n {
			list = append(list, fmt.Errorf("refused %d", i+1))
		}
		return list
	}
	verdicts := map[string][]error{
		"once": again(1), "all": again(9), "enough": again(3),
		"permanent": {Permanent(errors.New("never"))}, "then permanent": {errors.New("first"), Permanent(errors.New("never"))},
	}
	policy := Policy{Retry: Retry{Attempts: 4, Backoff: time.Second, MaxBackoff: 2 * time.Second}}
	for typ, want := range map[string]struct {
		outcomes string
		stats    RouteStats
	}{
		"fine":           {"handled 1", RouteStats{Handled: 2}},
		"once":           {"retried 1, handled 2", RouteStats{Handled: 2, Retried: 1}},
		"enough":         {"retried 1, retried 2, retried 3, handled 4", RouteStats{Handled: 2, Retried: 3}},
		"all":            {"retried 1, retried 2, retried 3, failed 4", RouteStats{Handled: 1, Failed: 1, Retried: 3}},
		"permanent":      {"failed 1", RouteStats{Handled: 1, Failed: 1}},
		"then permanent": {"retried 1, failed 2", RouteStats{Handled: 1, Failed: 1, Retried: 1}},
	} {
		for name, handler := range map[string]func(*script) Handler{
			"handler": func(s *script) Handler { return s },
			"batch":   func(s *script) Handler { return scriptBatch{s} },
		} {
			t.Run(typ+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h, seen := &script{verdicts: verdicts}, &witness{}
					r := start(t, under(policy, handler(h)), Options{Observe: seen.observe})
					first := r.send(t, message0("1", typ))
					synctest.Wait()
					second := r.send(t, message0("2", "fine"))
					time.Sleep(time.Minute)
					r.await(t, append(first, second...))
					calls := strings.Count(want.outcomes, ",") + 1
					if seen.of("1") != want.outcomes || seen.of("2") != "handled 1" {
						t.Errorf("outcomes %s and %s, want %s", seen.of("1"), seen.of("2"), want.outcomes)
					}
					if h.got() != strings.Repeat("1 ", calls)+"2" {
						t.Errorf("calls %s: the lane did not wait", h.got())
					}
					r.counts(t, want.stats)
					r.idle(t)
					for i, pause := range h.pauses("1") {
						usual := min(time.Second<<i, 2*time.Second)
						if pause < usual/2 || pause >= usual*3/2 {
							t.Errorf("pause %d is %v, want about %v", i+1, pause, usual)
						}
					}
					checkRetryLines(t, r.logs, calls, want.stats.Failed > 0)
				})
			})
		}
	}
}

// checkRetryLines checks a line for each of an event's calls that went wrong.
func checkRetryLines(t *testing.T, lines *logs, calls int, failed bool) {
	t.Helper()
	warned := lines.lines(t, slog.LevelWarn, "attempt failed")
	if len(warned) != calls-1 {
		t.Errorf("%d lines for %d calls: %v", len(warned), calls, warned)
	}
	for i, line := range warned {
		again, _ := line["again_in"].(float64)
		if line["level"] != "WARN" || line["attempt"] != float64(i+1) || line["attempts"] != 4.0 || line["id"] != "1" ||
			line["route"] != "h" || line["channel"] != "in" || again < float64(time.Second)/2 || line["err"] == nil {
			t.Errorf("line %v", line)
		}
	}
	errs := lines.lines(t, slog.LevelError, "")
	if (len(errs) == 1) != failed {
		t.Fatalf("errors %v", errs)
	}
	if failed && (errs[0]["msg"] != "handler failed" || errs[0]["attempt"] != float64(calls) || errs[0]["id"] != "1") {
		t.Errorf("line %v", errs[0])
	}
}

// A panic is an attempt that failed like any other; runtime.Goexit is final, because
// whoever calls it means to end.
func TestRetryAfterPanicAndGoexit(t *testing.T) {
	policy := Policy{Retry: Retry{Attempts: 3, Backoff: time.Second}}
	for typ, want := range map[string]string{"panic": "retried 1, retried 2, failed 3", "goexit": "failed 1", "nil-map": "retried 1, retried 2, failed 3"} {
		for name, h := range map[string]Handler{
			"handler": HandlerFunc(misbehave),
			"batch": batcher{batch: func(ctx context.Context, events []*Event) []error {
				return []error{misbehave(ctx, events[0])}
			}},
		} {
			t.Run(typ+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					seen := &witness{}
					r := start(t, under(policy, h), Options{Observe: seen.observe})
					items := r.send(t, message0("1", typ))
					synctest.Wait()
					items = append(items, r.send(t, message0("2", "fine"))...)
					time.Sleep(time.Minute)
					r.await(t, items)
					if seen.of("1") != want || seen.of("2") != "handled 1" {
						t.Errorf("outcomes %s and %s, want %s", seen.of("1"), seen.of("2"), want)
					}
					r.idle(t)
				})
			})
		}
	}
}

// While a target is away its events wait, for as long as it takes, without using
// attempts and in order.
func TestUnavailable(t *testing.T) {
	for name, after := range map[string]time.Duration{"says nothing": 0, "a minute": time.Minute, "less than the pause": time.Millisecond, "nonsense": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				away := Unavailable(errors.New("gone fishing"), after)
				list := make([]error, 0, 302)
				for range 300 {
					list = append(list, fmt.Errorf("wrapped: %w", away))
				}
				list = append(list, errors.New("refused"))
				h, seen := &script{verdicts: map[string][]error{"away": list}}, &witness{}
				r := start(t, under(Policy{Retry: Retry{Attempts: 2, Backoff: time.Second, MaxBackoff: 10 * time.Second}}, h), Options{Observe: seen.observe})
				items := r.send(t, message0("1", "away"), message0("2", "fine"))
				time.Sleep(24 * time.Hour)
				r.await(t, items)
				want := strings.Repeat("retried 0, ", 300) + "retried 1, handled 2"
				if seen.of("1") != want {
					t.Errorf("outcomes %s", seen.of("1"))
				}
				r.counts(t, RouteStats{Handled: 2, Retried: 301})
				if h.got() != strings.Repeat("1 ", 302)+"2" {
					t.Error("the next event did not wait")
				}
				for i, pause := range h.pauses("1")[:300] {
					usual := min(time.Second<<min(i, 10), 10*time.Second)
					if pause < max(usual/2, after) || pause >= max(usual*3/2, after+1) {
						t.Fatalf("pause %d is %v, want max(%v, about %v)", i, pause, after, usual)
					}
				}
				if lines := r.logs.lines(t, slog.LevelError, ""); len(lines) != 0 {
					t.Errorf("logged %v", lines)
				}
				lines := r.logs.lines(t, slog.LevelWarn, "target is away; the event waits")
				if len(lines) == 0 || lines[0]["id"] != "1" || lines[0]["again_in"] == nil || lines[0]["attempt"] != nil {
					t.Errorf("logged %v", lines)
				}
			})
		})
	}
}

// Of a batch only the events that failed are tried again; the others are done
// meanwhile.
func TestRetryOfAMixedBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused, away := errors.New("refused"), Unavailable(errors.New("away"), time.Minute)
		h := &script{verdicts: map[string][]error{
			"refused": {refused, refused}, "away": {away, away}, "permanent": {Permanent(refused)}, "once": {refused},
		}}
		seen := &witness{}
		var sizes []int
		b := batcher{batch: func(ctx context.Context, events []*Event) []error {
			sizes = append(sizes, len(events))
			return scriptBatch{h}.HandleBatch(ctx, events)
		}}
		r := start(t, under(Policy{Retry: Retry{Attempts: 2, Backoff: time.Second}}, b), Options{Observe: seen.observe})
		items := r.send(t, message0("1", "fine"), message0("2", "refused"), message0("3", "fine"), message0("4", "away"),
			message0("5", "permanent"), message0("6", "once"))
		synctest.Wait()
		rest := r.send(t, message0("7", "fine"))
		synctest.Wait()
		for i, item := range items {
			if done := i == 0 || i == 2 || i == 4; r.isDone(item) != done {
				t.Errorf("event %d: done %v, want %v", i+1, r.isDone(item), done)
			}
		}
		if r.isDone(rest[0]) {
			t.Error("the next event did not wait")
		}
		time.Sleep(time.Hour)
		r.await(t, append(items, rest...))
		for id, want := range map[string]string{
			"1": "handled 1", "2": "retried 1, failed 2", "3": "handled 1", "4": "retried 0, retried 0, handled 1", "5": "failed 1",
			"6": "retried 1, handled 2", "7": "handled 1",
		} {
			if seen.of(id) != want {
				t.Errorf("event %s: %s, want %s", id, seen.of(id), want)
			}
		}
		if fmt.Sprint(sizes) != "[6 3 1 1]" {
			t.Errorf("sizes %v", sizes)
		}
		r.counts(t, RouteStats{Handled: 5, Failed: 2, Retried: 4})
	})
}

// At the limit of the drain an event that waits for its next attempt is unfinished:
// neither done nor failed nor an error.
func TestDrainEndsARetry(t *testing.T) {
	for name, verdict := range map[string]error{"failed": errors.New("refused"), "away": Unavailable(errors.New("away"), time.Hour)} {
		for kind, handler := range map[string]func(*script) Handler{
			"handler": func(s *script) Handler { return s },
			"batch":   func(s *script) Handler { return scriptBatch{s} },
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h, seen := &script{verdicts: map[string][]error{"bad": {verdict, verdict}}}, &witness{}
					policy := Policy{Retry: Retry{Attempts: 3, Backoff: time.Hour, MaxBackoff: time.Hour}}
					r := start(t, under(policy, handler(h)), Options{Observe: seen.observe, Drain: 5 * time.Second})
					done := r.send(t, message0("0", "fine"), message0("00", "fine"))
					synctest.Wait()
					open := r.send(t, message0("1", "bad"))
					synctest.Wait()
					open = append(open, r.send(t, message0("2", "fine"), message0("3", "fine"))...)
					begin := time.Now()
					r.stop()
					if err := <-r.ended; err != nil {
						t.Error(err)
					}
					if took := time.Since(begin); took != 5*time.Second {
						t.Errorf("the drain took %v", took)
					}
					r.await(t, done)
					for _, item := range open {
						if r.isDone(item) {
							t.Errorf("%s is done", item.Payload)
						}
					}
					r.counts(t, RouteStats{Handled: 2, Retried: 1, Unfinished: 3})
					r.idle(t)
					if h.got() != "0 00 1" {
						t.Errorf("calls %s", h.got())
					}
					if seen.of("2") != "unfinished 0" || !strings.HasSuffix(seen.of("1"), ", unfinished 1") && !strings.HasSuffix(seen.of("1"), ", unfinished 0") {
						t.Errorf("outcomes %s and %s", seen.of("1"), seen.of("2"))
					}
					if lines := r.logs.lines(t, slog.LevelError, ""); len(lines) > 0 {
						t.Errorf("logged %v", lines)
					}
				})
			})
		}
	}
}

// An event is too old at the beginning of any attempt, not only the first.
func TestMaxAge(t *testing.T) {
	for name, handler := range map[string]func(*script) Handler{
		"handler": func(s *script) Handler { return s },
		"batch":   func(s *script) Handler { return scriptBatch{s} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				refused := errors.New("refused")
				h, seen := &script{verdicts: map[string][]error{"bad": {refused, refused}}}, &witness{}
				policy := Policy{MaxAge: time.Minute, Retry: Retry{Attempts: 9, Backoff: 40 * time.Second, MaxBackoff: 40 * time.Second}}
				r := start(t, under(policy, handler(h)), Options{Observe: seen.observe})
				now := time.Now()
				item := func(id, typ string, at time.Time) *batch.Item {
					return &batch.Item{Topic: "topic", Time: at, Payload: []byte(message0(id, typ)), Owner: r.carrier}
				}
				items := []*batch.Item{
					item("just", "fine", now.Add(-time.Minute)),
					item("old", "fine", now.Add(-time.Minute-1)),
					item("ancient", "fine", time.Time{}),
					item("future", "fine", now.Add(1000*time.Hour)),
					item("aged", "bad", now.Add(-50*time.Second)), // old after the first pause, of at least 20 s
					item("new", "bad", now.Add(time.Hour)),        // not old after two pauses
				}
				r.sendItems(t, items)
				time.Sleep(time.Hour)
				r.await(t, items)
				for id, want := range map[string]string{
					"just": "handled 1", "old": "skipped 0", "ancient": "skipped 0", "future": "handled 1", "aged": "retried 1, skipped 1",
					"new": "retried 1, retried 2, handled 3",
				} {
					if seen.of(id) != want {
						t.Errorf("%s: %s, want %s", id, seen.of(id), want)
					}
				}
				if err := seen.errOf("old"); err == nil || !strings.Contains(err.Error(), "max age 1m0s") {
					t.Errorf("error %v", err)
				}
				r.counts(t, RouteStats{Handled: 3, Skipped: 3, Retried: 3})
				r.idle(t)
			})
		})
	}
}

// Without a max age nothing is too old. An event's own time counts, not its arrival.
func TestMaxAgeIsOfTheEventsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the time is 2000-01-01
		h, seen := &script{}, &witness{}
		cfg := under(Policy{}, h)
		cfg.Routes = append(cfg.Routes, Route{Name: "fresh", Channel: "in", Types: []string{"*"}, Handler: "h", Policy: Policy{MaxAge: time.Hour}})
		r := start(t, cfg, Options{Observe: seen.observe})
		r.await(t, r.send(t, `{"id":"1","type":"a","time":"1970-01-01T00:00:00Z"}`))
		s := r.Stats().Routes
		if s[0].Handled != 1 || s[1].Handled != 0 || s[1].Skipped != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

// Ages are told by Options.Now: by that clock events that have no time of their own arrive,
// and by it they are too old, whatever the clock of this machine says.
func TestMaxAgeByASharedClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, seen := &script{}, &witness{}
		shared := func() time.Time { return time.Now().Add(-time.Hour) }
		r := start(t, under(Policy{MaxAge: time.Minute}, h), Options{Observe: seen.observe, Now: shared})
		at := func(ago time.Duration) string { return shared().Add(-ago).Format(time.RFC3339Nano) }
		r.await(t, r.send(t,
			fmt.Sprintf(`{"id":"new","type":"a","time":%q}`, at(30*time.Second)),
			fmt.Sprintf(`{"id":"old","type":"a","time":%q}`, at(2*time.Minute)),
		))
		for id, want := range map[string]string{"new": "handled 1", "old": "skipped 0"} {
			if seen.of(id) != want {
				t.Errorf("%s: %s, want %s", id, seen.of(id), want)
			}
		}
	})
}
