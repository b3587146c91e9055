package transport

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"signalbox/internal/redistest"
)

// xaddMax adds entries as a producer that keeps a stream short.
func xaddMax(t testing.TB, c *redis.Client, most int64, payloads ...string) {
	t.Helper()
	pipe := c.Pipeline()
	for _, p := range payloads {
		pipe.XAdd(context.Background(), &redis.XAddArgs{Stream: "work", MaxLen: most, Values: []string{"payload", p}})
	}
	if _, err := pipe.Exec(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// looksTwice waits until one or two subscriptions have looked for what was trimmed.
func looksTwice(t *testing.T, server *redistest.Server) {
	t.Helper()
	asked := func() int {
		stats, err := server.Client().Info(context.Background(), "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		_, stats, _ = strings.Cut(stats, "cmdstat_xinfo|groups:calls=")
		stats, _, _ = strings.Cut(stats, ",")
		n, _ := strconv.Atoi(stats)
		return n
	}
	before := asked()
	eventually(t, "progress is asked for", func() bool { return asked() >= before+4 })
}

// Entries that are trimmed while no router runs are counted, once by one of the group.
func TestStreamTrimmedUndelivered(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	first := open(t, server.URL())
	messages := subscribe(t, first, workers(first, StreamConfig{MaxBatch: 64}), "work")
	xadd(t, server.Client(), texts(10)...)
	collect(t, messages, 10)
	eventually(t, "everything is acknowledged", func() bool { return pendingOf(t, first, "work") == 0 })
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	xaddMax(t, server.Client(), 40, texts(100)...)
	second, third := open(t, server.URL()), open(t, server.URL())
	inTwo := subscribe(t, second, workers(second, StreamConfig{MaxBatch: 64}), "work")
	if got := collect(t, inTwo, 40); !slices.Equal(got, texts(100)[60:]) {
		t.Fatalf("got %q", got)
	}
	subscribe(t, third, workers(third, StreamConfig{MaxBatch: 64}), "work")
	looksTwice(t, server)
	if a, b, c := first.lost.events(LossTrimmed), second.lost.events(LossTrimmed), third.lost.events(LossTrimmed); a != 0 || b != 60 || c != 0 {
		t.Errorf("reported as trimmed: %d, %d, %d, want 0, 60, 0", a, b, c)
	}
	if second.log.count("trimmed before they were delivered") != 1 {
		t.Error("it was not logged once")
	}
}

// A Redis that has read its append-only file again may not know how far its groups were: what
// it has forgotten is not lost, and what is trimmed afterwards is counted as ever.
func TestStreamOfARedisThatForgotItsCounts(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.AOF())
	for _, stays := range []bool{true, false} { // the router that was there before, or another one
		n := open(t, server.URL())
		messages := subscribe(t, n, workers(n, StreamConfig{MaxBatch: 64}), "work")
		xadd(t, server.Client(), texts(10)...)
		collect(t, messages, 10)
		eventually(t, "everything is acknowledged", func() bool { return pendingOf(t, n, "work") == 0 })
		looksTwice(t, server) // the run is noted
		if !stays {
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
		}
		server.Stop()
		server.Restart()
		if !stays {
			n = open(t, server.URL())
			messages = subscribe(t, n, workers(n, StreamConfig{MaxBatch: 64}), "work")
		}
		xadd(t, server.Client(), texts(3)...)
		collect(t, messages, 3)
		eventually(t, "everything is acknowledged", func() bool { return pendingOf(t, n, "work") == 0 })
		looksTwice(t, server)
		if lost := n.lost.events(LossTrimmed); lost != 0 {
			t.Errorf("the router that stays: %v: %d entries are said to be lost, and none is", stays, lost)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		xaddMax(t, server.Client(), 40, texts(100)...)
		n = open(t, server.URL())
		messages = subscribe(t, n, workers(n, StreamConfig{MaxBatch: 64}), "work")
		collect(t, messages, 40)
		looksTwice(t, server)
		if lost := n.lost.events(LossTrimmed); lost != 60 {
			t.Errorf("the router that stays: %v: %d entries are said to be lost, want 60", stays, lost)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// What is trimmed while a slow router runs is counted too, also when the group has passed
// the gap before anybody looked.
func TestStreamTrimmedAhead(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	nodes := []node{open(t, server.URL()), open(t, server.URL())}
	a := subscribe(t, nodes[0], workers(nodes[0], StreamConfig{MaxBatch: 1, InFlight: 4}), "work")
	xadd(t, server.Client(), texts(20)...)
	held := receive(t, a)
	eventually(t, "the window is full", func() bool { return pendingOf(t, nodes[0], "work") == 4 })
	xaddMax(t, server.Client(), 3, texts(20)...) // 16 and 17 of these
	held.Ack()
	for range 3 + 3 {
		receive(t, a).Ack()
	}
	subscribe(t, nodes[1], workers(nodes[1], StreamConfig{}), "work")
	looksTwice(t, server)
	if lost := nodes[0].lost.events(LossTrimmed) + nodes[1].lost.events(LossTrimmed); lost != 33 {
		t.Errorf("%d reported as trimmed, want 33", lost)
	}
}

// Nothing is reported that was not lost, or that nobody can know of.
func TestStreamNotTrimmed(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t *testing.T, c *redis.Client){
		"a new group on a trimmed stream": func(t *testing.T, c *redis.Client) {
			t.Helper()
			xaddMax(t, c, 5, texts(20)...)
		},
		"a group of another program, which read nothing yet": func(t *testing.T, c *redis.Client) {
			t.Helper()
			xaddMax(t, c, 100, texts(8)...)
			if err := c.XGroupCreate(t.Context(), "work", "bot", "2-0").Err(); err != nil {
				t.Fatal(err)
			}
			xaddMax(t, c, 5, texts(20)...)
		},
		"deleted, not trimmed": func(t *testing.T, c *redis.Client) {
			t.Helper()
			makeGroup(t, c)
			ids := xadd(t, c, texts(10)...)
			steal(t, c, "python", 2)
			c.XAck(t.Context(), "work", "bot", ids[:2]...)
			c.XDel(t.Context(), "work", ids[:5]...)
		},
		"deleted by who has handled it": func(t *testing.T, c *redis.Client) {
			t.Helper()
			makeGroup(t, c)
			ids := xadd(t, c, texts(10)...)
			steal(t, c, "python", 5)
			c.XAck(t.Context(), "work", "bot", ids[:5]...)
			c.XDel(t.Context(), "work", ids[:5]...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			prepare(t, server.Client())
			n := open(t, server.URL())
			messages := subscribe(t, n, workers(n, StreamConfig{MaxBatch: 64}), "work")
			collect(t, messages, 5)
			looksTwice(t, server)
			if lost := n.lost.events(LossTrimmed); lost != 0 {
				t.Errorf("%d reported as trimmed", lost)
			}
			if told := n.log.count("deleted before they were delivered"); (told != 0) != (name == "deleted, not trimmed") {
				t.Errorf("%d lines about deleted entries", told)
			}
			// From now on it is known.
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
			xaddMax(t, server.Client(), 4, texts(10)...)
			again := open(t, server.URL())
			collect(t, subscribe(t, again, workers(again, StreamConfig{MaxBatch: 64}), "work"), 4)
			looksTwice(t, server)
			if lost := again.lost.events(LossTrimmed); lost != 6 {
				t.Errorf("%d reported as trimmed, want 6", lost)
			}
		})
	}
}

// A group that is made again counts from nothing.
func TestStreamTrimmedGroupMadeAgain(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	messages := subscribe(t, n, workers(n, StreamConfig{MaxBatch: 64}), "work")
	lose := func() { // 7 of 10, in one step
		pipe := server.Client().TxPipeline()
		for _, text := range texts(10) {
			pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: "work", MaxLen: 3, Values: []string{"payload", text}})
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		collect(t, messages, 3)
	}
	lose()
	looksTwice(t, server)
	if err := server.Client().Del(t.Context(), "work").Err(); err != nil {
		t.Fatal(err)
	}
	ready(t, n)
	eventually(t, "the group is there again", func() bool { return pendingOf(t, n, "work") == 0 })
	lose()
	looksTwice(t, server)
	if lost := n.lost.events(LossTrimmed); lost != 14 {
		t.Errorf("%d reported as trimmed, want 14", lost)
	}
}

// Before anything is lost there is a warning.
func TestStreamTrimWarning(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	messages := subscribe(t, n, workers(n, StreamConfig{MaxBatch: 256, InFlight: 200}), "work")
	xadd(t, server.Client(), texts(1000)...)
	held := take(t, messages)
	for len(held) < 200 {
		held = append(held, take(t, messages)...)
	}
	added := 0
	eventually(t, "it is warned about", func() bool {
		if added%4 == 0 { // about one in 20 ms
			xaddMax(t, server.Client(), 1000, "more")
		}
		added++
		return n.log.count("soon events will be lost") > 0
	})
	if n.lost.events(LossTrimmed) != 0 {
		t.Fatal("it was warned about after the loss")
	}
	done(held)
	collect(t, messages, 800)
	eventually(t, "the end is told", func() bool { return n.log.count("no longer trimmed close behind") == 1 })
	if n.log.count("soon events will be lost") != 1 {
		t.Error("the warning was repeated")
	}
	if lost := n.lost.events(LossTrimmed); lost != 0 {
		t.Errorf("%d reported as trimmed: what was in hand was handled", lost)
	}
}
