package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router/internal/batch"
	"signalbox/router/transport"
)

// store is a Dedupe in memory that may be away.
type store struct {
	transport.MemoryDedupe
	mu             sync.Mutex
	claims         int // round trips
	noClaim, noEnd error
}

func (s *store) away(claim, end error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noClaim, s.noEnd = claim, end
}

func (s *store) state() (noClaim, noEnd error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claims++
	return s.noClaim, s.noEnd
}

func (s *store) Claim(ctx context.Context, keys, tokens []string, lease time.Duration) (mine, done []bool, err error) {
	if err, _ := s.state(); err != nil {
		return nil, nil, err
	}
	return s.MemoryDedupe.Claim(ctx, keys, tokens, lease)
}

func (s *store) Done(ctx context.Context, keys []string, window time.Duration) error {
	if _, err := s.state(); err != nil {
		return err
	}
	return s.MemoryDedupe.Done(ctx, keys, window)
}

func (s *store) Release(ctx context.Context, keys, tokens []string) error {
	if _, err := s.state(); err != nil {
		return err
	}
	return s.MemoryDedupe.Release(ctx, keys, tokens)
}

// hold claims the key of an event of the route that `once` makes, as another process
// would that then says no more.
func (s *store) hold(t *testing.T, id string) {
	t.Helper()
	mine, _, err := s.Claim(t.Context(), []string{"bot:bot:in:h:" + id}, []string{"theirs"}, 40*time.Second)
	if err != nil || !mine[0] {
		t.Fatal(mine, err)
	}
}

// free reports whether somebody else could have an event now.
func (s *store) free(t *testing.T, id string) bool {
	t.Helper()
	key, token := []string{"bot:bot:in:h:" + id}, []string{"probe"}
	mine, _, err := s.MemoryDedupe.Claim(t.Context(), key, token, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if mine[0] {
		_ = s.MemoryDedupe.Release(t.Context(), key, token)
	}
	return mine[0]
}

// deduped is a route on a stream that handles each id once in ten minutes.
func deduped(p Policy, h Handler) Config {
	p.Dedupe.Window = 10 * time.Minute
	cfg := under(p, h)
	cfg.Service = "bot"
	cfg.Channels[0].Transport = Stream
	cfg.Channels[0].DeadLetter.Off = true
	return cfg
}

// bothWays runs a test with a handler and with a BatchHandler.
func bothWays(t *testing.T, test func(t *testing.T, handler func(*script) Handler)) {
	for name, handler := range map[string]func(*script) Handler{
		"handler": func(s *script) Handler { return s },
		"batch":   func(s *script) Handler { return scriptBatch{s} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, handler) })
		})
	}
}

// An event that was handled is a duplicate until the window ends; so is its like in the
// same batch.
func TestDedupe(t *testing.T) {
	bothWays(t, func(t *testing.T, handler func(*script) Handler) {
		h, seen, s := &script{}, &witness{}, &store{}
		r := start(t, deduped(Policy{}, handler(h)), Options{Dedupe: s, Observe: seen.observe})
		items := r.send(t, message0("1", "a"), message0("2", "a"), message0("1", "a"), message0("1", "b"))
		time.Sleep(10*time.Minute - time.Nanosecond)
		items = append(items, r.send(t, message0("2", "a"), message0("3", "a"))...)
		synctest.Wait()
		time.Sleep(2 * time.Second)
		items = append(items, r.send(t, message0("1", "a"))...)
		r.await(t, items)
		for id, want := range map[string]string{
			"1": "handled 1, duplicate 0, duplicate 0, handled 1", "2": "handled 1, duplicate 0", "3": "handled 1",
		} {
			if seen.of(id) != want {
				t.Errorf("%s: %s, want %s", id, seen.of(id), want)
			}
		}
		if err := seen.errOf("2"); !errors.Is(err, errHandledBefore) {
			t.Errorf("error %v", err)
		}
		r.counts(t, RouteStats{Handled: 4, Duplicates: 3})
		r.idle(t)
	})
}

