package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/internal/redistest"
)

// pipelines counts round trips, and holds up the first until it is released.
type pipelines struct {
	n       atomic.Int64
	began   chan struct{}
	release chan struct{}
}

func (p *pipelines) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}
func (p *pipelines) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (p *pipelines) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if p.n.Add(1) == 1 {
			close(p.began)
			<-p.release
		}
		return next(ctx, cmds)
	}
}

// Who publishes while somebody else does goes with all others who do, and gets its own
// answers and errors; what each sends stays in order.
func TestCombine(t *testing.T) {
	t.Parallel()
	n := realRedis(t)
	n.Client().Set(t.Context(), "text", "x", 0)
	hook := &pipelines{began: make(chan struct{}), release: make(chan struct{})}
	n.writer.AddHook(hook)
	pub := n.StreamPublisher(0)
	const callers = 50
	var publishing sync.WaitGroup
	publish := func(caller int) {
		publishing.Go(func() {
			for i := range 3 {
				name := fmt.Sprint(caller, "-", i)
				ids, err := pub.Send(t.Context(), "work", messagesOf(name+"a", name+"b")...)
				if err != nil || len(ids) != 2 {
					t.Errorf("%s: %q, %v", name, ids, err)
					continue
				}
				if entries := n.Client().XRange(t.Context(), "work", ids[0], ids[0]).Val(); len(entries) != 1 || entries[0].Values[payloadField] != name+"a" {
					t.Errorf("%s got the id of %v", name, entries)
				}
			}
		})
	}
	publish(0)
	<-hook.began
	for caller := 1; caller < callers; caller++ {
		publish(caller)
	}
	publishing.Go(func() {
		if err := pub.Publish("text", messagesOf("bad")...); !hasReply(err, "WRONGTYPE") {
			t.Errorf("error %v", err)
		}
	})
	eventually(t, "all wait", func() bool {
		pub.sender.mu.Lock()
		defer pub.sender.mu.Unlock()
		return len(pub.sender.queue) == callers
	})
	close(hook.release)
	publishing.Wait()
	if got := hook.n.Load(); got > 3*callers/2 {
		t.Errorf("%d round trips for %d calls", got, 3*callers+1)
	}
	entries := n.Client().XRange(t.Context(), "work", "-", "+").Val()
	if len(entries) != 3*callers*2 {
		t.Fatalf("%d entries", len(entries))
	}
	at := map[string]int{}
	for i, entry := range entries {
		at[entry.Values[payloadField].(string)] = i
	}
	for caller := range callers {
		last := -1
		for i := range 3 {
			for _, part := range "ab" {
				name := fmt.Sprint(caller, "-", i, string(part))
				if at[name] <= last {
					t.Errorf("%s stands before what was sent before it", name)
				}
				last = at[name]
			}
		}
	}
}

// Who gives up while others are sending leaves nothing behind.
func TestCombineWithdraws(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := open(t, server.URL())
	hook := &pipelines{began: make(chan struct{}), release: make(chan struct{})}
	n.writer.AddHook(hook)
	pub := n.StreamPublisher(0)
	first := make(chan error, 1)
	go func() { first <- pub.Publish("work", messagesOf("first")...) }()
	<-hook.began
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if _, err := pub.Send(ctx, "work", messagesOf("second")...); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("gave up after %v", took)
	}
	close(hook.release)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if err := pub.Publish("work", messagesOf("third")...); err != nil {
		t.Error(err)
	}
	entries := n.Client().XRange(t.Context(), "work", "-", "+").Val()
	if len(entries) != 2 || entries[0].Values[payloadField] != "first" || entries[1].Values[payloadField] != "third" {
		t.Errorf("%v", entries)
	}
}
