package transport

import (
	"context"
	"slices"
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