// Each route remembers for itself, and so does each service and each group. A group is
// the service where nothing else is said.
func TestDedupeIsOfTheRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := &script{}, &store{}
		cfg := deduped(Policy{}, h)
		second := cfg.Routes[0]
		second.Name = "second"
		cfg.Routes = append(cfg.Routes, second)
		for _, change := range []func(*Config){
			func(*Config) {},
			func(c *Config) { c.Service, c.Channels[0].Group = "other", "bot" },
			func(c *Config) { c.Channels[0].Group = "other" },
			func(c *Config) { c.Channels[0].Group = "" }, // the same as before
		} {
			cfg.Channels = []Channel{cfg.Channels[0]}
			change(&cfg)
			r := start(t, cfg, Options{Dedupe: s})
			r.await(t, r.send(t, message0("1", "a")))
		}
		if h.got() != "1 1 1 1 1 1" {
			t.Errorf("calls %s", h.got())
		}
	})
}

// What somebody else has in progress waits on a stream: until it is done, or until the
// lease of who died ends. Events of other keys, and the rest of a batch, go on.
func TestDedupeWaitsForALease(t *testing.T) {
	bothWays(t, func(t *testing.T, handler func(*script) Handler) {
		h, seen, s := &script{}, &witness{}, &store{}
		r := start(t, deduped(Policy{Workers: 4}, handler(h)), Options{Dedupe: s, Observe: seen.observe})
		s.hold(t, "dead")
		s.hold(t, "slow")
		begin := time.Now()
		items := r.send(t, keyed("dead", "x", "a"), keyed("slow", "y", "a"), keyed("other", "z", "a"))
		time.Sleep(5 * time.Second)
		if seen.of("other") != "handled 1" || seen.of("dead") != "" || seen.of("slow") != "" {
			t.Errorf("%s, %s, %s", seen.of("other"), seen.of("dead"), seen.of("slow"))
		}
		if err := s.Done(t.Context(), []string{"bot:bot:in:h:slow"}, time.Minute); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if seen.of("slow") != "duplicate 0" {
			t.Errorf("what is done elsewhere: %s", seen.of("slow"))
		}
		time.Sleep(time.Minute)
		r.await(t, items)
		if waited := h.calls["dead"][0].Sub(begin); seen.of("dead") != "handled 1" || waited < 40*time.Second || waited > 42*time.Second {
			t.Errorf("what a dead process held: %s after %v", seen.of("dead"), waited)
		}
		lines := r.logs.lines(t, slog.LevelWarn, "the same event is in progress; this one waits")
		if len(lines) == 0 {
			t.Error("nothing says that an event waits")
		}
		r.counts(t, RouteStats{Handled: 2, Duplicates: 1})
	})
}

// Pub/Sub can't wait: what somebody else has in progress is a duplicate.
func TestDedupeOnPubSub(t *testing.T) {
	bothWays(t, func(t *testing.T, handler func(*script) Handler) {
		h, seen, s := &script{}, &witness{}, &store{}
		cfg := deduped(Policy{}, handler(h))
		cfg.Channels[0].Transport = PubSub
		r := start(t, cfg, Options{Dedupe: s, Observe: seen.observe})
		s.hold(t, "1")
		r.await(t, r.send(t, message0("1", "a"), message0("2", "a"), message0("2", "a")))
		if seen.of("1") != "duplicate 0" || !errors.Is(seen.errOf("1"), errInProgress) || seen.of("2") != "handled 1, duplicate 0" && seen.of("2") != "duplicate 0, handled 1" {
			t.Errorf("%s, %s", seen.of("1"), seen.of("2"))
		}
		r.counts(t, RouteStats{Handled: 1, Duplicates: 2})
	})
}

