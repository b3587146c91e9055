package transport

import (
	"context"
	"errors"
	"net"
	"time"
)

type dialer = func(ctx context.Context, network, addr string) (net.Conn, error)

// lateErrors makes failed dials look like connections whose first use fails.
//
// go-redis' pool answers a dial error with a line on stderr for each and, after
// PoolSize of them, with a goroutine that goes on dialing once a second and outlives
// Close; meanwhile every command fails. With this, each command dials for itself and
// gets its own error, which still is the dialer's *net.OpError.
func lateErrors(dial dialer) dialer {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if ctx.Value(noDialKey{}) != nil {
			return failedConn{lateError{errNoDial}}, nil
		}
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return failedConn{lateError{err}}, nil //nolint:nilerr // the connection returns it
		}
		return conn, nil
	}
}

// lateError is the envelope that go-redis takes off the errors of a connection's first
// use: it unwraps them once.
type lateError struct{ error }

func (e lateError) Unwrap() error { return e.error }

var errNoDial = errors.New("connection lost")

type noDialKey struct{}

// noDial marks commands that may use the connection there is but not make a new one:
// a redis.PubSub would reconnect and resubscribe by itself, and hide the gap.
func noDial(ctx context.Context) context.Context {
	return context.WithValue(ctx, noDialKey{}, true)
}

// failedConn is a connection that could not be made.
type failedConn struct{ err error }

func (c failedConn) Read([]byte) (int, error)         { return 0, c.err }
func (c failedConn) Write([]byte) (int, error)        { return 0, c.err }
func (c failedConn) Close() error                     { return nil }
func (c failedConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c failedConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c failedConn) SetDeadline(time.Time) error      { return nil }
func (c failedConn) SetReadDeadline(time.Time) error  { return nil }
func (c failedConn) SetWriteDeadline(time.Time) error { return nil }
