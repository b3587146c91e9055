package ops

import (
	"net"
	"net/http"
	"slices"
	"sync"
)

// bounded is a listener with so many open connections at most. When there is no room, the
// connection closes that has asked for nothing for the longest time; while all are at work,
// others wait.
type bounded struct {
	net.Listener
	room   chan struct{}
	once   sync.Once
	closed chan struct{}

	mu    sync.Mutex
	idle  []net.Conn // that ask for nothing, the longest first
	waits bool       // whether a connection waits for room
}

func newBounded(l net.Listener, connections int) *bounded {
	return &bounded{Listener: l, room: make(chan struct{}, connections), closed: make(chan struct{})}
}

func (b *bounded) Accept() (net.Conn, error) {
	// Before it makes room, so that nobody has to go for a connection that does not come.
	conn, err := b.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if !b.enter() {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	return &counted{Conn: conn, leave: sync.OnceFunc(func() { <-b.room })}, nil
}

// enter waits for room, and reports whether the listener is still open.
func (b *bounded) enter() bool {
	select {
	case b.room <- struct{}{}:
		return true
	default:
	}
	b.wait(true)
	defer b.wait(false)
	select {
	case b.room <- struct{}{}:
		return true
	case <-b.closed:
		return false
	}
}

// state is told by the server what its connections do.
func (b *bounded) state(conn net.Conn, is http.ConnState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.idle = slices.DeleteFunc(b.idle, func(c net.Conn) bool { return c == conn })
	if is == http.StateNew || is == http.StateIdle {
		b.idle = append(b.idle, conn)
	}
	b.makeRoom()
}

// wait notes whether a connection waits for room.
func (b *bounded) wait(waits bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waits = waits
	b.makeRoom()
}

// makeRoom closes a connection that asks for nothing, if another waits. It is called with mu
// held.
func (b *bounded) makeRoom() {
	if b.waits && len(b.idle) > 0 {
		_ = b.idle[0].Close()
		b.idle, b.waits = b.idle[1:], false
	}
}

func (b *bounded) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.Listener.Close()
}

// counted is a connection that makes room when it closes.
type counted struct {
	net.Conn
	leave func()
}

func (c *counted) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
