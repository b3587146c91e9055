package source

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/router"
)

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want)
	if string(a) != string(b) {
		t.Errorf("%s: got %s, want %s", what, a, b)
	}
}

func or(err error, otherwise string) string {
	if err != nil {
		return err.Error()
	}
	return otherwise
}

// settle lets time pass, and what happens meanwhile happen.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestPublishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s, stop := begin(t, w, configOf(func(ctx context.Context, to router.Sink) error {
			to.Opened("wss://stream.example")
			to.Emit(tick(1, "A"))
			to.Emit(tick(2, "B"))
			to.Emit(tick(3, "A"))
			to.Emit([]byte("garbage"))
			<-ctx.Done()
			return ctx.Err()
		}))
		settle(time.Second)
		equal(t, "types", w.types(), []string{"signalbox.connected", "t", "t", "t"})
		for i, want := range []published{1: {ID: "1", Seq: 1}, 2: {ID: "2", Seq: 1}, 3: {ID: "3", Seq: 2}} {
			if got := w.published[i]; i > 0 && (got.ID != want.ID || got.Seq != want.Seq || got.Epoch != 1) {
				t.Errorf("%d: %+v, want %+v", i, got, want)
			}
		}
		stats := s.Stats()[0]
		if stats.State != Connected || stats.At != "wss://stream.example" || stats.Received != 3 || stats.Published != 4 || stats.Rejected[router.CauseNotJSON] != 1 || !stats.Holds {
			t.Errorf("%+v", stats)
		}
		term := w.holder["feed"]
		stop()
		equal(t, "types", w.types()[4:], []string{"signalbox.disconnected"})
		var told router.Connection
		if err := json.Unmarshal(w.published[4].Data, &told); err != nil || !told.Planned || told.Reason != "the router stops" {
			t.Errorf("%+v, %v", told, err)
		}
		equal(t, "released", term.released, []bool{true})
	})
}

// A holder whose term ends closes its session and publishes nothing more; then it stands by
// and takes over again, and the epoch grows.
func TestTermEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		closed := make(chan struct{}, 10)
		_, _ = begin(t, w, configOf(func(ctx context.Context, to router.Sink) error {
			to.Opened("")
			to.Emit(tick(1, "A"))
			<-ctx.Done()
			to.Emit(tick(2, "A"))
			closed <- struct{}{}
			return ctx.Err()
		}))
		settle(time.Second)
		w.lose("feed")
		<-closed
		settle(time.Second)
		equal(t, "types", w.types(), []string{"signalbox.connected", "t", "signalbox.connected", "signalbox.gap", "t"})
		if a, b := w.published[1], w.published[4]; a.Epoch != 1 || b.Epoch != 2 || b.Seq != 1 {
			t.Errorf("%+v, then %+v", a, b)
		}
	})
}

// After a holder that died, nobody connects before the other side has forgotten its session,
// and what was missed meanwhile is told.
func TestTakeoverDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.grant.Orderly, w.grant.Silent = false, 3*time.Second
		began := time.Now()
		cfg := configOf(func(ctx context.Context, to router.Sink) error {
			to.Opened("")
			<-ctx.Done()
			return ctx.Err()
		})
		cfg.Sources[0].TakeoverDelay = 7 * time.Second
		s, _ := begin(t, w, cfg)
		settle(6 * time.Second)
		if stats := s.Stats()[0]; stats.State != Waiting || stats.Until.Sub(began) != 7*time.Second {
			t.Errorf("%+v", stats)
		}
		settle(2 * time.Second)
		equal(t, "types", w.types(), []string{"signalbox.connected", "signalbox.gap"})
		var gap router.Gap
		if err := json.Unmarshal(w.published[1].Data, &gap); err != nil || gap.Seconds != 10 || gap.Source != "feed" {
			t.Errorf("%+v, %v", gap, err)
		}
	})
}

// Many routers that fail at the same moment do not come again at the same moment.
func TestPausesDiffer(t *testing.T) {
	t.Parallel()
	seen := map[time.Duration]bool{}
	for range 20 {
		p := pace{spec: completed(router.SourceSpec{})}
		seen[p.next()] = true
	}
	if len(seen) < 10 {
		t.Errorf("%d different pauses of 20", len(seen))
	}
}

