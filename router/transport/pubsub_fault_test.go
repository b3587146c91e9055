package transport

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"signalbox/internal/redistest"
	"signalbox/router/internal/batch"
)

func TestPubSubGap(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	exact := n.PubSub(PubSubConfig{MaxBatch: 16})
	a, b := subscribe(t, n, exact, "a"), subscribe(t, n, exact, "b")
	pattern := subscribe(t, n, n.PubSub(PubSubConfig{Pattern: true}), "c.*")
	server.Kill()
	cut := time.Now()
	eventually(t, "the loss is noticed", func() bool { return n.log.count("redis is away") == 1 })
	server.Restart()
	ready(t, n)
	blind := time.Since(cut)
	for _, topic := range []string{"a", "b", "c.1"} {
		server.Client().Publish(t.Context(), topic, topic)
	}
	collect(t, a, 1)
	collect(t, b, 1)
	if msg := receive(t, pattern); batch.FromContext(msg.Context()).Items[0].Topic != "c.1" {
		t.Fatal("the item does not have the name it came on")
	} else {
		msg.Ack()
	}
	eventually(t, "the gap is logged", func() bool { return n.log.count("pubsub was blind") == 1 })
	gaps := n.lost.gaps()
	if len(gaps) != 3 {
		t.Fatalf("gaps %+v, want one for each topic", gaps)
	}
	for _, gap := range gaps {
		if (gap.Blind - blind).Abs() > time.Second {
			t.Fatalf("%s was blind for %v, reported %v", gap.Topic, blind, gap.Blind)
		}
	}
}

func TestPubSubHalfOpen(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	messages := subscribe(t, n, n.PubSub(PubSubConfig{}), "ch")
	server.Pause()
	begin := time.Now()
	eventually(t, "the silence is noticed", func() bool { return n.log.count("redis is away") == 1 })
	if took := time.Since(begin); took > 10*time.Second {
		t.Fatalf("a silent connection was noticed after %v", took)
	}
	if n.log.count("no answer for 8s") != 1 {
		t.Errorf("the log doesn't say why:\n%s", n.log)
	}
	server.Resume()
	eventually(t, "the gap is reported", func() bool { return len(n.lost.gaps()) == 1 })
	server.Client().Publish(t.Context(), "ch", "a")
	collect(t, messages, 1)
}

func TestPubSubOverflow(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]PubSubConfig{
		"events": {MaxBatch: 8, Queue: 100},
		"bytes":  {MaxBatch: 8, QueueBytes: 3000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			n := open(t, server.URL())
			messages := subscribe(t, n, n.PubSub(config), "ch")
			const published = 5000
			var want []string
			for i := range published {
				want = append(want, fmt.Sprintf("event %09d", i))
			}
			if err := n.PubSubPublisher().Publish("ch", messagesOf(want...)...); err != nil {
				t.Fatal(err)
			}
			received := len(take(t, messages))
			last := ""
			for last != want[published-1] {
				for _, item := range take(t, messages) {
					received++
					if last = string(item.Payload); len(last) != len(want[0]) {
						t.Fatalf("got %q", last)
					}
					item.Owner.Done(item)
				}
			}
			eventually(t, "what was dropped is counted", func() bool {
				return received+n.lost.events(LossOverflow) == published
			})
			if received == published {
				t.Fatal("nothing overflowed")
			}
			if lines := n.log.count("queue overflowed"); lines == 0 || lines > 3 {
				t.Fatalf("%d log lines", lines)
			}
		})
	}
}

