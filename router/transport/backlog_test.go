package transport

import (
	"context"
	"testing"
	"time"

	"signalbox/internal/redistest"
	"signalbox/router/internal/batch"
)

// What waits and what is in hand is told, and nothing when all is done.
func TestBacklog(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	stream := n.Stream(StreamConfig{Group: "bot", MaxBatch: 4, InFlight: 64})
	pubsub := n.PubSub(PubSubConfig{MaxBatch: 4, InFlight: 4})
	publish := map[*Subscriber]func(string){
		stream: func(text string) {
			if err := n.StreamPublisher(1000).Publish("s", messagesOf(text)...); err != nil {
				t.Fatal(err)
			}
		},
		pubsub: func(text string) { server.Client().Publish(t.Context(), "p", text) },
	}
	for sub, topic := range map[*Subscriber]string{stream: "s", pubsub: "p"} {
		messages := subscribe(t, n, sub, topic)
		for _, text := range texts(20) {
			publish[sub](text)
		}
		var open []*batch.Item
		for len(open) < 4 { // the first may come alone
			open = append(open, take(t, messages)...)
		}
		eventually(t, topic+": all is counted, handed over or not", func() bool {
			queued, inHand := sub.Backlog()
			return queued+inHand == 20 && inHand >= len(open)
		})
		for _, item := range open {
			item.Owner.Done(item)
		}
		collect(t, messages, 20-len(open))
		eventually(t, topic+": nothing is left", func() bool {
			queued, inHand := sub.Backlog()
			return queued == 0 && inHand == 0
		})
		if err := sub.Close(); err != nil {
			t.Fatal(err)
		}
		if queued, inHand := sub.Backlog(); queued != 0 || inHand != 0 {
			t.Errorf("%s: %d and %d after the end", topic, queued, inHand)
		}
	}
}

// How often Redis came back is counted, and it is known when it is away.
func TestLink(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	subscribe(t, n, n.PubSub(PubSubConfig{}), "ch")
	if link := n.Link(); link != (LinkStatus{}) {
		t.Errorf("at first %+v", link)
	}
	server.Kill()
	eventually(t, "it is away", func() bool { return n.Link().Away })
	server.Restart()
	eventually(t, "it is back", func() bool { return n.Link() == LinkStatus{Reconnects: 1} })
}

// A Redis that hangs is not back because somebody gave up sending to it.
func TestLinkOfARedisThatHangs(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	if err := n.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Pause()
	defer server.Resume()
	n.link.down(errSilent)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := n.PubSubPublisher().Send(ctx, "ch", messagesOf("a")...)
	if err == nil || !n.Link().Away {
		t.Errorf("%v, %+v", err, n.Link())
	}
}
