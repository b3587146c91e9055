package transport

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"signalbox/internal/redistest"
	"signalbox/router/internal/batch"
)

// short is a lease for tests: everything happens in fractions of it.
const short = 300 * time.Millisecond

func eachRedis(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	for name, url := range map[string]func(t *testing.T) string{
		"miniredis": func(t *testing.T) string { return "redis://" + miniredis.RunT(t).Addr() },
		"redis":     func(t *testing.T) string { return redistest.Start(t).URL() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, url(t))
		})
	}
}

func feedLease(n node, lasts time.Duration) *Lease {
	return n.Lease(LeaseConfig{Source: "feed", For: lasts, Topic: "prices"})
}

// acquire takes a lease; the term is released with the test.
func acquire(t testing.TB, l *Lease) *Term {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	term, err := l.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { term.Release(context.Background(), false) })
	return term
}

// over waits for the end of a term.
func over(t testing.TB, term *Term) {
	t.Helper()
	select {
	case <-term.Done():
	case <-time.After(patience):
		t.Fatal("the term goes on")
	}
}

func outgoing(texts ...string) []batch.Outgoing {
	list := make([]batch.Outgoing, len(texts))
	for i, text := range texts {
		list[i] = batch.Outgoing{ID: "id-" + text, Payload: []byte(text)}
	}
	return list
}

func mustPublish(t testing.TB, term *Term, texts ...string) {
	t.Helper()
	if err := term.Publish(t.Context(), outgoing(texts...)); err != nil {
		t.Fatal(err)
	}
}

// The first holder waits for as long as a holder whose record was lost could have gone on;
// who comes next waits until the first has released the lease, and then not at all.
func TestLeaseHandsOver(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, url string) {
		a, b := open(t, url), open(t, url)
		begin := time.Now()
		first := acquire(t, feedLease(a, short))
		if waited := time.Since(begin); waited < short {
			t.Errorf("the first holder waited %v, want %v at least", waited, short)
		}
		if g := first.Grant(); g.Orderly || g.Silent >= 0 || g.Epoch < time.Now().Add(-time.Minute).Unix() {
			t.Errorf("the first grant is %+v", g)
		}
		messages := subscribe(t, b, b.PubSub(PubSubConfig{MaxBatch: 256}), "prices")
		mustPublish(t, first, "1", "2")
		mustPublish(t, first, "3")
		if got, want := collect(t, messages, 3), []string{"1", "2", "3"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		next := make(chan *Term)
		go func() { next <- acquire(t, feedLease(b, short)) }()
		select {
		case <-next:
			t.Fatal("a second holder")
		case <-first.Done():
			t.Fatal("the first lost it")
		case <-time.After(3 * short):
		}
		begin = time.Now()
		first.Release(t.Context(), true)
		second := <-next
		if waited := time.Since(begin); waited > short {
			t.Errorf("it took %v to hand over", waited)
		}
		g := second.Grant()
		if !g.Orderly || g.Epoch <= first.Grant().Epoch || g.Silent < 3*short || g.Silent > patience {
			t.Errorf("the second grant is %+v after %+v", g, first.Grant())
		}
		if err := first.Publish(t.Context(), outgoing("late")); err == nil {
			t.Error("who has released it can publish")
		}
		mustPublish(t, second, "4")
		if got := collect(t, messages, 1); got[0] != "4" {
			t.Errorf("got %q", got)
		}
		holders, err := a.Holders(t.Context(), "feed", "other")
		if err != nil || len(holders) != 2 || holders[0].Name != b.Consumer() || holders[0].Epoch != g.Epoch ||
			holders[0].For != short || !near(holders[0].Renewed, time.Now()) || holders[1] != (batch.Holder{Source: "other"}) {
			t.Errorf("holders %+v, %v", holders, err)
		}
	})
}

// Who waits gives a holder as much time as that one was told it has.
func TestWhoWaitsGivesTheHolderItsTime(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, url string) {
		a, b := open(t, url), open(t, url)
		const long = 4 * short
		acquire(t, feedLease(a, long)).Release(t.Context(), false)
		begin := time.Now()
		acquire(t, feedLease(b, short))
		if waited := time.Since(begin); waited < long {
			t.Errorf("waited %v, want %v", waited, long)
		}
	})
}

