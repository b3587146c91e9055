package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/router"
)

// live is how many bytes are in use.
func live() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A key is a small part of a message: to remember it must not keep the message. Feeds of order
// books begin with a large one for each symbol.
func TestRemembersNoMessages(t *testing.T) { //nolint:paralleltest // it measures the heap
	const messages, size = 400, 64 << 10
	for _, c := range []struct {
		name      string
		raw, away bool
	}{{"followed", false, false}, {"raw", true, false}, {"waiting", false, true}, {"raw and waiting", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			w, done, over := newWorld(), make(chan struct{}), make(chan struct{})
			if c.away {
				w.failing = errors.New("redis is away")
			}
			cfg := configOf(func(_ context.Context, to router.Sink) error {
				pad := strings.Repeat("x", size)
				for i := range messages {
					to.Emit(fmt.Appendf(nil, `[{"type":"t","S":"K%d","q":1},{"x":%q}]`, i, pad))
					if !c.away && i%10 == 9 {
						time.Sleep(5 * time.Millisecond) // published meanwhile
					}
				}
				close(done)
				<-over
				return nil
			})
			spec := &cfg.Sources[0]
			spec.Fields = router.Fields{Key: "S", Split: "."}
			spec.Sequence = &router.Sequence{Path: "q", PerKey: true}
			if spec.Raw = c.raw; c.raw {
				cfg.Channels[0].Fields.Key = "S"
			} else if c.away { // then the key by which what waits is replaced is that of the source
				cfg.Channels[0].Fields.Key = ""
			}
			before := live()
			_, stop := begin(t, w, cfg)
			<-done
			if grown := live() - before; int64(grown) > 8<<20 { //nolint:gosec // a size
				t.Errorf("%d MiB are in use after %d messages of 64 KiB with a key each", grown>>20, messages)
			}
			close(over)
			w.mu.Lock()
			w.failing = nil
			w.mu.Unlock()
			stop()
		})
	}
}

// Each element of an array that is no event is counted, and one of each cause is logged.
func TestRejectsElements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		w := newWorld()
		cfg := configOf(func(ctx context.Context, to router.Sink) error {
			to.Emit([]byte(`[` + strings.Repeat(`{"S":"A"},5,`, 1000) + `{"T":"t"}]`))
			<-ctx.Done()
			return nil
		})
		cfg.Sources[0].Fields = router.Fields{Type: "T", Split: "."}
		s, err := New(cfg, Options{Acquire: w.acquire, Logger: slog.New(slog.NewTextHandler(&out, nil))})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.Run(ctx)
		}()
		settle(time.Second)
		stats := s.Stats()[0]
		cancel()
		<-ended
		if stats.Rejected[router.CauseNoType] != 1000 || stats.Rejected[router.CauseNotObject] != 1000 || stats.Received != 1 {
			t.Errorf("%+v", stats)
		}
		if n := strings.Count(out.String(), "is no event"); n != 2 || out.Len() > 2000 || !strings.Contains(out.String(), "events=1000") {
			t.Errorf("%d lines, %d bytes:\n%.2000s", n, out.Len(), out.String())
		}
	})
}

// Of very many keys, or absurd ones, the memory is bounded.
func TestStampsAreBounded(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := newStamps(slog.New(slog.NewTextHandler(&out, nil)))
	for i := range maxKeys {
		s.next(fmt.Sprint("K", i))
	}
	if s.next("one more") != 0 || s.next("K1") != 2 || newStamps(slog.New(slog.DiscardHandler)).next(strings.Repeat("x", maxKeyBytes+1)) != 0 {
		t.Error("keys are followed without a limit, or those that were are not any more")
	}
	s.next("another one")
	if n := strings.Count(out.String(), "too many keys"); n != 1 {
		t.Errorf("it is told %d times", n)
	}
}

