package routertest

import (
	"context"
	"slices"
	"sync"
	"time"
)

// clock is the time of a box, and knows when nothing is at work there.
//
// With fake time it is a simulation of discrete events: while a worker is at work or a
// message is on its way, the time stands still. When all that is left are sleepers, and
// somebody waits for what they will do, the time jumps to the first of them. So a pause of
// one route never makes an event older for another.
type clock struct {
	fake bool

	mu     sync.Mutex
	now    time.Time  // if fake
	busy   int        // workers that don't sleep, and messages that are being sent
	asleep []*sleeper // in the order in which they began
}

// sleeper is a worker that sleeps, or a waiter: somebody outside who lets the time go on.
type sleeper struct {
	until  time.Time
	waiter bool
	idle   bool // a waiter who also wakes when no worker sleeps
	early  bool // it woke for that
	awake  chan struct{}
}

// Now is the time.
func (c *clock) Now() time.Time {
	if !c.fake {
		return time.Now()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// work counts what is at work.
func (c *clock) work(change int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy += change
	c.next()
}

// sleep is how a worker waits: its router.Options.Sleep.
func (c *clock) sleep(ctx context.Context, wake <-chan struct{}, d time.Duration) {
	c.mu.Lock()
	s := &sleeper{until: c.now.Add(d), awake: make(chan struct{})}
	c.asleep = append(c.asleep, s)
	c.busy--
	c.next()
	c.mu.Unlock()
	select {
	case <-s.awake:
		return
	case <-wake:
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.asleep, s); i >= 0 { // else it was woken meanwhile, too
		c.asleep = slices.Delete(c.asleep, i, i+1)
		c.busy++
	}
}

// pass lets the time go on by d and returns when nothing is at work by then.
func (c *clock) pass(d time.Duration) {
	<-c.wait(d, false).awake
}

// settle lets the time go on until no worker sleeps or works, for d at most, and reports
// whether it came to that.
func (c *clock) settle(d time.Duration) bool {
	s := c.wait(d, true)
	<-s.awake
	return s.early
}

func (c *clock) wait(d time.Duration, idle bool) *sleeper {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &sleeper{until: c.now.Add(d), waiter: true, idle: idle, awake: make(chan struct{})}
	c.asleep = append(c.asleep, s)
	c.next()
	return s
}

// next wakes whoever is next when nothing is at work. The caller holds the lock.
func (c *clock) next() {
	if c.busy > 0 || !slices.ContainsFunc(c.asleep, func(s *sleeper) bool { return s.waiter }) {
		return
	}
	if i := slices.IndexFunc(c.asleep, func(s *sleeper) bool { return s.idle }); i >= 0 && !slices.ContainsFunc(c.asleep, func(s *sleeper) bool { return !s.idle }) {
		for _, s := range c.asleep {
			s.early = true
			close(s.awake)
		}
		c.asleep = nil
		return
	}
	first := slices.MinFunc(c.asleep, func(a, b *sleeper) int {
		if order := a.until.Compare(b.until); order != 0 || a.waiter == b.waiter {
			return order
		}
		if a.waiter { // what is due by then comes before who waits for it
			return 1
		}
		return -1
	})
	c.asleep = slices.DeleteFunc(c.asleep, func(s *sleeper) bool { return s == first })
	if first.until.After(c.now) {
		c.now = first.until
	}
	if !first.waiter {
		c.busy++
	}
	close(first.awake)
}