// A session that ends as planned is told as that, and the next one begins at once.
func TestPlannedEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		n := 0
		began := time.Now()
		_, stop := begin(t, w, configOf(func(ctx context.Context, to router.Sink) error {
			n++
			to.Opened("")
			to.Emit(tick(n, "A"))
			if n == 1 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}))
		settle(time.Second)
		stop()
		equal(t, "types", w.types(), []string{
			"signalbox.connected", "t", "signalbox.disconnected", "signalbox.connected", "signalbox.gap", "t", "signalbox.disconnected",
		})
		var told router.Connection
		if err := json.Unmarshal(w.published[2].Data, &told); err != nil || !told.Planned || told.Reason != "it connects anew, as planned" {
			t.Errorf("%+v, %v", told, err)
		}
		if took := w.published[3].at.Sub(began); took > 0 {
			t.Errorf("connected again after %s", took)
		}
	})
}

// The pauses between sessions that bring nothing double, and data sets them back.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var at []time.Time
		cfg := configOf(func(_ context.Context, to router.Sink) error {
			at = append(at, time.Now())
			if len(at) == 6 {
				to.Emit(tick(1, "A"))
			}
			return errors.New("refused")
		})
		cfg.Sources[0].MaxBackoff = 8 * time.Second
		_, stop := begin(t, w, cfg)
		settle(40 * time.Second)
		stop()
		for i, longest := range []time.Duration{1, 2, 4, 8, 8, 1, 2, 4} {
			longest *= time.Second
			if pause := at[i+1].Sub(at[i]); pause < longest/2 || pause > longest {
				t.Errorf("pause %d: %s, want between %s and %s", i, pause, longest/2, longest)
			}
		}
	})
}

func TestVerdicts(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name     string
		err      error
		conflict router.Conflict
		data     bool // it brings some
		state    State
		least    time.Duration // until the next session; 0: it began at once
		never    bool
	}{
		{name: "planned", data: true},
		{name: "planned, without any data", state: Waiting, least: 500 * time.Millisecond},
		{name: "failed", err: broken, state: Waiting, least: 500 * time.Millisecond},
		{name: "asks to wait", err: router.Unavailable(broken, time.Minute), state: Waiting, least: time.Minute},
		{name: "refused", err: router.StandDown(broken), conflict: router.Refuses, state: StoodDown, least: 20 * time.Second},
		{name: "evicted", err: router.StandDown(broken), conflict: router.Evicts, state: StoodDown, least: 15 * time.Minute},
		{name: "evicted, and asks to wait", err: router.StandDown(router.Unavailable(broken, 20*time.Minute)), conflict: router.Evicts, state: StoodDown, least: 20 * time.Minute},
		{name: "fatal", err: router.Permanent(broken), state: GivenUp, never: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				var at []time.Time
				cfg := configOf(func(ctx context.Context, to router.Sink) error {
					if at = append(at, time.Now()); len(at) == 1 {
						if c.data {
							to.Emit(tick(1, "A"))
						}
						return c.err
					}
					<-ctx.Done()
					return ctx.Err()
				})
				cfg.Sources[0].Conflict, cfg.Sources[0].TakeoverDelay = c.conflict, 20*time.Second
				s, stop := begin(t, w, cfg)
				settle(100 * time.Millisecond)
				if stats := s.Stats()[0]; c.state != "" && (stats.State != c.state || stats.Why != or(c.err, "the session ended as planned")) {
					t.Errorf("%+v", stats)
				}
				settle(time.Hour)
				held := w.holder["feed"] != nil
				stop()
				switch {
				case c.never:
					if len(at) != 1 || held {
						t.Errorf("%d sessions, held %t", len(at), held)
					}
				case len(at) != 2:
					t.Errorf("%d sessions", len(at))
				case at[1].Sub(at[0]) < c.least || c.least == 0 && at[1] != at[0]:
					t.Errorf("the next session began after %s, want %s", at[1].Sub(at[0]), c.least)
				}
			})
		})
	}
}

func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.waits = []time.Duration{40 * time.Second, 2 * time.Second}
		began := time.Now()
		var connected time.Time
		_, _ = begin(t, w, configOf(func(ctx context.Context, _ router.Sink) error {
			connected = time.Now()
			<-ctx.Done()
			return ctx.Err()
		}))
		settle(time.Minute)
		if took := connected.Sub(began); took != 42*time.Second {
			t.Errorf("connected after %s", took)
		}
	})
}

// An attempt that cannot be made, since a secret is not there for example, costs nothing of
// the budget; and what waited for the budget is made anew.
func TestPreparing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.waits = []time.Duration{time.Hour}
		made, began := 0, time.Now()
		var madeAt time.Time
		cfg := configOf(nil)
		cfg.Sources[0].New = func(router.SourceEnv) (router.Source, error) {
			if made++; made == 1 {
				return nil, errors.New("no such file")
			}
			madeAt = time.Now()
			return router.SourceFunc(func(ctx context.Context, to router.Sink) error {
				to.Opened("")
				<-ctx.Done()
				return ctx.Err()
			}), nil
		}
		s, _ := begin(t, w, cfg)
		settle(100 * time.Millisecond)
		if stats := s.Stats()[0]; stats.Why != "no such file" || stats.Attempts != 0 || w.left() != 1 {
			t.Errorf("%+v, %d refusals are left", stats, w.left())
		}
		settle(2 * time.Hour)
		if stats := s.Stats()[0]; stats.State != Connected || made != 3 || madeAt.Sub(began) < time.Hour {
			t.Errorf("made %d times, at last after %s: %+v", made, madeAt.Sub(began), stats)
		}
	})
}