// Numbers that cannot be counts of messages are no gap.
func TestAbsurdNumbers(t *testing.T) {
	t.Parallel()
	const most = 1<<63 - 1
	for _, c := range []struct {
		numbers []any
		step    int64
		missing uint64
	}{
		{[]any{1, 5}, 1, 3},
		{[]any{1, 2}, 1, 0},
		{[]any{10, 30}, 10, 1},
		{[]any{10, 40}, 10, 2},
		{[]any{10, 25}, 10, 1},
		{[]any{0, 2}, 1, 1},
		{[]any{5, 3}, 1, 0},
		{[]any{2, int64(most)}, 1, 0},
		{[]any{int64(-most), int64(most)}, 1, 0},
		{[]any{int64(most), int64(-most)}, 1, 0},
		{[]any{int64(most - 1), int64(most)}, 10, 0},
		{[]any{int64(most), 1}, 1, 0},
		{[]any{-5, 5}, 1, 0},
		{[]any{1, 1 + maxMissing + 1}, 1, maxMissing},
		{[]any{1, 1 + maxMissing + 2}, 1, 0},
	} {
		s := newSequence(&router.Sequence{Path: "q", Step: c.step})
		var missing uint64
		for _, n := range c.numbers {
			missing = s.next("", fmt.Appendf(nil, `{"q":%d}`, n)).missing
		}
		if missing != c.missing {
			t.Errorf("%v, step %d: %d missing, want %d", c.numbers, c.step, missing, c.missing)
		}
	}
}

// A message that comes again is no gap, also where it says which one came before it.
func TestAgainWithPrevious(t *testing.T) {
	t.Parallel()
	s := newSequence(&router.Sequence{Path: "n", Previous: "p"})
	for i, c := range []struct {
		message string
		want    verdict
	}{
		{`{"n":5,"p":4}`, verdict{}},
		{`{"n":9,"p":5}`, verdict{}},
		{`{"n":9,"p":5}`, verdict{again: true}},
		{`{"n":12,"p":9}`, verdict{}},
		{`{"n":15,"p":14}`, verdict{missing: 1, after: 12}},
	} {
		if got := s.next("", []byte(c.message)); got != c.want {
			t.Errorf("%d: %s: %+v, want %+v", i, c.message, got, c.want)
		}
	}
}

// stubborn is a source that ends its session long after it was asked to.
func stubborn(after time.Duration, open *atomic.Int64) router.SourceFunc {
	return func(ctx context.Context, to router.Sink) error {
		if open.Add(1) > 1 {
			panic("two sessions are open")
		}
		defer open.Add(-1)
		to.Opened("")
		<-ctx.Done()
		to.Emit(tick(1, "late"))
		time.Sleep(after)
		to.Emit(tick(2, "later"))
		return nil
	}
}

// What a source is like can be asked while a reload waits for one that does not end, and a
// router that stops does not wait for that reload first.
func TestStubborn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Int64
		w := newWorld()
		cfg := configOf(stubborn(8*time.Second, &open))
		s, stop := begin(t, w, cfg)
		settle(time.Second)
		reloaded := make(chan error, 1)
		go func() { reloaded <- s.Reload(cfg) }()
		settle(time.Second)
		asked := time.Now()
		if stats := s.Stats(); len(stats) != 1 || time.Since(asked) > 0 || stats[0].Published == 0 {
			t.Errorf("asked during the reload: %+v after %s", stats, time.Since(asked))
		}
		stop()
		if took := time.Since(asked); took > 7*time.Second {
			t.Errorf("stopping took %s", took)
		}
		if err := <-reloaded; err != nil {
			t.Error(err)
		}
		equal(t, "types", w.types(), []string{"signalbox.connected", "t", "signalbox.disconnected"})
		equal(t, "open sessions", open.Load(), 0)
	})
}

