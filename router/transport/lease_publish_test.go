package transport

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/internal/redistest"
	"signalbox/router/internal/batch"
)

// feedTerm holds a lease whose messages go to "prices", which is a stream or not.
func feedTerm(t testing.TB, n node, stream bool, lasts time.Duration) *Term {
	t.Helper()
	return acquire(t, n.Lease(LeaseConfig{Source: "feed", For: lasts, Topic: "prices", Stream: stream}))
}

// arrivals returns what arrives at "prices", until "end".
func arrivals(t testing.TB, n node, stream bool) func() []string {
	t.Helper()
	sub := n.PubSub(PubSubConfig{MaxBatch: 256, Queue: 1 << 16, QueueBytes: 1 << 28})
	if stream {
		sub = n.Stream(StreamConfig{Group: "bot", MaxBatch: 256})
	}
	messages := subscribe(t, n, sub, "prices")
	return func() (got []string) {
		t.Helper()
		for {
			for _, item := range take(t, messages) {
				item.Owner.Done(item)
				if got = append(got, string(item.Payload)); got[len(got)-1] == "end" {
					return got[:len(got)-1]
				}
			}
		}
	}
}

func eachTransport(t *testing.T, test func(t *testing.T, stream bool)) {
	t.Helper()
	for name, stream := range map[string]bool{"pubsub": false, "stream": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, stream)
		})
	}
}

// What a holder adds to a stream looks like what everybody adds.
func TestHolderAddsOrdinaryEntries(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, url string) {
		n := open(t, url)
		cfg := LeaseConfig{Source: "feed", For: short, Topic: "prices", Stream: true, MaxLen: 1000}
		mustPublish(t, acquire(t, n.Lease(cfg)), "1")
		cfg.Alone = true
		mustPublish(t, acquire(t, n.Lease(cfg)), "1")
		got := n.Client().XRange(t.Context(), "prices", "-", "+").Val()
		want := map[string]any{"_watermill_message_uuid": "id-1", "metadata": "", "payload": "1"}
		if len(got) != 2 || !maps.Equal(got[0].Values, want) || !maps.Equal(got[1].Values, want) {
			t.Errorf("got %v, want twice %v", got, want)
		}
	})
}

func TestHolderTrimsTheStream(t *testing.T) {
	t.Parallel()
	n := realRedis(t)
	cfg := LeaseConfig{Source: "feed", For: short, Topic: "prices", Stream: true, MaxLen: 200}
	term := acquire(t, n.Lease(cfg))
	mustPublish(t, term, texts(2000)...)
	if length := n.Client().XLen(t.Context(), "prices").Val(); length < 200 || length > 500 {
		t.Errorf("%d entries, want about 200", length)
	}
}

// A batch whose answer was lost is published once, however often it is tried, and what was
// certain before it is not published again.
func TestALostAnswerPublishesOnce(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, stream bool) {
		server := redistest.Start(t)
		w := wireTo(t, server.Addr())
		n := open(t, w.url())
		got := arrivals(t, open(t, server.URL()), stream)
		term := feedTerm(t, n, stream, 2*time.Second)
		mustPublish(t, term, "first") // Redis knows the script then
		want := []string{"first"}
		for round := range 3 {
			batch := make([]string, 2500) // three slices
			for i := range batch {
				batch[i] = fmt.Sprintf("round %d message %d.", round, i)
			}
			want = append(want, batch...)
			w.loseAnswer([]string{"message 3.", "message 1500.", "message 2499."}[round])
			if err := term.Publish(t.Context(), outgoing(batch...)); err == nil {
				t.Fatal("no error though the answer was lost")
			}
			if round == 1 { // lost again
				w.loseAnswer("message 1700.")
				if err := term.Publish(t.Context(), outgoing(batch...)); err == nil {
					t.Fatal("no error though the answer was lost")
				}
			}
			batch = append(batch, fmt.Sprint("behind ", round)) // more may have come
			want = append(want, batch[len(batch)-1])
			mustPublish(t, term, batch...)
		}
		mustPublish(t, term, "end")
		if w.lost.Load() != 4 {
			t.Errorf("%d answers were lost", w.lost.Load())
		}
		if got := got(); !slices.Equal(got, want) {
			t.Errorf("%d messages, want %d; first difference at %d", len(got), len(want), firstDifference(got, want))
		}
	})
}

