package handlers_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// link is the network between a handler and its database.
type link struct {
	listener net.Listener
	to       string
	// what it does with the next bytes in either direction
	loseReply, loseRequest atomic.Bool
	swallow                atomic.Bool // packets vanish, and nobody is told
	lost                   atomic.Int64
	running                sync.WaitGroup
	mu                     sync.Mutex
	ends                   []net.Conn
}

func newLink(t *testing.T, to string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{listener: listener, to: to}
	l.running.Go(l.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		l.cut()
		l.running.Wait()
	})
	return l
}

func (l *link) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", l.to)
		if err != nil {
			_ = client.Close()
			continue
		}
		l.mu.Lock()
		l.ends = append(l.ends, client, server)
		l.mu.Unlock()
		l.running.Go(func() { l.carry(client, server, &l.loseRequest) })
		l.running.Go(func() { l.carry(server, client, &l.loseReply) })
	}
}

// cut ends all connections.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, end := range l.ends {
		_ = end.Close()
	}
}

// carry copies bytes until one side ends. When lose is set it cuts the connection instead.
func (l *link) carry(from, to net.Conn, lose *atomic.Bool) {
	defer func() { _ = from.Close(); _ = to.Close() }()
	bytes := make([]byte, 64<<10)
	for {
		n, err := from.Read(bytes)
		if err != nil {
			return
		}
		if lose.CompareAndSwap(true, false) {
			l.lost.Add(1)
			return
		}
		if l.swallow.Load() {
			continue
		}
		if _, err := to.Write(bytes[:n]); err != nil {
			return
		}
	}
}