// By key, the key is what counts; without one the id, which no key can be taken for.
func TestDedupeByKey(t *testing.T) {
	bothWays(t, func(t *testing.T, handler func(*script) Handler) {
		seen := &witness{}
		cfg := deduped(Policy{}, handler(&script{}))
		cfg.Routes[0].Policy.Dedupe.By = DedupeByKey
		r := start(t, cfg, Options{Dedupe: &store{}, Observe: seen.observe})
		items := r.send(t, keyed("1", "x", "a"), keyed("2", "x", "a"), keyed("3", "y", "a"), keyed("x", "", "a"), keyed("4", "", "a"), keyed("5", "id:x", "a"))
		r.await(t, append(items, r.send(t, keyed("x", "", "a"))...))
		for id, want := range map[string]string{
			"1": "handled 1", "2": "duplicate 0", "3": "handled 1", "x": "handled 1, duplicate 0", "4": "handled 1", "5": "handled 1",
		} {
			if seen.of(id) != want {
				t.Errorf("%s: %s, want %s", id, seen.of(id), want)
			}
		}
	})
}

// What failed for good, was too old or was cut short by the end is not remembered: it
// may come again. While it waits for its next attempt it is held.
func TestDedupeForgetsWhatIsNotDone(t *testing.T) {
	refused := errors.New("refused")
	policy := Policy{MaxAge: time.Hour, Retry: Retry{Attempts: 2, Backoff: time.Minute, MaxBackoff: time.Minute}}
	for typ, want := range map[string]string{
		"failed":    "retried 1, failed 2, handled 1",
		"permanent": "failed 1, handled 1",
		"old":       "skipped 0, skipped 0",
		"away":      "retried 0, handled 1, duplicate 0",
	} {
		t.Run(typ, func(t *testing.T) {
			bothWays(t, func(t *testing.T, handler func(*script) Handler) {
				h := &script{verdicts: map[string][]error{
					"failed": {refused, refused}, "permanent": {Permanent(refused)}, "away": {Unavailable(refused, 30*time.Minute)},
				}}
				seen, s := &witness{}, &store{}
				r := start(t, deduped(policy, handler(h)), Options{Dedupe: s, Observe: seen.observe})
				item := func() []*batch.Item {
					at := time.Now()
					if typ == "old" {
						at = at.Add(-2 * time.Hour)
					}
					items := []*batch.Item{{Topic: "topic", Time: at, Payload: []byte(message0("1", typ)), Owner: r.carrier}}
					r.sendItems(t, items)
					return items
				}
				items := item()
				time.Sleep(10 * time.Second)
				if waits := strings.HasPrefix(want, "retried"); s.free(t, "1") == waits {
					t.Errorf("held is %v, want %v", !waits, waits)
				}
				time.Sleep(35 * time.Minute)
				r.await(t, items)
				r.await(t, item())
				if seen.of("1") != want {
					t.Errorf("%s, want %s", seen.of("1"), want)
				}
			})
		})
	}
}

// A handler that ends its goroutine or doesn't return has failed for good, too.
func TestDedupeForgetsWhatTookItsWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		h := HandlerFunc(func(_ context.Context, e *Event) error {
			switch e.Type {
			case "goexit":
				runtime.Goexit()
			case "deaf":
				<-release
			}
			return nil
		})
		seen, s := &witness{}, &store{}
		r := start(t, deduped(Policy{Timeout: time.Minute}, h), Options{Dedupe: s, Observe: seen.observe})
		r.await(t, r.send(t, message0("1", "goexit")))
		r.await(t, r.send(t, message0("1", "fine")))
		items := r.send(t, message0("2", "deaf"))
		time.Sleep(5 * time.Minute)
		r.await(t, items)
		r.await(t, r.send(t, message0("2", "fine")))
		close(release)
		if seen.of("1") != "failed 1, handled 1" || seen.of("2") != "failed 1, handled 1" {
			t.Errorf("%s and %s", seen.of("1"), seen.of("2"))
		}
	})
}

