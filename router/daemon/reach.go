package daemon

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"signalbox/router/transport"
)

const (
	reachTimeout = 5 * time.Second // how long a command for a person waits for Redis
	probeTimeout = time.Second     // how long Redis may take to show whether it speaks TLS
)

// mustReach fails when Redis doesn't answer: a person doesn't wait for it to come back.
func (p *program) mustReach(ctx context.Context) error {
	away, err := p.reach(ctx)
	if away != nil && err == nil {
		return fmt.Errorf("redis at %s does not answer: %s; REDIS_URL or --redis says where it is, router run --embedded starts one", p.where(), reason(away))
	}
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
	away = p.redis.Check(ctx)
	switch {
	case away == nil:
		return nil, nil
	case errors.Is(away, transport.ErrRefused):
		return away, p.refusal(away)
	default:
		return away, p.tlsMismatch(ctx)
	}
}

// tlsMismatch is the error when only one side speaks TLS, which neither says: a Redis
// with TLS hangs up on a plain greeting, and one without takes a TLS greeting for the
// beginning of a command and waits for the rest.
func (p *program) tlsMismatch(ctx context.Context) error {
	u, err := url.Parse(p.loaded.Settings.Redis.URL)
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "6379")))
	if err != nil {
		return nil
	}
	defer func() { _ = conn.Close() }()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	if u.Scheme == "redis" {
		// Nothing is sent over this connection, so nobody's certificate matters.
		if tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx) == nil { //nolint:gosec // see above
			return fmt.Errorf("redis at %s wants TLS; write rediss:// in the url", p.where())
		}
		return nil
	}
	reply := make([]byte, 1)
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return nil
	}
	if _, err := conn.Read(reply); err == nil && (reply[0] == '+' || reply[0] == '-') { // +PONG, -NOAUTH, …
		return fmt.Errorf("redis at %s speaks no TLS; write redis:// in the url, or switch TLS on there", p.where())
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
