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
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	err := p.redis.Check(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, transport.ErrRefused):
		return p.refusal(err)
	default:
		return fmt.Errorf("redis at %s does not answer: %s; REDIS_URL or --redis says where it is, router run --embedded starts one", p.where(), reason(err))
	}
}

// notRefused fails when Redis refuses us: no waiting mends a wrong password. A Redis
// that is away is only logged, by the subscriptions that wait for it.
func (p *program) notRefused(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	if err := p.redis.Check(ctx); errors.Is(err, transport.ErrRefused) {
		return p.refusal(err)
	}
	return nil
}

func (p *program) refusal(err error) error {
	why := reason(err)
	hint := "check the address, user and password"
	if strings.Contains(why, "tls:") || strings.Contains(why, "x509:") || strings.Contains(why, "certificate") {
		hint = "rediss:// speaks TLS, redis:// doesn't, and ca_file in [redis] names the authority to trust"
	} else if strings.Contains(why, "can't parse") || strings.Contains(why, "invalid reply") {
		hint = "what listens there is no Redis, or wants TLS: rediss://"
	}
	return fmt.Errorf("redis at %s refuses us: %s; %s", p.where(), why, hint)
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