// A lease lasts as long as the attempt, though that be longer than any lease.
func TestDedupeRenews(t *testing.T) {
	for name, timeout := range map[string]time.Duration{"no timeout": -1, "a timeout": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := HandlerFunc(func(context.Context, *Event) error {
					time.Sleep(55 * time.Minute)
					return nil
				})
				seen, s := &witness{}, &store{}
				r := start(t, deduped(Policy{Timeout: timeout}, h), Options{Dedupe: s, Observe: seen.observe})
				items := r.send(t, message0("1", "a"))
				for range 54 {
					time.Sleep(time.Minute)
					if s.free(t, "1") {
						t.Fatal("the lease has ended during the attempt")
					}
				}
				time.Sleep(2 * time.Minute)
				r.await(t, items)
				claims := s.claims
				time.Sleep(8 * time.Minute) // the mark lasts for its window, not for a lease
				if s.free(t, "1") {
					t.Error("the mark is gone")
				}
				time.Sleep(2 * time.Minute)
				if !s.free(t, "1") {
					t.Error("the mark lasts for ever")
				}
				if s.claims != claims {
					t.Error("what is done is renewed")
				}
			})
		})
	}
}

// When a lease can't be renewed, or somebody else has it, a line says so; the event
// that is in hand is finished and marked all the same.
func TestDedupeLosesALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := HandlerFunc(func(context.Context, *Event) error {
			time.Sleep(2 * time.Minute)
			return nil
		})
		seen, s := &witness{}, &store{}
		r := start(t, deduped(Policy{Timeout: -1}, h), Options{Dedupe: s, Observe: seen.observe})
		items := r.send(t, message0("1", "a"))
		time.Sleep(time.Minute)
		s.away(errors.New("connection refused"), nil)
		time.Sleep(20 * time.Second)
		s.away(nil, nil)
		s.hold(t, "1")
		time.Sleep(5 * time.Second)
		for _, msg := range []string{"leases of events in hand could not be renewed; trying again", "leases of events in hand were lost; somebody else may handle the same events"} {
			if lines := r.logs.lines(t, slog.LevelWarn, msg); len(lines) == 0 || lines[0]["events"] != 1.0 || lines[0]["channel"] != "in" {
				t.Errorf("%s: %v", msg, lines)
			}
		}
		time.Sleep(time.Minute)
		r.await(t, append(items, r.send(t, message0("1", "a"))...))
		if seen.of("1") != "handled 1, duplicate 0" {
			t.Error(seen.of("1"))
		}
	})
}

// Without its store an event waits in its lane, as for a target that is away: it is
// neither lost nor run.
func TestDedupeWithoutItsStore(t *testing.T) {
	bothWays(t, func(t *testing.T, handler func(*script) Handler) {
		h, seen, s := &script{}, &witness{}, &store{}
		r := start(t, deduped(Policy{}, handler(h)), Options{Dedupe: s, Observe: seen.observe})
		s.away(errors.New("connection refused"), nil)
		items := r.send(t, message0("1", "a"), message0("2", "a"))
		time.Sleep(time.Minute)
		if h.got() != "" {
			t.Errorf("calls without a store: %s", h.got())
		}
		lines := r.logs.lines(t, slog.LevelWarn, "target is away; the event waits")
		if len(lines) == 0 || lines[0]["err"] != "dedupe: connection refused" {
			t.Errorf("logged %v", lines)
		}
		s.away(nil, nil)
		time.Sleep(2 * time.Second)
		r.await(t, items)
		if h.got() != "1 2" {
			t.Errorf("calls %s", h.got())
		}
		stats := r.Stats().Routes[0]
		if stats.Handled != 2 || stats.Retried == 0 || stats.Failed != 0 {
			t.Errorf("stats %+v", stats)
		}
	})
}

