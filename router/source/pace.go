package source

import (
	"context"
	"math/rand/v2"
	"time"

	"signalbox/router"
)

// pace says when a source may connect again.
type pace struct {
	spec     router.SourceSpec
	attempts int // to connect, since data came last
	failures int // likewise
}

// fresh notes that data came.
func (p *pace) fresh() { p.attempts, p.failures = 0, 0 }

// planned is how long to wait after a session that ended as planned: not at all, unless it
// brought no data. A server that is about to stop may say so to each session, and would
// soon have used up the connect budget.
func (p *pace) planned() time.Duration {
	if p.attempts == 0 {
		return 0
	}
	return p.next()
}

// next is how long to wait after another failure.
func (p *pace) next() time.Duration {
	pause := p.spec.Backoff
	p.failures++
	for range p.failures - 1 {
		if pause *= 2; pause >= p.spec.MaxBackoff {
			pause = p.spec.MaxBackoff
			break
		}
	}
	return pause/2 + rand.N(pause/2+1)
}

// wait sleeps, and reports false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
