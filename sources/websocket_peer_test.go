package sources

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"signalbox/router"
)

// wsWait is how long a test waits for what must come.
const wsWait = 5 * time.Second

// wsSink records what a source tells, in order. That it is open stands beside that: data may
// come before and after.
type wsSink struct {
	t      *testing.T
	opened chan string
	said   chan string // "data …", "trouble …"
	alive  atomic.Int64
	data   atomic.Int64
	before atomic.Int64 // how much data had come when it opened
}

func newWSSink(t *testing.T) *wsSink {
	return &wsSink{t: t, opened: make(chan string, 10), said: make(chan string, 10_000)}
}

func (s *wsSink) Opened(at string) {
	s.before.Store(s.data.Load())
	s.opened <- at
}

func (s *wsSink) Alive() { s.alive.Add(1) }
func (s *wsSink) Emit(message []byte) {
	s.data.Add(1)
	s.said <- "data " + string(message)
}

func (s *wsSink) Trouble(err error) { s.said <- fmt.Sprintf("trouble %v", err) }

// wantOpened waits for the source to be open.
func (s *wsSink) wantOpened(at string) {
	s.t.Helper()
	select {
	case got := <-s.opened:
		if got != at {
			s.t.Fatalf("the source is open at %q, want %q", got, at)
		}
	case <-time.After(wsWait):
		s.t.Fatal("the source is not open")
	}
}

// next waits for what the source tells next.
func (s *wsSink) next() string {
	s.t.Helper()
	select {
	case said := <-s.said:
		return said
	case <-time.After(wsWait):
		s.t.Fatal("the source tells nothing")
		return ""
	}
}

// want waits for what the source tells next, and compares.
func (s *wsSink) want(texts ...string) {
	s.t.Helper()
	for _, want := range texts {
		if got := s.next(); got != want {
			s.t.Fatalf("the source tells %q, want %q", got, want)
		}
	}
}

// nothing fails when the source has told anything more.
func (s *wsSink) nothing() {
	s.t.Helper()
	select {
	case said := <-s.said:
		s.t.Errorf("the source also tells %q", said)
	case <-s.opened:
		s.t.Error("the source is open twice, or should not be")
	default:
	}
}

// wsRun is a session of a source that runs.
type wsRun struct {
	*wsSink
	stop context.CancelFunc
	log  *bytes.Buffer
	done chan error
}

// runWS runs one session, until the test ends at the latest.
func runWS(t *testing.T, o WebSocketOptions) *wsRun {
	t.Helper()
	return runWSAttempt(t, o, 0)
}

func runWSAttempt(t *testing.T, o WebSocketOptions, attempt int) *wsRun {
	t.Helper()
	var log bytes.Buffer
	source, err := WebSocket().New(router.SourceEnv{
		Source: "feed", Attempt: attempt,
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	run := &wsRun{wsSink: newWSSink(t), stop: stop, log: &log, done: make(chan error, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		run.done <- source.Run(ctx, run.wsSink)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return run
}

// verdict waits for the end of the session.
func (r *wsRun) verdict() error {
	r.t.Helper()
	select {
	case err := <-r.done:
		return err
	case <-time.After(wsWait):
		r.t.Fatal("the session does not end")
		return nil
	}
}

// wantError waits for the end of the session, which has to be an error with this in it.
func (r *wsRun) wantError(want string) {
	r.t.Helper()
	_ = r.failure(want)
}

// failure does so, and returns the error.
func (r *wsRun) failure(want string) error {
	r.t.Helper()
	err := r.verdict()
	if err == nil || !strings.Contains(err.Error(), want) {
		r.t.Fatalf("the verdict is %v\nwant %s", err, want)
	}
	if strings.ContainsAny(err.Error(), "\r\n") {
		r.t.Errorf("the verdict has several lines: %q", err)
	}
	return err
}

// wsPeer is the server's side of a session.
type wsPeer struct {
	t    *testing.T
	conn *websocket.Conn
	r    *http.Request
}

// newWSServer serves each session by the function, and returns its ws:// URL.
func newWSServer(t *testing.T, serve func(p *wsPeer)) string {
	t.Helper()
	server := httptest.NewServer(wsHandler(t, serve))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

func wsHandler(t *testing.T, serve func(p *wsPeer)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
			InsecureSkipVerify: true, CompressionMode: websocket.CompressionNoContextTakeover, CompressionThreshold: 1,
		})
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		defer func() { _ = conn.CloseNow() }()
		serve(&wsPeer{t, conn, r})
	})
}

// say sends text messages. That the client has gone is no error.
func (p *wsPeer) say(messages ...string) {
	for _, message := range messages {
		_ = p.conn.Write(context.Background(), websocket.MessageText, []byte(message))
	}
}

// sayBinary sends a binary message.
func (p *wsPeer) sayBinary(message []byte) {
	_ = p.conn.Write(context.Background(), websocket.MessageBinary, message)
}

// hear waits for messages and compares.
func (p *wsPeer) hear(want ...string) {
	p.t.Helper()
	for _, want := range want {
		if got := p.next(); got != want {
			p.t.Errorf("the client sends %s\nwant %s", got, want)
		}
	}
}

// next is the next message; empty when the session has ended.
func (p *wsPeer) next() string {
	_, message, err := p.conn.Read(context.Background())
	if err != nil {
		return ""
	}
	return string(message)
}

// stay reads until the client has gone, and returns how it said goodbye.
func (p *wsPeer) stay() websocket.StatusCode {
	for {
		if _, _, err := p.conn.Read(context.Background()); err != nil {
			return websocket.CloseStatus(err)
		}
	}
}