// A grant whose answer was lost is had again by who asks again, as it was.
func TestAGrantIsNotLostWithItsAnswer(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, url string) {
		n := open(t, url)
		acquire(t, feedLease(n, short)).Release(t.Context(), true)
		w := feedLease(n, short).watch()
		defer func() {
			w.rest()
			_ = w.client.Close()
		}()
		first, beat, err := w.once(t.Context())
		if err != nil || first == nil || !first.Orderly {
			t.Fatalf("%+v, %v", first, err)
		}
		w.look() // as after any error
		again, next, err := w.once(t.Context())
		if err != nil || again == nil || *again != *first || next == beat {
			t.Errorf("granted again: %+v with beat %d, %v; want %+v with another than %d", again, next, err, first, beat)
		}
	})
}

func TestOtherLeasesAreOthers(t *testing.T) {
	t.Parallel()
	n := mini(t)
	for _, source := range []string{"a", "a:b", "b", ""} {
		term := acquire(t, n.Lease(LeaseConfig{Source: source, For: short}))
		if !term.held() {
			t.Errorf("source %q", source)
		}
	}
}

// Trouble with Redis is told once, and waited out.
func TestLeaseWaitsForRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Absent())
	for _, alone := range []bool{false, true} {
		n := open(t, server.URL())
		l := n.Lease(LeaseConfig{Source: "feed", For: short, Alone: alone})
		ctx, cancel := context.WithTimeout(t.Context(), 4*short)
		_, err := l.Acquire(ctx)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || err.Error() != `lease of source "feed": context deadline exceeded` {
			t.Errorf("error %v", err)
		}
		if n.log.count("redis is away") != 1 {
			t.Errorf("want one line about it:\n%s", n.log)
		}
		server.Restart()
		acquire(t, l)
		if n.log.count("redis is back") != 1 {
			t.Errorf("want one line about it:\n%s", n.log)
		}
		server.Kill()
	}
}

func TestLeaseIsRefused(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, url string) {
		n := open(t, url)
		n.Client().Set(t.Context(), leasePrefix+"feed", "x", 0)
		got := make(chan *Term)
		go func() { got <- acquire(t, feedLease(n, short)) }()
		eventually(t, "it is told", func() bool { return n.log.count("lease cannot be asked for") > 0 })
		time.Sleep(short)
		if _, err := n.Holders(t.Context(), "feed"); err == nil || !strings.HasPrefix(err.Error(), `lease of source "feed": WRONGTYPE`) {
			t.Errorf("error %v", err)
		}
		n.Client().Del(t.Context(), leasePrefix+"feed")
		<-got
		for text, want := range map[string]int{"lease cannot be asked for": 1, "lease can be asked for again": 1, "WRONGTYPE": 1} {
			if got := n.log.count(text); got != want {
				t.Errorf("%d lines with %q, want %d", got, text, want)
			}
		}
	})
}

// The end of the Redis ends terms, and waiting for one.
func TestCloseEndsLeases(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := open(t, server.URL()), open(t, server.URL())
	term := acquire(t, feedLease(a, short))
	ended := make(chan error)
	go func() {
		_, err := feedLease(b, short).Acquire(t.Context())
		ended <- err
	}()
	time.Sleep(short)
	_ = b.Close()
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Errorf("error %v", err)
	}
	_ = a.Close()
	over(t, term)
	term.Release(t.Context(), false)
	if _, err := feedLease(a, short).Acquire(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("error %v", err)
	}
	if a.log.count("lease") > 0 {
		t.Errorf("an end is no trouble:\n%s", a.log)
	}
}

// Without a lease each process has a term of its own.
func TestTermsAlone(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, url string) {
		a, b := open(t, url), open(t, url)
		messages := subscribe(t, a, a.PubSub(PubSubConfig{MaxBatch: 256}), "prices")
		cfg := LeaseConfig{Source: "feed", Topic: "prices", Alone: true}
		first, other := acquire(t, a.Lease(cfg)), acquire(t, b.Lease(cfg))
		mustPublish(t, first, "1")
		mustPublish(t, other, "2")
		if got, want := collect(t, messages, 2), []string{"1", "2"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		first.Release(t.Context(), true)
		over(t, first)
		if err := first.Publish(t.Context(), outgoing("late")); !errors.Is(err, ErrNotHeld) {
			t.Errorf("error %v", err)
		}
		again := acquire(t, a.Lease(cfg))
		if g := again.Grant(); g.Epoch <= first.Grant().Epoch || g.Epoch < time.Now().Add(-time.Minute).Unix() || !g.Orderly || g.Silent >= 0 {
			t.Errorf("the second grant is %+v after %+v", g, first.Grant())
		}
		if keys := a.Client().Keys(t.Context(), leasePrefix+"*").Val(); len(keys) > 0 {
			t.Errorf("keys %q", keys)
		}
	})
}

