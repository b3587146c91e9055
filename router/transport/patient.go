package transport

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// writeSlice is how much of a large command is written at a time.
const writeSlice = 64 << 10

// patient makes deadlines of connections count from the last byte that moved. go-redis
// sets one for a whole command; an entry of 64 MB on a slow line would never arrive
// within it, however often it is asked for, and nothing after it would either.
func patient(dial dialer) dialer {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		still := &patientConn{Conn: conn}
		if socket, ok := conn.(syscall.Conn); ok { // not with TLS
			return patientSocket{still, socket}, nil
		}
		return still, nil
	}
}

// patientConn counts its deadlines from the last byte that moved.
type patientConn struct {
	net.Conn
	read, write atomic.Int64 // how long either may stand still; 0: for ever
}

func (c *patientConn) SetReadDeadline(t time.Time) error {
	c.read.Store(stillness(t))
	return c.Conn.SetReadDeadline(t)
}

func (c *patientConn) SetWriteDeadline(t time.Time) error {
	c.write.Store(stillness(t))
	return c.Conn.SetWriteDeadline(t)
}

func (c *patientConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func stillness(deadline time.Time) int64 {
	if deadline.IsZero() {
		return 0
	}
	return int64(max(time.Until(deadline), 1))
}

func (c *patientConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if still := c.read.Load(); err == nil && still > 0 {
		err = c.Conn.SetReadDeadline(time.Now().Add(time.Duration(still)))
	}
	return n, err
}

func (c *patientConn) Write(b []byte) (written int, err error) {
	for {
		n, err := c.Conn.Write(b[written:min(written+writeSlice, len(b))])
		written += n
		if err != nil || written == len(b) {
			return written, err
		}
		if still := c.write.Load(); still > 0 {
			if err := c.Conn.SetWriteDeadline(time.Now().Add(time.Duration(still))); err != nil {
				return written, err
			}
		}
	}
}

// patientSocket lets go-redis see whether the server has closed an idle connection.
type patientSocket struct {
	*patientConn
	syscall.Conn
}
