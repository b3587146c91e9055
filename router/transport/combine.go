package transport

import (
	"context"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"
)

// combineMost is how many commands go together, at most.
const combineMost = 4 * publishSlice

// combiner sends what callers want to send at the same time in one pipeline. Who finds
// nobody sending sends at once, so nobody waits for company; who comes meanwhile is sent
// next, together with all others that came, in the order in which they came. Databases
// know that as group commit.
type combiner struct {
	client *redis.Client

	mu      sync.Mutex
	sending bool
	queue   []*parcel
}

// parcel is the commands of one caller.
type parcel struct {
	cmds []redis.Cmder
	sent chan struct{} // closed when each of them has its answer, or an error
}

// send carries commands out; each has its own error then. An error of send itself is that
// of ctx, which ended before the outcome was known: then no command may be looked at.
func (c *combiner) send(ctx context.Context, cmds []redis.Cmder) error {
	c.mu.Lock()
	if !c.sending {
		c.sending = true
		c.mu.Unlock()
		c.exec(ctx, cmds)
		c.goOn()
		return nil
	}
	p := &parcel{cmds: cmds, sent: make(chan struct{})}
	c.queue = append(c.queue, p)
	c.mu.Unlock()
	select {
	case <-p.sent:
		return nil
	case <-ctx.Done():
		c.withdraw(p)
		return ctx.Err()
	}
}

// withdraw takes back a parcel that is not on its way yet.
func (c *combiner) withdraw(p *parcel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = slices.DeleteFunc(c.queue, func(other *parcel) bool { return other == p })
}

// goOn lets somebody send who has come meanwhile.
func (c *combiner) goOn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sending = len(c.queue) > 0; c.sending {
		go c.sendQueue()
	}
}

// sendQueue sends until nobody waits. Those whom it sends for wait for it.
func (c *combiner) sendQueue() {
	for {
		parcels, cmds := c.take()
		if len(parcels) == 0 {
			return
		}
		c.exec(context.Background(), cmds) // as long as the client's time-outs allow
		for _, p := range parcels {
			close(p.sent)
		}
	}
}

// take returns the parcels that go next, and all their commands.
func (c *combiner) take() (parcels []*parcel, cmds []redis.Cmder) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.queue {
		if len(cmds) > 0 && len(cmds)+len(p.cmds) > combineMost {
			break
		}
		parcels, cmds = append(parcels, p), append(cmds, p.cmds...)
	}
	c.queue = slices.Delete(c.queue, 0, len(parcels))
	c.sending = len(parcels) > 0
	return parcels, cmds
}

func (c *combiner) exec(ctx context.Context, cmds []redis.Cmder) {
	pipe := c.client.Pipeline()
	for _, cmd := range cmds {
		_ = pipe.Process(ctx, cmd) // queues it
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
}