// An event whose mark can't be written was handled and is done; that is counted.
func TestDedupeCannotMark(t *testing.T) {
	bothWays(t, func(t *testing.T, handler func(*script) Handler) {
		h, seen, s := &script{}, &witness{}, &store{}
		r := start(t, deduped(Policy{}, handler(h)), Options{Dedupe: s, Observe: seen.observe})
		s.away(nil, errors.New("connection refused"))
		items := r.send(t, message0("1", "a"))
		time.Sleep(10 * time.Second)
		r.await(t, items)
		r.counts(t, RouteStats{Handled: 1, Unmarked: 1})
		lines := r.logs.lines(t, slog.LevelError, "")
		if len(lines) != 1 || !strings.HasPrefix(lines[0]["msg"].(string), "handled, but not marked as done") || lines[0]["events"] != 1.0 {
			t.Errorf("logged %v", lines)
		}
		s.away(nil, nil)
		items = r.send(t, message0("1", "a"))
		time.Sleep(time.Minute)
		r.await(t, items)
		if seen.of("1") != "handled 1, handled 1" {
			t.Errorf("after the lease: %s", seen.of("1"))
		}

		s.away(nil, errors.New("a moment")) // a short trouble is no trouble
		items = r.send(t, message0("2", "a"))
		time.Sleep(100 * time.Millisecond)
		s.away(nil, nil)
		r.await(t, append(items, r.send(t, message0("2", "a"))...))
		time.Sleep(time.Second)
		if seen.of("2") != "handled 1, duplicate 0" {
			t.Errorf("after a moment: %s", seen.of("2"))
		}
	})
}

