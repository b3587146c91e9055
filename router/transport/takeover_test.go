package transport

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/redis/go-redis/v9"

	"signalbox/internal/redistest"
	"signalbox/router/internal/batch"
)

// startVictim runs this test binary as a consumer and returns how to kill it, when it
// has count entries in hand.
func startVictim(t *testing.T, url string, count int) (kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"="+url)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(kill)
	lines := bufio.NewScanner(out)
	for count > 0 {
		if !lines.Scan() {
			t.Fatal("the victim ended by itself")
		}
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Fatal(err)
		}
		count -= n
	}
	return kill
}

func TestTakeoverFromDeadProcess(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	makeGroup(t, server.Client())
	want := texts(300)
	xadd(t, server.Client(), want...)
	kill := startVictim(t, server.URL(), len(want))
	n := open(t, server.URL())
	messages := subscribe(t, n, workers(n, StreamConfig{MaxBatch: 64}), "work")
	none(t, messages, 50*time.Millisecond) // while it lives, nobody touches them
	kill()
	died := time.Now()

	items := take(t, messages)
	if took := time.Since(died); took > 10*time.Second {
		t.Fatalf("takeover began after %v", took)
	}
	none(t, messages, 50*time.Millisecond)
	if len(items) != 1 {
		t.Fatalf("%d entries were handed over at once", len(items))
	}
	if items[0].Deliveries != 2 {
		t.Errorf("the entry says %d deliveries, want 2", items[0].Deliveries)
	}
	// All are ours, and only the one in hand has one delivery more.
	pending, err := server.Client().XPendingExt(t.Context(), &redis.XPendingExtArgs{
		Stream: "work", Group: "bot", Start: "-", End: "+", Count: 1000,
	}).Result()
	if err != nil || len(pending) != len(want) {
		t.Fatalf("%d entries are pending, %v", len(pending), err)
	}
	for _, p := range pending {
		deliveries := int64(1)
		if p.ID == items[0].ID {
			deliveries = 2
		}
		if p.Consumer != n.Consumer() || p.RetryCount != deliveries {
			t.Fatalf("pending %+v, want %d deliveries and consumer %s", p, deliveries, n.Consumer())
		}
	}
	// New entries need not wait for the old ones.
	xadd(t, server.Client(), "new")
	if got := collect(t, messages, 1); got[0] != "new" {
		t.Fatalf("got %s", got)
	}
	done(items)
	seen := map[string]bool{string(items[0].Payload): true}
	for _, text := range collect(t, messages, len(want)-1) {
		seen[text] = true
	}
	if len(seen) != len(want) {
		t.Fatalf("%d of %d entries were taken over", len(seen), len(want))
	}
	eventually(t, "everything is acknowledged", func() bool { return pendingOf(t, n, "work") == 0 })
}

// An entry that was handled must not gather another delivery because the one after it
// kills the process: its acknowledgement is there before the next is fetched.
func TestTakeoverAcknowledgesOneByOne(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	makeGroup(t, server.Client())
	want := texts(20)
	xadd(t, server.Client(), want...)
	steal(t, server.Client(), consumerPrefix+"host-1-dead", len(want))
	n := open(t, server.URL())
	messages := subscribe(t, n, workers(n, StreamConfig{MaxBatch: 64}), "work")
	for handled := range want {
		items := take(t, messages)
		if left := pendingOf(t, n, "work"); left != len(want)-handled {
			t.Fatalf("%d entries were handled, and %d of %d are pending when the next is handed over", handled, left, len(want))
		}
		done(items)
	}
}

func TestTakeoverByTwo(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	makeGroup(t, server.Client())
	want := texts(2000)
	xadd(t, server.Client(), want...)
	steal(t, server.Client(), consumerPrefix+"host-1-dead", len(want))

	var mu sync.Mutex
	seen := make(map[string]int)
	all := make(chan struct{})
	for range 2 {
		n := open(t, server.URL())
		messages, err := workers(n, StreamConfig{MaxBatch: 16}).Subscribe(t.Context(), "work")
		if err != nil {
			t.Fatal(err)
		}
		go func(messages <-chan *message.Message) {
			for msg := range messages {
				mu.Lock()
				for _, item := range batch.FromContext(msg.Context()).Items {
					if seen[string(item.Payload)]++; len(seen) == len(want) && seen[string(item.Payload)] == 1 {
						close(all)
					}
				}
				mu.Unlock()
				msg.Ack()
			}
		}(messages)
	}
	select {
	case <-all:
	case <-time.After(patience):
		t.Fatal("not everything was taken over")
	}
	eventually(t, "everything is acknowledged", func() bool {
		p, err := server.Client().XPending(context.Background(), "work", "bot").Result()
		return err == nil && p.Count == 0
	})
	mu.Lock()
	defer mu.Unlock()
	for text, times := range seen {
		if times != 1 {
			t.Fatalf("%s was delivered %d times", text, times)
		}
	}
}

// In a Redis that is full, what is stored can still be consumed.
func TestAliveInFullRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	messages := subscribe(t, n, workers(n, StreamConfig{MaxBatch: 16}), "work")
	xadd(t, server.Client(), texts(3)...)
	if err := server.Client().ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := n.StreamPublisher(0).Publish("work", messagesOf("x")...); !hasReply(err, "OOM") {
		t.Fatalf("redis is not full: %v", err)
	}
	collect(t, messages, 3)
	before := *n.alive.last.Load()
	eventually(t, "the mark is renewed", func() bool { return n.alive.last.Load().After(before) })
}

// What was queued when Redis lost everything is still handled, also when our mark was
// lost with it.
func TestStreamQueueOutlivesGroup(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	messages := subscribe(t, n, workers(n, StreamConfig{}), "work")
	xadd(t, server.Client(), texts(5)...)
	first := receive(t, messages)
	eventually(t, "all are read", func() bool { return pendingOf(t, n, "work") == 5 })
	server.Client().FlushAll(t.Context())
	eventually(t, "the group is made again", func() bool { return pendingOf(t, n, "work") == 0 })
	n.alive.age(2 * aliveTTL)
	first.Ack()
	collect(t, messages, 4)
}