// One that was removed and has not ended is waited for when it is added again.
func TestAddedAgainTooEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Int64
		w := newWorld()
		cfg := configOf(stubborn(time.Minute, &open))
		cfg.Sources[0].Lease = false
		s, stop := begin(t, w, cfg)
		settle(time.Second)
		none := cfg
		none.Sources = nil
		for _, next := range []router.Config{none, cfg, cfg} {
			if err := s.Reload(next); err != nil {
				t.Fatal(err)
			}
		}
		settle(2 * time.Minute)
		if stats := s.Stats()[0]; stats.State != Connected || stats.Attempts != 1 {
			t.Errorf("%+v", stats)
		}
		stop()
		settle(time.Minute) // which is longer than a router waits for it
	})
}

// A mistake in a kind costs a session, and not the process. The stack is for the log only.
func TestPanics(t *testing.T) {
	for name, fails := range map[string]func(*router.SourceSpec){
		"Run": func(spec *router.SourceSpec) {
			spec.New = func(router.SourceEnv) (router.Source, error) {
				return router.SourceFunc(func(context.Context, router.Sink) error { panic("a mistake") }), nil
			}
		},
		"New": func(spec *router.SourceSpec) {
			spec.New = func(router.SourceEnv) (router.Source, error) { panic("a mistake") }
		},
		"no kind": func(spec *router.SourceSpec) {
			spec.New = func(router.SourceEnv) (router.Source, error) { return nil, nil }
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			cfg := configOf(nil)
			fails(&cfg.Sources[0])
			s, _ := begin(t, w, cfg)
			settle(10 * time.Second)
			stats := s.Stats()[0]
			if stats.State != Waiting || !strings.HasPrefix(stats.Why, "panic: ") || strings.Contains(stats.Why, "\n") {
				t.Errorf("%s: %+v", name, stats)
			}
		})
	}
}

// A sink stands what a source should not do.
func TestSinkAfterTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var kept []router.Sink
		s, _ := begin(t, w, configOf(func(ctx context.Context, to router.Sink) error {
			for _, old := range kept {
				old.Opened("old")
				old.Emit(tick(1, "old"))
				old.Trouble(errors.New("old trouble"))
				old.Trouble(nil)
				old.Alive()
			}
			kept = append(kept, to)
			to.Opened("")
			to.Opened("again")
			to.Emit(nil)
			to.Emit(make([]byte, 65<<20))
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() { to.Emit(tick(i+1, "A")) })
			}
			all.Wait()
			if len(kept) < 3 {
				return nil
			}
			<-ctx.Done()
			return nil
		}))
		settle(time.Second)
		stats := s.Stats()[0]
		if stats.Sessions != 3 || stats.Received != 60 || stats.Rejected[router.CauseEmpty] != 3 || stats.Rejected[router.CauseTooBig] != 3 || stats.Trouble != "" {
			t.Errorf("%+v", stats)
		}
		for i, p := range w.published {
			if strings.Contains(string(p.Data), "old") {
				t.Errorf("%d: %s", i, p.Data)
			}
		}
	})
}

// Whatever stands in the way, a router ends within its drain.
func TestEndsWithinDrain(t *testing.T) {
	for name, f := range map[string]router.SourceFunc{
		"redis is away":      func(ctx context.Context, to router.Sink) error { to.Emit(tick(1, "A")); <-ctx.Done(); return nil },
		"the source goes on": func(context.Context, router.Sink) error { time.Sleep(time.Hour); return nil },
		"the source emits for ever": func(_ context.Context, to router.Sink) error {
			for range 1000 {
				to.Emit(tick(1, "A"))
				time.Sleep(time.Second)
			}
			return nil
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.failing = errors.New("redis is away")
			s, err := New(configOf(f), Options{Acquire: w.acquire, Drain: 700 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			began := time.Now()
			s.Run(ctx)
			if took := time.Since(began) - time.Second; took > 700*time.Millisecond {
				t.Errorf("%s: it took %s", name, took)
			}
			settle(2 * time.Hour)
		})
	}
}
