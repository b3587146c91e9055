package transport

import (
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/internal/redistest"
	"signalbox/router/internal/batch"
)

// More may be in flight from one moment to the next, and less.
func TestLimitWhileItRuns(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	makeGroup(t, server.Client())
	stream := n.Stream(StreamConfig{Group: "bot", MaxBatch: 64, InFlight: 2})
	pubsub := n.PubSub(PubSubConfig{MaxBatch: 64, InFlight: 2})
	for name, tc := range map[string]struct {
		*Subscriber
		topic string
		send  func(...string)
	}{
		"stream": {stream, "work", func(texts ...string) { xadd(t, server.Client(), texts...) }},
		"pubsub": {pubsub, "news", func(texts ...string) {
			for _, text := range texts {
				server.Client().Publish(t.Context(), "news", text)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			messages := subscribe(t, n, tc.Subscriber, tc.topic)
			tc.send(texts(20)...)
			held := takeAll(t, messages, 2)
			none(t, messages, 50*time.Millisecond)
			tc.Limit(Limits{InFlight: 10})
			held = append(held, takeAll(t, messages, 8)...)
			none(t, messages, 50*time.Millisecond)
			tc.Limit(Limits{InFlight: 1})
			for _, item := range held[1:] {
				item.Owner.Done(item)
			}
			none(t, messages, 50*time.Millisecond)
			held[0].Owner.Done(held[0])
			for range 10 {
				one := takeAll(t, messages, 1)[0]
				one.Owner.Done(one)
			}
		})
	}
}

// takeAll takes over n entries, in as many batches as they come.
func takeAll(t *testing.T, messages <-chan *message.Message, n int) []*batch.Item {
	t.Helper()
	var items []*batch.Item
	for len(items) < n {
		items = append(items, take(t, messages)...)
	}
	if len(items) > n {
		t.Fatalf("%d are in flight, want %d", len(items), n)
	}
	return items
}
