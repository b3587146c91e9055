package transport

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	hubTick      = 500 * time.Millisecond
	pingAfter    = 3 * time.Second // of silence
	deadAfter    = 8 * time.Second // of silence, pings included
	refusedPause = 5 * time.Second // before asking again for what was refused
)

var errSilent = fmt.Errorf("no answer for %v", deadAfter)

// hubConn is the hub's connection of the moment. It never reconnects.
type hubConn struct {
	h   *hub
	ps  *redis.PubSub
	ctx context.Context // marked noDial, for the two goroutines
	end context.CancelFunc

	// Of the run goroutine.
	asked    map[topicKey]*topic // what this connection subscribed to
	lastPing time.Time
	lastTick time.Time
	lastLoss time.Time // when overflows were last reported

	began    time.Time
	lastRead atomic.Int64 // Unix ns
	heardAt  atomic.Int64 // the same, in ns since began: a clock that is set back says too little
	lostAt   time.Time    // set before the end; guarded by dead

	dead chan struct{} // closed when the reader ended
	err  error         // why; guarded by dead

	mu      sync.Mutex
	replies []*topic // awaited answers, in order: nil stands for a ping or an unsubscription
	gaps    int      // topics confirmed again
	blind   time.Duration
	asking  int // subscriptions not answered yet
}

func newHubConn(h *hub, client *redis.Client) *hubConn {
	ctx, end := context.WithCancel(noDial(h.ctx))
	return &hubConn{
		h:     h,
		began: time.Now(),
		ps:    client.Subscribe(h.ctx),
		ctx:   ctx,
		end:   end,
		asked: make(map[topicKey]*topic),
		dead:  make(chan struct{}),
	}
}

// live connects, and serves the connection until it is lost or the hub ends. It
// reports whether Redis was reached.
func (c *hubConn) live() (reached bool) {
	defer c.end()
	c.lostAt = time.Now()
	if err := c.ps.Ping(c.h.ctx); err != nil {
		_ = c.ps.Close()
		c.h.r.link.down(err)
		return false
	}
	if err := c.h.r.clock.ensure(c.h.ctx); err != nil && !isReply(err) { // an answer of any kind is no reason to be deaf
		_ = c.ps.Close()
		c.h.r.link.down(err)
		return false
	}
	now := time.Now()
	c.replies = append(c.replies, nil)
	c.lastPing, c.lastTick, c.lastLoss = now, now, now
	c.heard(now)
	go c.read()
	silent := c.serve()
	_ = c.ps.Close()
	<-c.dead
	c.lostAt = time.Now()
	if silent {
		// Nobody knows since when the other side was gone.
		c.lostAt = c.lostAt.Add(-c.quiet(c.lostAt))
		c.err = errSilent // rather than that we closed it
	}
	if c.h.ctx.Err() == nil {
		c.h.r.link.down(c.err)
	}
	return true
}

// serve writes what is to be written. It reports whether it gave up a silent connection.
func (c *hubConn) serve() (silent bool) {
	ticker := time.NewTicker(hubTick)
	defer ticker.Stop()
	c.reconcile()
	for {
		select {
		case <-c.dead:
			return false
		case <-c.h.ctx.Done():
			return false
		case <-c.h.changed:
			c.reconcile()
		case now := <-ticker.C:
			if c.tick(now) {
				return true
			}
		}
	}
}

// heard notes a sign of life.
func (c *hubConn) heard(now time.Time) {
	c.lastRead.Store(now.UnixNano())
	c.heardAt.Store(int64(now.Sub(c.began)))
}

// quiet is how long there was none, by the clock that says more: see elapsed.
func (c *hubConn) quiet(now time.Time) time.Duration {
	return max(now.Sub(time.Unix(0, c.lastRead.Load())), now.Sub(c.began)-time.Duration(c.heardAt.Load()))
}

// tick pings a quiet connection and reports whether it has been quiet for too long.
func (c *hubConn) tick(now time.Time) (silent bool) {
	if now.Sub(c.lastTick) > 2*time.Second {
		c.heard(now) // it was us who slept
	}
	c.lastTick = now
	c.reconcile()
	if now.Sub(c.lastLoss) >= time.Second {
		c.lastLoss = now
		c.h.reportDropped()
	}
	quiet := c.quiet(now)
	if quiet >= deadAfter {
		return true
	}
	if quiet >= pingAfter && now.Sub(c.lastPing) >= pingAfter {
		c.lastPing = now
		c.await(nil)
		_ = c.ps.Ping(c.ctx) // a failure ends the reader
	}
	return false
}

// reconcile subscribes to what is wanted and not asked for, and the other way round.
func (c *hubConn) reconcile() {
	var add, remove []topicKey
	now := time.Now()
	c.h.mu.Lock()
	for key, t := range c.h.topics {
		again := t.refused && !t.confirmed && !t.retryAt.IsZero() && now.After(t.retryAt)
		if c.asked[key] != t || again {
			t.retryAt = time.Time{}
			c.asked[key] = t
			add = append(add, key)
		}
	}
	for key := range c.asked {
		if c.h.topics[key] == nil {
			remove = append(remove, key)
		}
	}
	c.h.mu.Unlock()
	// One command for each name, so that a refusal concerns this name only.
	for _, key := range add {
		c.await(c.asked[key]) // all of them first: a gap is logged when all are answered
	}
	for _, key := range add {
		if key.pattern {
			_ = c.ps.PSubscribe(c.ctx, key.name)
		} else {
			_ = c.ps.Subscribe(c.ctx, key.name)
		}
	}
	for _, key := range remove {
		delete(c.asked, key)
		c.await(nil)
		if key.pattern {
			_ = c.ps.PUnsubscribe(c.ctx, key.name)
		} else {
			_ = c.ps.Unsubscribe(c.ctx, key.name)
		}
	}
}

// await notes, before a command is written, whose answer comes next.
func (c *hubConn) await(t *topic) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replies = append(c.replies, t)
	if t != nil {
		c.asking++
	}
}

// read queues messages until the connection fails.
func (c *hubConn) read() {
	defer close(c.dead)
	for {
		received, err := c.ps.Receive(c.ctx)
		now := time.Now()
		if err != nil && !isReply(err) {
			c.err = err
			return
		}
		c.heard(now)
		if err != nil {
			c.answered(err)
			continue
		}
		if msg, ok := received.(*redis.Message); ok {
			c.h.dispatch(msg, c.h.r.clock.at(now).UnixNano())
		} else {
			c.answered(nil)
		}
	}
}

// answered matches an answer with the command it belongs to.
func (c *hubConn) answered(err error) {
	c.mu.Lock()
	if len(c.replies) == 0 {
		c.mu.Unlock()
		return
	}
	t := c.replies[0]
	c.replies = c.replies[1:]
	c.mu.Unlock()
	c.h.r.link.up()
	if t == nil {
		return
	}
	var blind time.Duration
	if err != nil {
		c.h.refuse(t, err)
	} else {
		blind = c.h.confirm(t)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asking--
	if blind > 0 {
		c.gaps++
		c.blind = max(c.blind, blind)
	}
	if c.asking == 0 && c.gaps > 0 {
		c.h.log.Warn("pubsub was blind; events published meanwhile are lost",
			"topics", c.gaps, "blind", c.blind)
		c.gaps, c.blind = 0, 0
	}
}
