package transport

import (
	"context"
	"math/rand/v2"
	"time"
)

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
func pause(ctx context.Context, d time.Duration) bool { return sleep(d, ctx.Done(), nil) }

// pauseOpen sleeps and reports false when ctx or r ended first.
func (r *Redis) pauseOpen(ctx context.Context, d time.Duration) bool {
	return sleep(d, ctx.Done(), r.closing)
}

// sleep reports false when one of the channels, which may be nil, was closed first.
func sleep(d time.Duration, end, orEnd <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-end:
		return false
	case <-orEnd:
		return false
	}
}
