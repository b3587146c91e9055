package transport

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/router/internal/failpoint"
)

const (
	clockEvery = 5 * time.Second
	clockAgain = time.Minute // where the answer was a refusal
	clockWrong = time.Second // by how much clocks may differ without a word
	clockDrift = 1000        // a clock that nobody sets is wrong by no more than one part in so many
)

// clock tells the time by Redis' clock, the one that all who share a Redis have in
// common: a machine whose clock is wrong must not take new events for old ones.
//
// It remembers one moment by both clocks and counts from there by the monotonic clock,
// which nobody can set. Of the moments it is told it keeps the one that is known best
// (Cristian, "Probabilistic clock synchronization", 1989): an answer that took d places
// the server's time to ±d/2, and what is known gets worse as it gets older.
type clock struct {
	r     *Redis
	known atomic.Pointer[moment]
	wrong atomic.Bool // this machine's clock is, and that was logged

	startMu sync.Mutex
	started bool
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

// moment is one by both clocks.
type moment struct {
	here, redis time.Time
	margin      time.Duration // by how much redis may be wrong
}

// at is a moment of this machine by Redis' clock, or by its own when Redis' is not known.
func (c *clock) at(here time.Time) time.Time {
	known := c.known.Load()
	if known == nil || failpoint.Broken(failpoint.OwnClock) {
		return here.Add(failpoint.Skew())
	}
	return known.redis.Add(here.Sub(known.here))
}

// ensure asks for the time once and again every few seconds. An error means that Redis
// is away, or not itself; it does not have to tell.
func (c *clock) ensure(ctx context.Context) error {
	c.startMu.Lock()
	defer c.startMu.Unlock()
	if c.started {
		return nil
	}
	err := c.ask(ctx)
	if err != nil && !redis.IsPermissionError(err) {
		return err
	}
	c.started = true
	if err != nil {
		c.r.log.Warn("redis does not tell its time; ages are told by the clock of this machine", "remedy", "+time in the ACL of its user", "err", err)
	}
	ctx, c.cancel = context.WithCancel(context.Background())
	c.wg.Go(func() { c.follow(ctx, err) })
	return nil
}

// follow goes on asking. Others tell of a Redis that is away; until it is back the
// monotonic clock goes on.
func (c *clock) follow(ctx context.Context, err error) {
	for {
		wait := clockEvery
		if redis.IsPermissionError(err) {
			wait = clockAgain
		}
		if !pause(ctx, jitter(wait)) {
			return
		}
		err = c.ask(ctx)
	}
}

// ask asks Redis what time it is.
func (c *clock) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	begin := time.Now()
	at, err := c.r.writer.Time(ctx).Result()
	if err != nil {
		return err
	}
	half := time.Since(begin) / 2
	c.learn(moment{here: begin.Add(half), redis: at, margin: half})
	return nil
}

// learn takes over a moment that is better known than what is left of the one before, or
// contradicts it: then Redis' clock was set, or Redis is another one.
func (c *clock) learn(m moment) {
	known := c.known.Load()
	if known != nil {
		margin := known.margin + m.here.Sub(known.here)/clockDrift
		differs := m.redis.Sub(c.at(m.here)).Abs()
		if m.margin > margin && differs <= m.margin+margin {
			return
		}
	}
	c.known.Store(&m)
	c.compare(m)
}

// compare says so when the clock of this machine is wrong, and when it is right again.
func (c *clock) compare(m moment) {
	ahead := m.here.Round(0).Add(failpoint.Skew()).Sub(m.redis)
	switch wrong := ahead.Abs() > clockWrong+m.margin; {
	case wrong && !c.wrong.Swap(true):
		c.r.log.Warn("the clock of this machine and Redis' clock differ; ages are told by Redis'", "ahead", ahead.Round(time.Millisecond))
	case !wrong && c.wrong.Swap(false):
		c.r.log.Info("the clock of this machine and Redis' clock agree again")
	}
}

// end stops asking.
func (c *clock) end() {
	c.startMu.Lock()
	defer c.startMu.Unlock()
	if c.cancel != nil {
		c.cancel()
	}
	c.wg.Wait()
}
