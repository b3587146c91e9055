package brokertest

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Server is what every broker of this package is: an address, and the sessions that it
// has accepted.
type Server struct {
	sessions

	tb   testing.TB
	http *httptest.Server
	stop context.CancelFunc
	wait sync.WaitGroup

	gate  sync.Mutex
	down  int    // status that every attempt is answered by; 0: none is
	after string // its Retry-After

	refuses   func(*http.Request) (status int, after string) // asked at every attempt; 0: it may connect
	accepting func(*talk) websocket.AcceptOptions
	serve     func(context.Context, *talk) error
}

// socketKey is where a request's context has its connection.
type socketKey struct{}

func (s *Server) start(tb testing.TB, secure bool) {
	tb.Helper()
	s.tb = tb
	s.sessions = newSessions()
	base, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.answer))
	s.http.Config.BaseContext = func(net.Listener) context.Context { return base }
	s.http.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if secured, ok := c.(*tls.Conn); ok {
			c = secured.NetConn()
		}
		return context.WithValue(ctx, socketKey{}, c)
	}
	if secure {
		s.http.StartTLS()
	} else {
		s.http.Start()
	}
	tb.Cleanup(s.Close)
}

// Close ends the broker and all connections to it, without a word. The end of the test does it, too.
func (s *Server) Close() {
	s.stop()
	s.wait.Wait()
	s.http.Close()
}

// URL returns where to connect to: ws://, or wss:// with a certificate that [Server.CAFile] verifies.
func (s *Server) URL() string { return "ws" + strings.TrimPrefix(s.http.URL, "http") }

// Addr returns host:port.
func (s *Server) Addr() string { return s.http.Listener.Addr().String() }

// CAFile writes the certificate of a broker with wss:// to a file that is gone with the test.
func (s *Server) CAFile() string {
	s.tb.Helper()
	path := filepath.Join(s.tb.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw})
	if err := os.WriteFile(path, block, 0o600); err != nil {
		s.tb.Fatal(err)
	}
	return path
}

// TurnAway answers every further attempt to connect by an HTTP status and, unless it is empty,
// a Retry-After header. Status 0 lets clients in again.
func (s *Server) TurnAway(status int, retryAfter string) {
	s.gate.Lock()
	defer s.gate.Unlock()
	s.down, s.after = status, retryAfter
}

// Drop closes all sessions that go on, with a close code.
func (s *Server) Drop(code websocket.StatusCode, reason string) {
	for _, t := range s.each() {
		s.end(t, "dropped")
		t.leave(goodbye{code, reason})
	}
}

func (s *Server) closedTo(r *http.Request) (status int, after string) {
	s.gate.Lock()
	defer s.gate.Unlock()
	if s.down == 0 && s.refuses != nil {
		return s.refuses(r)
	}
	return s.down, s.after
}

// answer is one attempt to connect, and all that follows from it.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	s.wait.Add(1)
	defer s.wait.Done()
	if status, after := s.closedTo(r); status != 0 {
		s.refusal()
		if after != "" {
			w.Header().Set("Retry-After", after)
		}
		http.Error(w, http.StatusText(status), status)
		return
	}
	t := &talk{server: s, from: r.RemoteAddr, url: r.URL, header: r.Header, gone: make(chan goodbye, 1)}
	t.socket, _ = r.Context().Value(socketKey{}).(net.Conn)
	options := websocket.AcceptOptions{}
	if s.accepting != nil {
		options = s.accepting(t)
	}
	conn, err := websocket.Accept(w, r, &options)
	if err != nil {
		s.refusal()
		return
	}
	conn.SetReadLimit(1 << 20)
	t.conn = conn
	t.run(r.Context())
}

// goodbye is how the broker ends a connection.
type goodbye struct {
	code   websocket.StatusCode
	reason string
}

func (g goodbye) Error() string { return g.reason }

// closing is how long a client may take to answer a close frame.
const closing = 300 * time.Millisecond
