package transport

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// episode is a trouble that is told of once when it begins and once when it ends.
type episode struct{ since atomic.Int64 }

// begin reports whether the trouble is new.
func (e *episode) begin() bool {
	return e.since.CompareAndSwap(0, time.Now().UnixNano())
}

// end reports whether there was a trouble, and for how long.
func (e *episode) end() (time.Duration, bool) {
	if e.since.Load() == 0 {
		return 0, false
	}
	since := e.since.Swap(0)
	return time.Since(time.Unix(0, since)), since != 0
}

// link tells the log once that Redis is away and once that it is back, however many
// connections notice it.
type link struct {
	log  *slog.Logger
	away episode
}

func (l *link) down(err error) {
	if l.away.begin() {
		l.log.Warn("redis is away; trying again until it is back", "err", err)
	}
}

func (l *link) up() {
	if after, was := l.away.end(); was {
		l.log.Info("redis is back", "after", after)
	}
}

// backoff is a growing, jittered pause: 100 ms, doubled up to 5 s.
type backoff struct{ failures int }

func (b *backoff) next() time.Duration {
	pause := min(100*time.Millisecond<<min(b.failures, 6), 5*time.Second)
	b.failures++
	return pause/2 + rand.N(pause/2)
}

func (b *backoff) reset() { b.failures = 0 }

// jitter varies a period by a tenth, so that replicas don't move in step.
func jitter(period time.Duration) time.Duration {
	return period - period/10 + rand.N(period/5+1)
}

// pause sleeps and reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// gate is a condition that comes and goes, and that others wait for.
type gate struct {
	mu   sync.Mutex
	open bool
	ch   chan struct{} // closed while open
}

func newGate() *gate { return &gate{ch: make(chan struct{})} }

func (g *gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == open {
		return
	}
	g.open = open
	if open {
		close(g.ch)
	} else {
		g.ch = make(chan struct{})
	}
}

// wait returns nil when the gate is open or ended is closed, else ctx's error.
func (g *gate) wait(ctx context.Context, ended <-chan struct{}) error {
	g.mu.Lock()
	ch := g.ch
	g.mu.Unlock()
	select {
	case <-ch:
		return nil
	default:
	}
	select {
	case <-ch:
		return nil
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// limiter lets one line a second through and counts the others.
type limiter struct {
	mu      sync.Mutex
	last    time.Time
	skipped int
}

// allow reports whether to write a line now, and how many were left out before it.
func (l *limiter) allow() (skipped int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.last) < time.Second {
		l.skipped++
		return 0, false
	}
	skipped, l.skipped = l.skipped, 0
	l.last = time.Now()
	return skipped, true
}
