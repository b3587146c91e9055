package source

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/router"
)

// slow is a source whose session takes a while to close, and when each was open.
type slow struct {
	closing time.Duration
	begun   []time.Time
	closed  []time.Time
}

func (s *slow) run(ctx context.Context, to router.Sink) error {
	s.begun = append(s.begun, time.Now())
	to.Opened("")
	to.Emit(tick(1, "A"))
	<-ctx.Done()
	time.Sleep(s.closing)
	s.closed = append(s.closed, time.Now())
	return ctx.Err()
}

// The lease is given back when the session is closed, and not before: whoever gets it connects.
func TestReleaseFollowsTheSession(t *testing.T) {
	for name, end := range map[string]func(w *world, stop func()){
		"the router stops":  func(_ *world, stop func()) { stop() },
		"the lease is lost": func(w *world, stop func()) { w.lose("feed"); settle(time.Millisecond); stop() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, feed := newWorld(), &slow{closing: 7 * time.Second}
				_, stop := begin(t, w, configOf(feed.run))
				settle(time.Second)
				term := w.holder["feed"]
				end(w, stop)
				equal(t, "released", term.released, []bool{true})
				if len(feed.closed) != 1 || term.at.Before(feed.closed[0]) {
					t.Errorf("released at %s, the sessions were closed at %s", term.at, feed.closed)
				}
			})
		})
	}
}

// Who stops before nobody else's session can be open says nothing of it: the next one waits, too.
func TestReleaseWithinTheTakeoverDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.grant.Orderly = false
		cfg := configOf((&slow{}).run)
		cfg.Sources[0].TakeoverDelay = 7 * time.Second
		_, stop := begin(t, w, cfg)
		settle(6 * time.Second)
		term := w.holder["feed"]
		stop()
		equal(t, "released", term.released, []bool{false})
		equal(t, "types", w.types(), []string{})
	})
}

// What has passed of the delay when the lease is granted is not waited for once more.
func TestTakeoverDelayThatHasPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, feed := newWorld(), &slow{}
		w.grant.Orderly, w.grant.Gone = false, 5*time.Second
		began := time.Now()
		cfg := configOf(feed.run)
		cfg.Sources[0].TakeoverDelay = 7 * time.Second
		_, _ = begin(t, w, cfg)
		settle(10 * time.Second)
		if took := feed.begun[0].Sub(began); took != 2*time.Second {
			t.Errorf("connected after %s", took)
		}
	})
}

// A source that changes has closed its session before the next one begins, even if that takes
// longer than a reload waits; and who asks how the sources are does not wait at all.
func TestReloadFollowsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, feed := newWorld(), &slow{closing: 13 * time.Second}
		cfg := configOf(feed.run)
		cfg.Sources[0].Lease = false
		s, stop := begin(t, w, cfg)
		settle(time.Second)
		reloaded := make(chan error)
		go func() { reloaded <- s.Reload(cfg) }() // without a Revision it is another
		settle(time.Second)
		began := time.Now()
		if stats := s.Stats(); len(stats) != 1 || stats[0].Sessions != 1 || time.Since(began) > 0 {
			t.Errorf("after %s: %+v", time.Since(began), stats)
		}
		if err := <-reloaded; err != nil {
			t.Fatal(err)
		}
		if stats := s.Stats()[0]; stats.Holds || stats.Queued != 0 || stats.Sessions != 1 {
			t.Errorf("of one that has not begun: %+v", stats)
		}
		settle(10 * time.Second)
		if len(feed.begun) != 2 || feed.begun[1].Before(feed.closed[0]) {
			t.Errorf("begun at %s, closed at %s", feed.begun, feed.closed)
		}
		feed.closing = 0
		stop()
		var told router.Connection
		i := slices.Index(w.types(), "signalbox.disconnected")
		if err := json.Unmarshal(w.published[i].Data, &told); err != nil || !told.Planned || told.Reason != "the configuration changed" {
			t.Errorf("%+v, %v", told, err)
		}
	})
}

// A reload gives a source that was given up another try, and leaves others alone.
func TestReloadTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		tries := 0
		cfg := configOf(func(ctx context.Context, to router.Sink) error {
			if tries++; tries == 1 {
				return router.Permanent(errors.New("the key is wrong"))
			}
			to.Opened("")
			<-ctx.Done()
			return ctx.Err()
		})
		cfg.Sources[0].Revision = "1"
		s, _ := begin(t, w, cfg)
		settle(time.Second)
		if stats := s.Stats()[0]; stats.State != GivenUp || stats.Holds {
			t.Errorf("%+v", stats)
		}
		for _, change := range []func(){
			func() {}, // it was given up
			func() {}, // it goes on
			func() { cfg.Service = "another" },
			func() { cfg.Channels = []router.Channel{{Name: "prices"}} },
		} {
			change()
			if err := s.Reload(cfg); err != nil {
				t.Fatal(err)
			}
			settle(time.Second)
		}
		if stats := s.Stats()[0]; stats.State != Connected || tries != 4 {
			t.Errorf("%d tries, %+v", tries, stats)
		}
	})
}

// Outside its hours a source may be silent.
func TestMuteOutsideHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it begins on Saturday, 2000-01-01 00:00 UTC
		w, feed := newWorld(), &slow{}
		cfg := configOf(feed.run)
		cfg.Sources[0].StaleAfter.Any = 5 * time.Second
		if err := cfg.Sources[0].Hours.UnmarshalText([]byte("Mon 09:00-17:00 UTC")); err != nil {
			t.Fatal(err)
		}
		_, stop := begin(t, w, cfg)
		monday := time.Date(2000, 1, 3, 9, 0, 0, 0, time.UTC)
		settle(time.Until(monday.Add(time.Minute + 5*time.Second)))
		stop()
		if len(feed.closed) < 2 || feed.closed[0].Before(monday.Add(5*time.Second)) {
			t.Errorf("sessions closed at %s", feed.closed)
		}
	})
}

// A lease that is not to be had is the end, and is told.
func TestNoLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(configOf(nil), Options{Acquire: func(context.Context, router.SourceSpec, router.Channel) (Term, error) {
			return nil, errors.New("redis is closed")
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); s.Run(ctx) }()
		settle(time.Second)
		if stats := s.Stats()[0]; stats.State != GivenUp || stats.Why != "redis is closed" {
			t.Errorf("%+v", stats)
		}
		cancel()
		<-ended
	})
}

// Of a session that is over nothing is shown but why.
func TestTheBoardForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard(router.SourceSpec{})
		b.turn(Connected, "", 0)
		b.change(func(s *Stats) { s.At, s.Trouble = "wss://stream.example", "no data" })
		b.turn(Waiting, "closed", time.Second)
		if s := b.read(); s.At != "" || s.Trouble != "" || s.Why != "closed" || s.Until.Sub(s.Since) != time.Second {
			t.Errorf("%+v", s)
		}
	})
}
