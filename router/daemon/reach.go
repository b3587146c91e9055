package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"signalbox/router/transport"
)

// reachTimeout is how long a command for a person waits for Redis.
const reachTimeout = 5 * time.Second

// mustReach fails when Redis doesn't answer: a person doesn't wait for it to come back.
func (p *program) mustReach(ctx context.Context) error {
	away, err := p.reach(ctx)
	if away != nil && ctx.Err() != nil {
		return errInterrupted
	}
	if away != nil && err == nil {
		return fmt.Errorf("redis at %s does not answer: %s; REDIS_URL or --redis says where it is, router run --embedded starts one", p.where(), reason(away))
	}
	_ = p.redis.Synchronize(ctx) // a Redis that doesn't tell its time does everything else
	return err
}

// notRefused fails when Redis refuses us: no waiting mends a wrong password. A Redis
// that is away is only logged, by the subscriptions that wait for it.
func (p *program) notRefused(ctx context.Context) error {
	_, err := p.reach(ctx)
	return err
}

// reach asks Redis for a sign of life. Away is why there is none; err is what no
// waiting will mend.
func (p *program) reach(ctx context.Context) (away, err error) {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	checked := make(chan error, 1)
	go func() { checked <- p.redis.Check(ctx) }() // closing the client ends it
	select {
	case away = <-checked:
	case <-ctx.Done(): // a Redis that hangs is not waited for
		away = fmt.Errorf("no answer within %v", reachTimeout)
	}
	switch {
	case away == nil:
		return nil, nil
	case errors.Is(away, transport.ErrRefused):
		return away, p.refusal(away)
	default:
		return away, nil
	}
}

// refusal says what Redis said, and where to look.
func (p *program) refusal(err error) error {
	why := strings.TrimSuffix(reason(err), ".")
	var hint string
	switch {
	case errors.Is(err, transport.ErrTLS): // it says what to write
	case strings.Contains(why, "x509:") || strings.Contains(why, "certificate"):
		hint = "; ca_file in [redis] names the authority to trust"
	default:
		hint = "; check the address, user and password"
	}
	return fmt.Errorf("redis at %s refuses us: %s%s", p.where(), why, hint)
}

func (p *program) where() string { return redacted(p.loaded.Settings.Redis.URL) }

// reason is the innermost of what [transport.Redis.Check] wraps: the rest says again
// where, and that.
func reason(err error) string {
	text := err.Error()
	if _, after, ok := strings.Cut(text, transport.ErrRefused.Error()+": "); ok {
		return after
	}
	if inner := errors.Unwrap(err); inner != nil {
		return inner.Error()
	}
	return text
}