// A slow consumer sees the current price of every symbol, however many it has missed.
func TestPubSubNewestPerKey(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	messages := subscribe(t, n, n.PubSub(PubSubConfig{Pattern: true, Queue: 100, InFlight: 1, Key: func(topic string, _ []byte) string { return topic }}), "price.*")
	publish := func(from, to int) {
		pipe := server.Client().Pipeline()
		for i := from; i < to; i++ {
			pipe.Publish(t.Context(), fmt.Sprint("price.", i%20), i)
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	publish(0, 1)
	slow := receive(t, messages)
	for round := 1; round <= 3; round++ {
		publish(5000*(round-1)+1, 5000*round+1)
		// What waits is one event for each symbol.
		dropped := 5000*round - 20*round
		eventually(t, "the others are reported", func() bool { return n.lost.events(LossOverflow) == dropped })
		for i := range 20 {
			slow.Ack()
			slow = receive(t, messages)
			got, _ := strconv.Atoi(string(slow.Payload))
			if got <= 5000*round-20 || got > 5000*round {
				t.Fatalf("round %d: the %d. event is %d, want the current one", round, i, got)
			}
		}
	}
	slow.Ack()
	publish(0, 50)
	for i := range 50 { // nothing is replaced any more
		if msg := receive(t, messages); string(msg.Payload) != fmt.Sprint(i) {
			t.Fatalf("got %s, want %d", msg.Payload, i)
		} else {
			msg.Ack()
		}
	}
	if n.log.count("events dropped for newer ones of their keys") < 3 {
		t.Error("it is not logged")
	}
}

func TestPubSubRefusedTopic(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	acl := func(rules ...any) {
		if err := server.Client().Do(t.Context(), append([]any{"ACL", "SETUSER", "bot"}, rules...)...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	acl("on", ">secret", "~*", "+@all", "resetchannels", "&ok")
	n := open(t, strings.Replace(server.URL(), "redis://", "redis://bot:secret@", 1))
	sub := n.PubSub(PubSubConfig{})
	forbidden, err := sub.Subscribe(t.Context(), "no")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the refusal is logged", func() bool { return n.log.count("refuses the subscription") == 1 })
	permitted, err := sub.Subscribe(t.Context(), "ok")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other topic is subscribed to", func() bool {
		return server.Client().PubSubNumSub(t.Context(), "ok").Val()["ok"] == 1
	})
	server.Client().Publish(t.Context(), "ok", "a")
	collect(t, permitted, 1)
	acl("&no")
	ready(t, n)
	server.Client().Publish(t.Context(), "no", "b")
	collect(t, forbidden, 1)
	if n.log.count("refuses the subscription") != 1 {
		t.Fatal("the refusal was logged more than once")
	}
}

func TestPubSubUnsubscribes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	sub := n.PubSub(PubSubConfig{})
	subscribe(t, n, sub, "ch")
	if err := sub.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "redis has no subscriber", func() bool {
		return server.Client().PubSubNumSub(t.Context(), "ch").Val()["ch"] == 0
	})
	again := subscribe(t, n, n.PubSub(PubSubConfig{}), "ch")
	server.Client().Publish(t.Context(), "ch", "a")
	collect(t, again, 1)
	if len(n.lost.gaps()) != 0 {
		t.Fatal("a new subscription was reported as a gap")
	}
}

// An ended subscription hands over what it has queued before it closes its channel.
func TestPubSubDrains(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	sub := n.PubSub(PubSubConfig{MaxBatch: 8, InFlight: 16})
	messages := subscribe(t, n, sub, "ch")
	server.Client().Publish(t.Context(), "ch", "first")
	first := receive(t, messages)
	if err := n.PubSubPublisher().Publish("ch", messagesOf(texts(500)...)...); err != nil {
		t.Fatal(err)
	}
	n.hub.mu.Lock()
	inside := n.hub.topics[topicKey{name: "ch"}].subs[0]
	n.hub.mu.Unlock()
	eventually(t, "all are queued", func() bool {
		inside.mu.Lock()
		defer inside.mu.Unlock()
		return inside.queue.Len() == 500
	})
	closed := make(chan error, 1)
	go func() { closed <- sub.Close() }()
	eventually(t, "nothing more is taken from redis", func() bool {
		return server.Client().PubSubNumSub(t.Context(), "ch").Val()["ch"] == 0
	})
	first.Ack()
	collect(t, messages, 500)
	ended(t, messages)
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if lost := n.lost.events(LossShutdown); lost != 0 {
		t.Fatalf("%d events were reported as lost", lost)
	}
}

// This machine's clock was set back by an hour after the last sign of life: that the
// connection is silent is noticed all the same.
func TestPubSubHalfOpenAndClockSetBack(t *testing.T) {
	n := open(t, "redis://127.0.0.1:1")
	c := newHubConn(n.hub, n.writer)
	defer c.end()
	now := time.Now()
	c.began = now.Add(-deadAfter - time.Second)
	c.heard(c.began)
	c.lastRead.Store(now.Add(time.Hour - deadAfter).UnixNano())
	c.lastTick, c.lastPing, c.lastLoss = now.Add(-hubTick), now, now
	if !c.tick(now) {
		t.Error("it is kept, for an hour")
	}
}