// A session in which nothing comes is ended, but not when nothing is to be expected.
func TestMute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		cfg := configOf(func(ctx context.Context, to router.Sink) error {
			to.Opened("")
			for range 10 {
				to.Emit(tick(1, "A"))
				time.Sleep(time.Second)
			}
			for wait(ctx, time.Second) {
				to.Alive() // which is no data
			}
			return ctx.Err()
		})
		cfg.Sources[0].StaleAfter.Any = 5 * time.Second
		_, _ = begin(t, w, cfg)
		settle(13900 * time.Millisecond)
		if types := w.types(); slices.Contains(types, "signalbox.disconnected") {
			t.Fatalf("ended early: %v", types)
		}
		settle(time.Second)
		types := w.types()
		i := slices.Index(types, "signalbox.disconnected")
		if i < 0 {
			t.Fatalf("not ended: %v", types)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if data := string(w.published[i].Data); !strings.Contains(data, "nothing comes for 5s") {
			t.Error(data)
		}
		if ago := w.published[i].at.Sub(w.published[i].heard); ago < 5*time.Second { // a heartbeat says nothing of what did not come
			t.Errorf("the other side was heard of %s before", ago)
		}
	})
}

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		sessions := 0
		cfg := configOf(func(ctx context.Context, to router.Sink) error {
			sessions++
			to.Opened("")
			<-ctx.Done()
			return ctx.Err()
		})
		cfg.Sources[0].Revision = "1"
		s, _ := begin(t, w, cfg)
		settle(time.Second)
		reload := func(wantSessions int, what string) {
			t.Helper()
			if err := s.Reload(cfg); err != nil {
				t.Fatal(err)
			}
			settle(time.Second)
			if sessions != wantSessions {
				t.Errorf("%s: %d sessions, want %d", what, sessions, wantSessions)
			}
		}
		reload(1, "as it was")
		cfg.Sources = slices.Clone(cfg.Sources)
		cfg.Sources[0].Revision = "2"
		reload(2, "changed")
		if got := s.Stats()[0]; got.Sessions != 2 || got.Attempts != 2 || got.State != Connected || !got.Holds {
			t.Errorf("the counters begin anew: %+v", got)
		}
		cfg.Sources = nil
		reload(2, "gone")
		if len(w.holder) != 0 {
			t.Error("a source that is gone is still held")
		}
		cfg = configOf(nil)
		cfg.Channels = nil
		if err := s.Reload(cfg); err == nil || !strings.Contains(err.Error(), `channel "prices" is not declared`) {
			t.Error(err)
		}
	})
}

// A source that panics or exits its goroutine has only failed.
func TestRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		n := 0
		s, _ := begin(t, w, configOf(func(ctx context.Context, to router.Sink) error {
			switch n++; n {
			case 1:
				panic("oh")
			case 2:
				runtime.Goexit()
			case 3:
				var none *router.Event
				to.Emit([]byte(none.ID))
			}
			to.Opened("")
			<-ctx.Done()
			return ctx.Err()
		}))
		settle(100 * time.Millisecond)
		if why := s.Stats()[0].Why; why != "panic: oh" { // without the stack, which is the log's
			t.Errorf("why: %q", why)
		}
		settle(10 * time.Second)
		if stats := s.Stats()[0]; stats.State != Connected || n != 4 {
			t.Errorf("%d sessions, %+v", n, stats)
		}
	})
}

// What a session says when it is over is nothing to the next one.
func TestAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var before router.Sink
		s, _ := begin(t, w, configOf(func(ctx context.Context, to router.Sink) error {
			to.Opened("")
			to.Emit(tick(1, "A"))
			if before == nil {
				before = to
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}))
		settle(time.Second)
		seen := s.Stats()[0].LastSeen
		settle(time.Second)
		before.Trouble(errors.New("late"))
		before.Alive()
		before.Emit(tick(2, "A"))
		if stats := s.Stats()[0]; stats.Trouble != "" || !stats.LastSeen.Equal(seen) || stats.Received != 2 {
			t.Errorf("%+v", stats)
		}
	})
}
