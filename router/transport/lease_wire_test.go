package transport

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// wire leads to a Redis. It can be mute, as a link is that drops packets, be slow, and lose a
// single answer.
type wire struct {
	listener net.Listener
	to       string
	mute     atomic.Bool
	slow     atomic.Int64 // ns that what is sent takes, each way
	needle   atomic.Pointer[[]byte]
	lost     atomic.Int64 // answers

	wg    sync.WaitGroup
	mu    sync.Mutex
	conns []net.Conn
}

func wireTo(t testing.TB, addr string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: listener, to: addr}
	w.wg.Go(w.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		w.cut()
		w.wg.Wait()
	})
	return w
}

func (w *wire) url() string { return "redis://" + w.listener.Addr().String() }

func (w *wire) accept() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", w.to)
		if err != nil {
			_ = near.Close()
			continue
		}
		w.mu.Lock()
		w.conns = append(w.conns, near, far)
		w.mu.Unlock()
		eat := new(atomic.Bool)
		w.wg.Go(func() { w.carry(far, near, func(b []byte) { w.look(b, eat) }) })
		w.wg.Go(func() {
			w.carry(near, far, func([]byte) {
				if eat.Load() {
					w.lost.Add(1)
					_ = near.Close()
				}
			})
		})
	}
}

func (w *wire) carry(to, from net.Conn, seen func([]byte)) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if w.mute.Load() {
			continue
		}
		time.Sleep(time.Duration(w.slow.Load()))
		if seen(buffer[:n]); n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
	}
}

// look has the answer eaten to what contains the needle, once.
func (w *wire) look(b []byte, eat *atomic.Bool) {
	if needle := w.needle.Load(); needle != nil && bytes.Contains(b, *needle) && w.needle.CompareAndSwap(needle, nil) {
		eat.Store(true)
	}
}

// loseAnswer loses the next answer to what contains the text.
func (w *wire) loseAnswer(text string) {
	needle := []byte(text)
	w.needle.Store(&needle)
}

// cut ends all connections.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range w.conns {
		_ = conn.Close()
	}
	w.conns = nil
}
