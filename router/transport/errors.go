package transport

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ErrRefused is wrapped by the error of [Redis.Check] when waiting will not help:
// password or user wrong or missing, a command not permitted, TLS on one side only, a
// certificate that is not trusted. Other errors mean that Redis is away for now.
var ErrRefused = errors.New("refused")

// ErrTLS is wrapped, beside [ErrRefused], when only one side speaks TLS.
var ErrTLS = errors.New("TLS on one side only")

// ErrClosed is returned by subscribers, publishers and a Redis that were closed.
var ErrClosed = errors.New("transport is closed")

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

// isNoGroup reports whether the stream or its group is not there. UNBLOCKED is what a
// blocked read is told when its stream is deleted meanwhile.
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
