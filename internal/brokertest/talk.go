package brokertest

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// talk is one connection. Its owner is the goroutine that the HTTP server began for it.
type talk struct {
	server *Server
	conn   *websocket.Conn
	socket net.Conn // below TLS
	from   string
	url    *url.URL // what the client has asked for
	header http.Header

	wait sync.WaitGroup

	in   chan []byte  // what the client sends; closed when no more will come
	gone chan goodbye // the broker wants to end it

	meter meter // of what the client sends

	// Guarded by the mutex of the sessions.
	accepted bool
	over     bool // no session can begin any more
}

// run serves the connection to its end.
func (t *talk) run(ctx context.Context) {
	within, done := context.WithCancel(ctx)
	t.in = make(chan []byte)
	t.wait.Go(func() { t.read(within) })
	err := t.server.serve(within, t)
	bye, polite := errors.AsType[goodbye](err)
	if !polite {
		bye.reason = "connection lost"
	}
	t.server.end(t, bye.reason)
	if !t.accepted {
		t.server.refusal()
	}
	if polite {
		// A frozen client takes neither the frame nor the end of the connection.
		late := time.AfterFunc(closing, func() { _ = t.socket.Close() })
		drop := context.AfterFunc(ctx, func() { _ = t.socket.Close() })
		_ = t.conn.Close(bye.code, bye.reason)
		late.Stop()
		drop()
	}
	done()
	_ = t.conn.CloseNow()
	t.wait.Wait()
}

// read takes what the client sends, until the connection ends.
func (t *talk) read(ctx context.Context) {
	defer close(t.in)
	for {
		_, message, err := t.conn.Read(ctx)
		if err != nil {
			t.server.end(t, "closed by the client")
			return
		}
		select {
		case t.in <- message:
		case <-ctx.Done():
			return
		}
	}
}

// evicted tells the connection that another one has taken its place.
func (t *talk) evicted() { t.leave(goodbye{code: EvictedCode, reason: "another session began"}) }

// leave has the connection end; the first goodbye is the one that is said.
func (t *talk) leave(bye goodbye) {
	select {
	case t.gone <- bye:
	default:
	}
}

// errLost ends a connection that is no more.
var errLost = errors.New("the connection is lost")

// receive waits for the next message of the client; late is what it ends with after a time, if that is not 0.
func (t *talk) receive(ctx context.Context, within time.Duration, late goodbye) ([]byte, error) {
	var expired <-chan time.Time
	if within > 0 {
		timer := time.NewTimer(within)
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case message, ok := <-t.in:
		if !ok {
			return nil, errLost
		}
		return message, nil
	case bye := <-t.gone:
		return nil, bye
	case <-expired:
		return nil, late
	case <-ctx.Done():
		return nil, errLost
	}
}

// sendWithin is how long a client may take to make room for a message.
const sendWithin = 5 * time.Second

// send sends a value as JSON.
func (t *talk) send(ctx context.Context, value any) error {
	message, err := json.Marshal(value)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	return t.conn.Write(ctx, websocket.MessageText, message)
}

// data sends a message that has n ticks. They are counted before, so that no client knows of more.
func (t *talk) data(ctx context.Context, value any, n int) error {
	t.server.sent(t, n)
	return t.send(ctx, value)
}

// pings asks the client every so often whether it is there, and forgets it when it does not
// answer in time.
func (t *talk) pings(ctx context.Context, every, within time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		limited, cancel := context.WithTimeout(ctx, within)
		err := t.conn.Ping(limited)
		cancel()
		if err != nil {
			t.server.end(t, "no answer to a ping")
			_ = t.socket.Close()
			return
		}
	}
}
