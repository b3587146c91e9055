package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// Check sends one PING. An error that wraps [ErrRefused] will not go away by waiting;
// any other means that Redis cannot be reached or is loading: try again later.
func (r *Redis) Check(ctx context.Context) error {
	err := r.writer.Ping(ctx).Err()
	if err == nil {
		return nil
	}
	mismatch := r.tlsMismatch(ctx, err)
	switch {
	case mismatch != nil:
		return fmt.Errorf("redis %s: %w: %w", r.opts.Addr, ErrRefused, mismatch)
	case refused(err):
		return fmt.Errorf("redis %s: %w: %w", r.opts.Addr, ErrRefused, err)
	default:
		return fmt.Errorf("redis %s: %w", r.opts.Addr, err)
	}
}

// refused reports whether err will come again however long one waits.
func refused(err error) bool {
	if redis.IsAuthError(err) || redis.IsPermissionError(err) || hasReply(err,
		"DENIED", "ERR AUTH", "ERR invalid password", "ERR Client sent AUTH", "ERR DB index", "ERR invalid DB") {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.HostnameError](err)
	return ok
}

// tlsMismatch explains err when only one side speaks TLS. Redis says nothing then: it
// hangs up, or waits for the rest of what it takes for a command. So it is tried.
func (r *Redis) tlsMismatch(ctx context.Context, err error) error {
	if r.opts.Network != "tcp" || isReply(err) || notSent(err) || refused(err) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	conn, dialErr := (&net.Dialer{}).DialContext(ctx, "tcp", r.opts.Addr)
	if dialErr != nil {
		return nil
	}
	defer func() { _ = conn.Close() }()
	if r.opts.TLSConfig == nil {
		//nolint:gosec // nothing is sent on it: only whether there is TLS is of interest
		if tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx) == nil {
			return fmt.Errorf("%w: the server wants it; write rediss:// in the url", ErrTLS)
		}
		return nil
	}
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	var reply [1]byte
	_, _ = conn.Write([]byte("PING\r\n"))
	if _, readErr := conn.Read(reply[:]); readErr == nil && (reply[0] == '+' || reply[0] == '-') {
		return fmt.Errorf("%w: the server has none; write redis:// in the url, or switch it on there", ErrTLS)
	}
	return nil
}
