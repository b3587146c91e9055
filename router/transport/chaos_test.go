package transport

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/redis/go-redis/v9"

	"signalbox/internal/redistest"
	"signalbox/router/internal/batch"
)

// ledger is what was acknowledged to the producer and what was handled.
type ledger struct {
	mu      sync.Mutex
	added   []string
	handled map[string]int
}

func (l *ledger) missing() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, text := range l.added {
		if l.handled[text] == 0 {
			n++
		}
	}
	return n
}

// produce adds events until ctx ends, and notes those that Redis acknowledged.
func (l *ledger) produce(ctx context.Context, addr string) {
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, PoolSize: 1000, DisableIdentity: true})
	defer func() { _ = client.Close() }()
	for i := 0; ctx.Err() == nil; i++ {
		text := fmt.Sprint(i)
		err := client.XAdd(ctx, &redis.XAddArgs{Stream: "work", Values: []string{"payload", text}}).Err()
		if err == nil {
			l.mu.Lock()
			l.added = append(l.added, text)
			l.mu.Unlock()
		} else {
			pause(ctx, time.Millisecond)
		}
	}
}

// consume completes events in any order and after a while, as workers would.
func (l *ledger) consume(messages <-chan *message.Message) {
	for msg := range messages {
		for _, item := range batch.FromContext(msg.Context()).Take() {
			time.AfterFunc(rand.N(3*time.Millisecond), func() {
				l.mu.Lock()
				l.handled[string(item.Payload)]++
				l.mu.Unlock()
				item.Owner.Done(item)
			})
		}
		msg.Ack()
	}
}

// Redis is killed again and again while two replicas work, one of which is replaced:
// everything that was acknowledged to the producer is handled.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.AOF())
	l := &ledger{handled: make(map[string]int)}
	var consumers, producer sync.WaitGroup
	work := func() node {
		n := open(t, server.URL())
		messages, err := workers(n, StreamConfig{MaxBatch: 32, ClaimAfter: 5 * time.Second}).Subscribe(t.Context(), "work")
		if err != nil {
			t.Fatal(err)
		}
		consumers.Go(func() { l.consume(messages) })
		return n
	}
	first, second := work(), work()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	producer.Go(func() { l.produce(ctx, server.Addr()) })
	handled := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.handled)
	}
	for range 4 {
		before := handled()
		eventually(t, "events are handled", func() bool { return handled() > before+200 })
		server.Kill()
		server.Restart()
	}
	_ = first.Close()
	third := work()
	before := handled()
	eventually(t, "events are handled", func() bool { return handled() > before+200 })
	cancel()
	producer.Wait()
	eventually(t, "everything is handled", func() bool { return l.missing() == 0 })
	eventually(t, "nothing is pending", func() bool { return pendingOf(t, third, "work") == 0 })
	_, _ = second.Close(), third.Close()
	consumers.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	again := 0
	for _, times := range l.handled {
		again += times - 1
	}
	t.Logf("%d events, %d handled again", len(l.handled), again)
}
