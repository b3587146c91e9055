package handlers

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/router"
)

// received is a request as a receiver got it.
type received struct {
	path   string
	header http.Header
	body   string
}

// receiver is an HTTP server that remembers what it got.
type receiver struct {
	*httptest.Server
	conns atomic.Int64 // that were ever opened

	mu  sync.Mutex
	got []received
}

// newReceiver starts a server that answers by answer, or 204 without one. It ends with the
// test, and the context of its requests before that.
func newReceiver(t *testing.T, answer http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewUnstartedServer(r.handle(answer))
	r.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			r.conns.Add(1)
		}
	}
	r.Start()
	t.Cleanup(func() {
		r.CloseClientConnections()
		r.Close()
	})
	return r
}

func (r *receiver) handle(answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.got = append(r.got, received{req.URL.RequestURI(), req.Header, string(body)})
		r.mu.Unlock()
		if answer == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		answer(w, req)
	}
}

func (r *receiver) requests() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.got...)
}

// rawPeer is a TCP server that does what serve does with each connection. Its connections
// are closed when serve returns, and at the end of the test.
func rawPeer(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			running.Go(func() {
				defer func() { _ = conn.Close() }()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		for _, conn := range conns {
			_ = conn.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return listener.Addr().String()
}

// readRequest reads a whole request from a connection.
func readRequest(conn net.Conn) (text string, err error) {
	var got strings.Builder
	buf := make([]byte, 64<<10)
	for !strings.Contains(got.String(), "\r\n\r\n") || strings.HasSuffix(got.String(), "\r\n\r\n") {
		n, err := conn.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			return got.String(), err
		}
	}
	return got.String(), nil
}

// reset ends a connection with a RST.
func reset(conn net.Conn) {
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

// testWebhook is a handler that is closed with the test.
func testWebhook(t *testing.T, options WebhookOptions) *webhook {
	t.Helper()
	w, err := newWebhook("router", options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// verdictOf names a verdict.
func verdictOf(err error) string {
	after, away := router.IsUnavailable(err)
	switch {
	case err == nil:
		return "done"
	case router.IsPermanent(err):
		return "permanent"
	case away && after > 0:
		return "unavailable " + after.String()
	case away:
		return "unavailable"
	case errors.Is(err, context.Canceled):
		return "canceled"
	default:
		return "failed"
	}
}

// names is a DNS server on loopback: every A question about a name gets the next of its
// addresses, the last one again and again. Names that it lacks don't exist; about those with "silent" in them it
// says nothing.
type names struct {
	mu sync.Mutex
	of map[string][]string
}

// resolver starts the server, until the test ends.
func (d *names) resolver(t *testing.T) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		question := make([]byte, 1<<10)
		for {
			n, from, err := server.ReadFrom(question)
			if err != nil {
				return
			}
			if !strings.Contains(string(question[:n]), "silent") {
				_, _ = server.WriteTo(d.answer(question[:n]), from)
			}
		}
	})
	open, end := context.WithCancel(context.Background())
	t.Cleanup(func() {
		end() // whoever still waits for an answer
		_ = server.Close()
		running.Wait()
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		if open.Err() != nil {
			return nil, open.Err()
		}
		conn, err := (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
		if err == nil {
			context.AfterFunc(open, func() { _ = conn.Close() })
		}
		return conn, err
	}}
}

// set changes the addresses of a name.
func (d *names) set(name string, addresses ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.of[name] = addresses
}

// answer is the reply to a packet with one question.
func (d *names) answer(question []byte) []byte {
	var labels []string
	at := 12
	for question[at] != 0 {
		n := int(question[at])
		labels = append(labels, string(question[at+1:at+1+n]))
		at += 1 + n
	}
	typ, end := binary.BigEndian.Uint16(question[at+1:]), at+5
	reply := append([]byte(nil), question[:end]...)
	reply[2], reply[3] = 0x81, 0x80 // an answer, recursion was available
	copy(reply[6:12], make([]byte, 6))
	d.mu.Lock()
	defer d.mu.Unlock()
	name := strings.ToLower(strings.Join(labels, "."))
	addresses := d.of[name]
	switch {
	case len(addresses) == 0:
		reply[3] |= 3 // no such name
	case typ == 1: // A
		reply[7] = 1
		reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		reply = append(reply, net.ParseIP(addresses[0]).To4()...)
		if len(addresses) > 1 {
			d.of[name] = addresses[1:]
		}
	}
	return reply
}

// within fails the test when f takes too long.
func within(t *testing.T, limit time.Duration, what string, f func()) {
	t.Helper()
	begin := time.Now()
	f()
	if took := time.Since(begin); took > limit {
		t.Errorf("%s took %v, want %v at most", what, took, limit)
	}
}
