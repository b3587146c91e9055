package transport

import (
	"context"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/redis/go-redis/v9"

	"signalbox/internal/redistest"
	"signalbox/router/internal/batch"
)

// BenchmarkPubSub measures what arrives through Redis, published as fast as it can be.
func BenchmarkPubSub(b *testing.B) {
	server := redistest.Start(b)
	n := open(b, server.URL())
	messages := subscribe(b, n, n.PubSub(PubSubConfig{MaxBatch: 256, Queue: 1 << 20, QueueBytes: 1 << 30}), "ticks")
	tick := strings.Repeat("x", 280)
	b.ResetTimer()
	go func() {
		for sent := 0; sent < b.N; {
			pipe := server.Client().Pipeline()
			for range min(1000, b.N-sent) {
				pipe.Publish(context.Background(), "ticks", tick)
				sent++
			}
			_, _ = pipe.Exec(context.Background())
		}
	}()
	consume(messages, b.N)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// BenchmarkStream measures draining a full stream: read, hand over, acknowledge.
func BenchmarkStream(b *testing.B) {
	server := redistest.Start(b)
	n := open(b, server.URL())
	tick := strings.Repeat("x", 280)
	for added := 0; added < b.N; {
		pipe := server.Client().Pipeline()
		for range min(1000, b.N-added) {
			pipe.XAdd(context.Background(), &redis.XAddArgs{Stream: "work", Values: []string{"payload", tick}})
			added++
		}
		_, _ = pipe.Exec(context.Background())
	}
	b.ResetTimer()
	messages := subscribe(b, n, n.Stream(StreamConfig{Group: "bot", MaxBatch: 256}), "work")
	consume(messages, b.N)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// BenchmarkCodec measures what a stream entry costs: from what go-redis read to an item,
// and from a message to the arguments of XADD.
func BenchmarkCodec(b *testing.B) {
	tick := strings.Repeat("x", 280)
	b.Run("read", func(b *testing.B) {
		n := open(b, "redis://127.0.0.1:1")
		s := &streamSub{r: n.Redis, cfg: StreamConfig{MaxBatch: 256}, lifetime: &lifetime{topic: "work"}}
		reply := []any{[]any{"1700000000000-0", []any{"_watermill_message_uuid", "0190a1b2-0000-7000-8000-000000000001", "metadata", "", "payload", tick}}}
		b.ReportAllocs()
		for b.Loop() {
			records, err := recordsOf(reply)
			if err != nil {
				b.Fatal(err)
			}
			if e := s.entry(records[0]); len(e.item.Payload) != len(tick) {
				b.Fatal(e.item.Payload)
			}
		}
	})
	b.Run("write", func(b *testing.B) {
		msg := message.NewMessage("0190a1b2-0000-7000-8000-000000000001", []byte(tick))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := entryFields(msg); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkHub measures the way from the connection's reader to the consumer alone.
func BenchmarkHub(b *testing.B) {
	n := open(b, "redis://127.0.0.1:1")
	messages, err := n.PubSub(PubSubConfig{MaxBatch: 256, Queue: 1 << 22, QueueBytes: 1 << 31}).Subscribe(b.Context(), "ticks")
	if err != nil {
		b.Fatal(err)
	}
	msg := &redis.Message{Channel: "ticks", Payload: strings.Repeat("x", 280)}
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		for range b.N {
			n.hub.dispatch(msg, 1)
		}
	}()
	consume(messages, b.N)
}

func consume(messages <-chan *message.Message, n int) {
	for n > 0 {
		msg := <-messages
		items := batch.FromContext(msg.Context()).Take()
		msg.Ack()
		done(items)
		n -= len(items)
	}
}