// With a lease or without, an error says once where it was to go.
func TestPublishErrorsNameTheChannel(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	for _, alone := range []bool{false, true} {
		term := acquire(t, n.Lease(LeaseConfig{Source: fmt.Sprint("feed ", alone), For: short, Topic: "prices", Stream: true, Alone: alone}))
		if err := server.Client().Set(t.Context(), "prices", "no stream", 0).Err(); err != nil {
			t.Fatal(err)
		}
		err := term.Publish(t.Context(), outgoing("1"))
		if err == nil || strings.Count(err.Error(), `publish to "prices"`) != 1 {
			t.Errorf("alone %t: %v", alone, err)
		}
		term.Release(t.Context(), true)
	}
}

// All of it is within what deploy/redis.acl permits.
func TestLeaseOfARestrictedUser(t *testing.T) {
	t.Parallel()
	acl, err := filepath.Abs("../../deploy/redis.acl")
	if err != nil {
		t.Fatal(err)
	}
	server := redistest.Start(t, redistest.Args("--include", acl))
	for _, user := range []string{"signalbox", "signalbox-operator"} {
		if err := server.Client().Do(t.Context(), "ACL", "SETUSER", user, ">secret").Err(); err != nil {
			t.Fatal(err)
		}
	}
	as := func(user string) node { return open(t, "redis://"+user+":secret@"+server.Addr()) }
	a, b := as("signalbox"), as("signalbox")
	for _, stream := range []bool{false, true} {
		cfg := LeaseConfig{Source: fmt.Sprint("feed ", stream), For: short, Topic: fmt.Sprint("prices ", stream), Stream: stream, MaxLen: 10}
		first := acquire(t, a.Lease(cfg))
		mustPublish(t, first, "1")
		time.Sleep(short) // it is renewed
		first.Release(t.Context(), true)
		second := acquire(t, b.Lease(cfg))
		if !second.Grant().Orderly {
			t.Errorf("the grant is %+v", second.Grant())
		}
		mustPublish(t, second, "2")
		if holders, err := as("signalbox-operator").Holders(t.Context(), cfg.Source); err != nil || holders[0].Name != b.Consumer() {
			t.Errorf("holders %+v, %v", holders, err)
		}
	}
	server.Client().LPush(t.Context(), connectsPrefix+"feed", time.Now().Add(time.Hour).UnixMilli())
	spend(t, a, 1, 50*time.Millisecond)
	spend(t, a, 2, 50*time.Millisecond)
	if log, err := server.Client().ACLLog(t.Context(), 10).Result(); err != nil || len(log) > 0 {
		t.Errorf("ACL log: %v, %v", log, err)
	}
}

// Who takes over a lease knows since when its holder can have had no session: for as long as
// it was seen to stand still, and without a record for as long as Redis has run.
func TestWhoTakesOverKnowsSinceWhen(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	time.Sleep(1100 * time.Millisecond) // Redis counts seconds
	n := open(t, server.URL())
	first := acquire(t, feedLease(n, short))
	if gone := first.Grant().Gone; gone < time.Second-short || gone > 5*time.Second {
		t.Errorf("nobody was there for %v, want as long as Redis has run", gone)
	}
	first.Release(t.Context(), false)
	second := acquire(t, feedLease(n, short))
	if gone := second.Grant().Gone; gone < short/4 || gone > short {
		t.Errorf("the holder was gone for %v, want what is left of %v", gone, short)
	}
	second.Release(t.Context(), true)
	if third := acquire(t, feedLease(n, short)).Grant(); !third.Orderly || third.Gone != 0 {
		t.Errorf("after an orderly end the grant is %+v", third)
	}
}

// A process that was cut off, and whom nobody has replaced, goes on at once when Redis is back:
// it knows best that its session is closed. Of a Redis that was started anew it doesn't.
func TestWhoWasCutOffGoesOn(t *testing.T) {
	t.Parallel()
	const lasts = time.Second
	for _, restarts := range []bool{false, true} {
		t.Run(fmt.Sprint("restarts ", restarts), func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, redistest.AOF())
			w := wireTo(t, server.Addr())
			n := open(t, w.url())
			term := acquire(t, feedLease(n, lasts))
			w.mute.Store(true)
			over(t, term)
			w.cut()
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			term.Release(ctx, true)
			if restarts {
				server.Kill()
				server.Restart()
			}
			w.mute.Store(false)
			w.cut()
			if again := acquire(t, feedLease(n, lasts)).Grant(); again.Orderly == restarts {
				t.Errorf("the grant is %+v", again)
			}
		})
	}
}
