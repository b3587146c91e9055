package transport

import (
	"testing"
	"time"

	"signalbox/internal/redistest"
	"signalbox/router/internal/batch"
)

// Who takes over knows until when all is published that the other side has sent: that counts
// from when it was heard of, and not from when Redis came to publish it.
func TestSilentCountsFromWhatWasHeard(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	const lasts = 3 * time.Second
	heard := func(ago time.Duration) []batch.Outgoing {
		messages := outgoing("a", "b")
		messages[0].Heard, messages[1].Heard = time.Now().Add(-ago-time.Minute), time.Now().Add(-ago)
		return messages
	}
	term := acquire(t, feedLease(n, lasts))
	for _, c := range []struct {
		name     string
		messages func() []batch.Outgoing
		least    time.Duration
	}{
		{"before anything is known of the clock of Redis", func() []batch.Outgoing { return heard(3 * time.Second) }, 3 * time.Second},
		{"by that clock", func() []batch.Outgoing { return heard(2 * time.Second) }, 2 * time.Second},
		{"in the future", func() []batch.Outgoing { return heard(-time.Hour) }, 0},
		{"not said", func() []batch.Outgoing { return outgoing("c") }, 0},
		{"Redis stands still for a second", func() []batch.Outgoing {
			messages := heard(0)
			server.Pause()
			time.AfterFunc(time.Second, server.Resume)
			return messages
		}, time.Second},
	} {
		if err := term.Publish(t.Context(), c.messages()); err != nil {
			t.Fatal(err)
		}
		silent := n.time(t).Sub(time.UnixMilli(n.number(t, "signalbox:lease:feed", "published")))
		if silent < c.least-2*time.Millisecond || silent > c.least+500*time.Millisecond {
			t.Errorf("%s: nothing for %s, want %s", c.name, silent, c.least)
		}
		if known := term.p.published.Load(); known != n.number(t, "signalbox:lease:feed", "published") {
			t.Errorf("%s: the term knows %d", c.name, known)
		}
	}
	term.Release(t.Context(), true)
}

func (n node) time(t *testing.T) time.Time {
	t.Helper()
	now, err := n.Client().Time(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	return now
}

func (n node) number(t *testing.T, key, field string) int64 {
	t.Helper()
	number, err := n.Client().HGet(t.Context(), key, field).Int64()
	if err != nil {
		t.Fatal(err)
	}
	return number
}
