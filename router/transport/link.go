package transport

import (
	"log/slog"
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
	log   *slog.Logger
	away  episode
	times atomic.Uint64 // it came back
}

func (l *link) down(err error) {
	if l.away.begin() {
		l.log.Warn("redis is away; trying again until it is back", "err", err)
	}
}

func (l *link) up() {
	if after, was := l.away.end(); was {
		l.times.Add(1)
		l.log.Info("redis is back", "after", after)
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