func firstDifference(a, b []string) int {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	return i
}

// Who gives up a batch whose answer was lost loses nothing of what comes then.
func TestOtherMessagesAfterALostAnswer(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, stream bool) {
		server := redistest.Start(t)
		w := wireTo(t, server.Addr())
		got := arrivals(t, open(t, server.URL()), stream)
		term := feedTerm(t, open(t, w.url()), stream, 2*time.Second)
		mustPublish(t, term, "first") // Redis knows the script then
		w.loseAnswer("message b")
		if err := term.Publish(t.Context(), outgoing("a", "message b", "c")); err == nil {
			t.Fatal("no error though the answer was lost")
		}
		mustPublish(t, term, "x", "y")
		mustPublish(t, term, "z", "end")
		if got, want := got(), []string{"first", "a", "message b", "c", "x", "y", "z"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// Large messages go in calls of a MiB, and one that is larger goes alone.
func TestLargeMessagesAreSliced(t *testing.T) {
	t.Parallel()
	var c course
	messages := []batch.Outgoing{
		{Payload: make([]byte, 600<<10)},
		{Payload: make([]byte, 400<<10)},
		{Payload: make([]byte, 100<<10)},
		{Payload: make([]byte, 5<<20)},
		{Payload: nil},
	}
	var got []int
	for rest := messages; len(rest) > 0; {
		n := c.slice(rest)
		got, rest = append(got, n), rest[n:]
	}
	if want := []int{2, 1, 1, 1}; !slices.Equal(got, want) {
		t.Errorf("slices of %v, want %v", got, want)
	}
	if n := c.slice(make([]batch.Outgoing, 5000)); n != leaseSlice {
		t.Errorf("a slice of %d", n)
	}
}

// A full Redis keeps the lease and carries Pub/Sub, which takes no memory. It refuses a
// stream's entries, and then none of the batch is there.
func TestHolderInAFullRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := open(t, server.URL()), open(t, server.URL())
	got := arrivals(t, b, false)
	term := acquire(t, feedLease(a, short))
	stream := acquire(t, b.Lease(LeaseConfig{Source: "stream", For: short, Topic: "kept", Stream: true}))
	set := func(memory string) {
		if err := server.Client().ConfigSet(t.Context(), "maxmemory", memory).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("1")
	mustPublish(t, term, "1", "2")
	time.Sleep(2 * short)
	mustPublish(t, term, "end")
	for range 3 {
		if err := stream.Publish(t.Context(), outgoing("a", "b", "c")); !redis.HasErrorPrefix(errors.Unwrap(err), "OOM") {
			t.Fatalf("a full Redis: %v", err)
		}
	}
	term.Release(t.Context(), true)
	if g := acquire(t, feedLease(b, short)).Grant(); !g.Orderly {
		t.Errorf("in a full Redis the grant is %+v", g)
	}
	if wait := spend(t, a, 1, time.Hour); wait != 0 {
		t.Errorf("a full Redis lets nobody connect")
	}
	set("0")
	if err := stream.Publish(t.Context(), outgoing("a", "b", "c")); err != nil {
		t.Error(err)
	}
	if n := server.Client().XLen(t.Context(), "kept").Val(); n != 3 {
		t.Errorf("%d entries, want 3", n)
	}
	if got, want := got(), []string{"1", "2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A server that cannot be told that a script takes no memory refuses it when it is full, and
// nothing of the batch was sent then.
func TestHolderInAFullRedisOfOldTimes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	n.scripts.publish.now.Store(n.scripts.publish.plain)
	got := arrivals(t, open(t, server.URL()), false)
	term := feedTerm(t, n, false, 2*time.Second)
	server.Client().ConfigSet(t.Context(), "maxmemory", "1")
	for range 3 {
		if err := term.Publish(t.Context(), outgoing("1", "2")); err == nil || !strings.Contains(err.Error(), "OOM") {
			t.Fatalf("a full Redis: %v", err)
		}
	}
	server.Client().ConfigSet(t.Context(), "maxmemory", "0")
	mustPublish(t, term, "1", "2")
	mustPublish(t, term, "end")
	if got, want := got(), []string{"1", "2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A Redis that becomes full takes a slice as a whole or not at all.
func TestHolderFillsARedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	term := feedTerm(t, n, true, short)
	mustPublish(t, term, "first")
	memory := server.Client().InfoMap(t.Context(), "memory").Item("Memory", "used_memory")
	used, err := strconv.Atoi(memory)
	if err != nil {
		t.Fatal(err)
	}
	server.Client().ConfigSet(t.Context(), "maxmemory", strconv.Itoa(used+(1<<20)))
	messages := make([]batch.Outgoing, 500)
	for i := range messages {
		messages[i] = batch.Outgoing{ID: strconv.Itoa(i), Payload: make([]byte, 1<<10)}
	}
	sent := int64(1)
	for err = nil; err == nil; sent += int64(len(messages)) {
		err = term.Publish(t.Context(), messages)
	}
	sent -= int64(len(messages))
	if length := server.Client().XLen(t.Context(), "prices").Val(); length != sent || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("%d entries, want %d; %v", length, sent, err)
	}
}

// What Redis refuses is told with its words, is not half done, and goes on when the cause is
// gone.
func TestHolderIsRefused(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, url string) {
		n := open(t, url)
		n.Client().Set(t.Context(), "prices", "no stream", 0)
		term := feedTerm(t, n, true, short)
		err := term.Publish(t.Context(), outgoing("a", "b"))
		if err == nil || !strings.HasPrefix(err.Error(), `publish to "prices": `) || !strings.Contains(err.Error(), "WRONGTYPE") {
			t.Errorf("error %v", err)
		}
		n.Client().Del(t.Context(), "prices")
		mustPublish(t, term, "a", "b")
		if length := n.Client().XLen(t.Context(), "prices").Val(); length != 2 {
			t.Errorf("%d entries, want 2", length)
		}
		n.Client().ScriptFlush(t.Context())
		mustPublish(t, term, "c")
		if err := term.Publish(t.Context(), nil); err != nil {
			t.Errorf("nothing to publish: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := term.Publish(ctx, outgoing("d")); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		mustPublish(t, term, "e")
	})
}

// The benchmark's batches are what a feed sends one by one, and under load.
func BenchmarkHolderPublish(b *testing.B) {
	server := redistest.Start(b)
	n := open(b, server.URL())
	tick := strings.Repeat("x", 280)
	for _, size := range []int{1, 100} {
		for name, cfg := range map[string]LeaseConfig{
			"pubsub": {Source: "p", Topic: "prices", For: short},
			"stream": {Source: "s", Topic: "kept", For: short, Stream: true, MaxLen: 10_000},
			"alone":  {Source: "a", Topic: "prices", Alone: true},
		} {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				term := acquire(b, n.Lease(cfg))
				messages := make([]batch.Outgoing, size)
				for i := range messages {
					messages[i] = batch.Outgoing{ID: "0190a1b2-0000-7000-8000-000000000001", Payload: []byte(tick)}
				}
				b.ReportAllocs()
				for b.Loop() {
					if err := term.Publish(b.Context(), messages); err != nil {
						b.Fatal(err)
					}
				}
				term.Release(b.Context(), true)
				b.ReportMetric(float64(size*b.N)/b.Elapsed().Seconds(), "msg/s")
			})
		}
	}
}
