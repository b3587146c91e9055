package router

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	defaultTimeout    = 30 * time.Second
	defaultBackoff    = 200 * time.Millisecond
	defaultMaxBackoff = 30 * time.Second
)

// Policy is how a route deals with its events.
type Policy struct {
	// Timeout is how long one attempt may take; 0: 30 s; negative: as long as it likes.
	// Then the handler's context is cancelled (it is looked at about sixteen times per
	// Timeout, so this is not to the millisecond, and the context tells no deadline; its cause is
	// [context.DeadlineExceeded], which tells a timeout from a shutdown). A handler that hasn't returned a second later
	// is left behind: its event failed, and is not tried again, because two attempts
	// must not overlap.
	Timeout time.Duration
	// Retry says how often and when an event that failed is tried again.
	Retry Retry
	// MaxAge is how old an event may be when an attempt begins, by Event.Time; older
	// ones are skipped. 0: any age.
	MaxAge time.Duration
	// Workers is how many events are handled at a time; 0: 1. With several, only events
	// of the same key stay in order, and those without a key are in no order. A
	// BatchHandler's chunk waits as one for the attempts of what failed in it, and what
	// is tried again comes after what succeeded.
	Workers int
	// Dedupe says that an event is handled only once; it needs Options.Dedupe. The
	// question is asked before MaxAge is looked at.
	Dedupe DedupePolicy
	// DeadLetter is where the events are kept that this route gave up.
	DeadLetter DeadLetter
}

// Retry tries again after longer and longer pauses: Backoff, twice that, and so on up
// to MaxBackoff, each half as long to half as long again by chance.
type Retry struct {
	Attempts   int           // the first one included; 0: 1
	Backoff    time.Duration // 0: 200 ms
	MaxBackoff time.Duration // 0: 30 s
}

// Effective is the policy with the defaults in place of what it leaves open.
func (p Policy) Effective() Policy {
	_ = p.normalize() // what is wrong with it is as it was
	return p
}

// normalize fills in defaults and says what is wrong.
func (p *Policy) normalize() error {
	switch {
	case p.Retry.Attempts < 0:
		return fmt.Errorf("retry: %d attempts", p.Retry.Attempts)
	case p.Retry.Backoff < 0 || p.Retry.MaxBackoff < 0:
		return fmt.Errorf("retry: a negative pause: %v, %v", p.Retry.Backoff, p.Retry.MaxBackoff)
	case p.MaxAge < 0:
		return fmt.Errorf("max age %v is negative", p.MaxAge)
	case p.Workers < 0:
		return fmt.Errorf("%d workers", p.Workers)
	}
	if err := p.Dedupe.check(); err != nil {
		return err
	}
	p.Timeout = orDefault(p.Timeout, defaultTimeout)
	p.Retry.Attempts = max(p.Retry.Attempts, 1)
	p.Retry.Backoff = orDefault(p.Retry.Backoff, defaultBackoff)
	p.Retry.MaxBackoff = max(orDefault(p.Retry.MaxBackoff, defaultMaxBackoff), p.Retry.Backoff)
	p.Workers = max(p.Workers, 1)
	return nil
}

func orDefault(d, fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return d
}

// pause is how long to wait after so many failures before this one.
func (r Retry) pause(failures int) time.Duration {
	pause := r.nominal(failures)
	return pause/2 + rand.N(pause) //nolint:gosec // jitter keeps no secret
}

// nominal is the pause without chance.
func (r Retry) nominal(failures int) time.Duration {
	if r.Backoff <= r.MaxBackoff>>failures { // else it is longer, or overflows
		return r.Backoff << failures
	}
	return r.MaxBackoff
}

// pauses are how workers wait: as Options.Sleep says, if it says anything.
type pauses struct {
	fake func(ctx context.Context, wake <-chan struct{}, d time.Duration)
}

// of is how long a worker waits after so many failures before this one.
func (p pauses) of(retry Retry, failures int) time.Duration {
	if p.fake != nil {
		return retry.nominal(failures)
	}
	return retry.pause(failures)
}

// sleep waits, or ends early with ctx or wake.
func (p pauses) sleep(ctx context.Context, wake <-chan struct{}, d time.Duration) {
	if p.fake != nil {
		p.fake(ctx, wake, d)
		return
	}
	sleepUntil(ctx, wake, d)
}

// sleep waits, or ends early with ctx.
func sleep(ctx context.Context, d time.Duration) { sleepUntil(ctx, nil, d) }

// sleepUntil waits, or ends early with ctx or wake.
func sleepUntil(ctx context.Context, wake <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
}
