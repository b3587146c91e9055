package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrRefused is wrapped by the error of [Redis.Check] when waiting will not help:
// password or user wrong or missing, a command not permitted, TLS on one side only, a
// certificate that is not trusted. Other errors mean that Redis is away for now.
var ErrRefused = errors.New("refused")

// ErrClosed is returned by subscribers, publishers and a Redis that were closed.
var ErrClosed = errors.New("transport is closed")

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
		return fmt.Errorf("redis %s: %w: %w: %w", r.opts.Addr, ErrRefused, mismatch, err)
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
			return errors.New("the server wants TLS: use rediss://")
		}
		return nil
	}
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	var reply [1]byte
	_, _ = conn.Write([]byte("PING\r\n"))
	if _, readErr := conn.Read(reply[:]); readErr == nil && (reply[0] == '+' || reply[0] == '-') {
		return errors.New("the server does not speak TLS: use redis://")
	}
	return nil
}

// isReply reports whether Redis itself answered with an error: the connection works.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply) && !errors.Is(err, redis.Nil)
}

// hasReply reports whether err is an error reply that begins with one of prefixes.
func hasReply(err error, prefixes ...string) bool {
	var reply redis.Error
	if !errors.As(err, &reply) {
		return false
	}
	for _, prefix := range prefixes {
		if strings.HasPrefix(reply.Error(), prefix) {
			return true
		}
	}
	return false
}

// isNoGroup reports whether the stream or its group is not there.
func isNoGroup(err error) bool { return hasReply(err, "NOGROUP", "ERR no such key", "UNBLOCKED") }

// notSent reports whether the command certainly had no effect and may succeed later.
func notSent(err error) bool {
	if redis.IsLoadingError(err) || redis.IsReadOnlyError(err) || redis.IsMasterDownError(err) ||
		redis.IsTryAgainError(err) || redis.IsMaxClientsError(err) {
		return true
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// unknownOutcome reports whether the connection failed when the command may already
// have been carried out.
func unknownOutcome(err error) bool {
	return err != nil && !isReply(err) && !notSent(err) &&
		!errors.Is(err, context.Canceled) && !errors.Is(err, redis.ErrClosed)
}