// At the end of the drain what is unfinished is given back, so that a replica need not
// wait for the lease; but not while its handler still runs.
func TestDedupeDrain(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	h := HandlerFunc(func(ctx context.Context, e *Event) error {
		switch e.Type {
		case "away":
			return Unavailable(errors.New("away"), time.Hour)
		case "slow":
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
	synctest.Test(t, func(t *testing.T) {
		s, seen := &store{}, &witness{}
		r := start(t, deduped(Policy{Workers: 8}, h), Options{Dedupe: s, Observe: seen.observe, Drain: 5 * time.Second})
		s.hold(t, "theirs")
		open := r.send(t, keyed("1", "x", "away"), keyed("2", "y", "slow"), keyed("theirs", "z", "fine"), keyed("4", "x", "fine"))
		synctest.Wait()
		begin := time.Now()
		r.stop()
		if err := <-r.ended; err != nil || time.Since(begin) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		for _, id := range []string{"1", "2", "4"} {
			if !s.free(t, id) {
				t.Errorf("%s is not given back", id)
			}
		}
		if s.free(t, "theirs") {
			t.Error("somebody else's lease was given back")
		}
		for _, item := range open {
			if r.isDone(item) {
				t.Errorf("%s is done", item.Payload)
			}
		}
		r.counts(t, RouteStats{Retried: 1, Unfinished: 4})
	})
}

// While the store is away the drain ends in time.
func TestDedupeDrainWithoutItsStore(t *testing.T) {
	bothWays(t, func(t *testing.T, handler func(*script) Handler) {
		s := &store{}
		s.away(errors.New("connection refused"), errors.New("connection refused"))
		r := start(t, deduped(Policy{}, handler(&script{})), Options{Dedupe: s, Drain: 5 * time.Second})
		r.send(t, message0("1", "a"), message0("2", "a"))
		synctest.Wait()
		begin := time.Now()
		r.stop()
		if err := <-r.ended; err != nil || time.Since(begin) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		if got := r.Stats().Routes[0]; got.Unfinished != 2 || got.Handled != 0 {
			t.Errorf("stats %+v", got)
		}
	})
}

// An own event about a key is no event of that key, and needs no store.
func TestDedupePassesOwnEvents(t *testing.T) {
	bothWays(t, func(t *testing.T, handler func(*script) Handler) {
		seen, s := &witness{}, &store{}
		cfg := deduped(Policy{}, handler(&script{verdicts: map[string][]error{"bad": {Permanent(errors.New("no"))}}}))
		cfg.Routes[0].Types = []string{"*", TypeDead}
		cfg.Routes[0].Policy.Dedupe.By = DedupeByKey
		cfg.Channels[0].DeadLetter = DeadLetter{}
		r := start(t, cfg, Options{Dedupe: s, Observe: seen.observe, Publisher: func(Channel) (message.Publisher, error) { return discard{}, nil }})
		r.await(t, r.send(t, keyed("1", "x", "bad")))
		synctest.Wait()
		r.await(t, r.send(t, keyed("2", "x", "fine"), keyed("3", "x", "fine")))
		if seen.of("1") != "failed 1" || seen.of("2") != "handled 1" || seen.of("3") != "duplicate 0" {
			t.Errorf("%s, %s, %s", seen.of("1"), seen.of("2"), seen.of("3"))
		}
		r.counts(t, RouteStats{Handled: 2, Failed: 1, Dead: 1, Duplicates: 1})
	})
}

// discard is a publisher to nowhere.
type discard struct{}

func (discard) Publish(string, ...*message.Message) error { return nil }
func (discard) Close() error                              { return nil }

// A chunk costs a round trip to pass and one to be marked, however many it has.
func TestDedupeOfAChunkIsTwoRoundTrips(t *testing.T) {
	s := &store{}
	r := start(t, deduped(Policy{}, scriptBatch{&script{}}), Options{Dedupe: s})
	messages := make([]string, maxChunk)
	for i := range messages {
		messages[i] = message0(fmt.Sprint(i), "a")
	}
	r.await(t, r.send(t, messages...))
	if s.claims != 2 {
		t.Errorf("%d round trips for a chunk", s.claims)
	}
	r.counts(t, RouteStats{Handled: maxChunk})
}

// Ids are strangers' texts: none can look like another, or be long.
func TestDedupeKeys(t *testing.T) {
	long := strings.Repeat("x", maxKeyID+1)
	seen := map[string]string{}
	for _, tc := range []struct {
		event Event
		by    DedupeBy
	}{
		{Event{ID: "1"}, ""},
		{Event{ID: "a:b"}, ""},
		{Event{ID: "a%3Ab"}, ""},
		{Event{ID: long}, ""},
		{Event{ID: long + "x"}, ""},
		{Event{ID: dedupeKey(&Event{ID: long}, "")}, ""},
		{Event{ID: "id:2"}, ""},
		{Event{ID: "3", Key: "id:1"}, DedupeByKey},
		{Event{ID: "3", Key: "2"}, DedupeByKey},
		{Event{ID: "2", Key: ""}, DedupeByKey},
		{Event{ID: long + "y", Key: ""}, DedupeByKey},
		{Event{ID: "2", Key: long + "z"}, DedupeByKey},
	} {
		key := dedupeKey(&tc.event, tc.by)
		name := fmt.Sprintf("%.20s %.20s %s", tc.event.ID, tc.event.Key, tc.by)
		if len(key) > maxKeyID {
			t.Errorf("%s: %d bytes", name, len(key))
		}
		if other, taken := seen[string(tc.by)+key]; taken {
			t.Errorf("%s and %s are both %s", name, other, key)
		}
		seen[string(tc.by)+key] = name
	}
	if a, b := dedupePrefix("a:b", "c"), dedupePrefix("a", "b:c"); a == b || dedupePrefix("a%3Ab") == dedupePrefix("a:b") || dedupePrefix("a", "b") != "a:b:" {
		t.Errorf("prefixes %s and %s", a, b)
	}
}

func TestDedupeErrors(t *testing.T) {
	for want, policy := range map[string]DedupePolicy{
		`route "h": its policy says Dedupe, and Options.Dedupe is missing`: {Window: time.Second},
		`dedupe by "name": want "id" or "key"`:                             {Window: time.Second, By: "name"},
		"dedupe: the window -1s is negative":                               {Window: -time.Second},
	} {
		_, err := New(under(Policy{Dedupe: policy}, accepting), Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %s", policy, err, want)
		}
	}
}
