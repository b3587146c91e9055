package ops

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	// heartbeat is between comments that keep a quiet connection open.
	heartbeat = 15 * time.Second
	// reconnect is how long a browser waits until it comes back, in ms.
	reconnect = 1000
	// farewell is how long the last write may take.
	farewell = 500 * time.Millisecond
)

// ServeHTTP tells a browser what happens until it goes, or the server ends.
func (l *live) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if r.Method == http.MethodHead { // its answer has no body, and would never end
		h.Set("Content-Type", "text/event-stream")
		return
	}
	if !untimed(w, r) {
		return
	}
	c, first := l.join(r.Header.Get("Last-Event-ID"))
	if c == nil {
		h.Set("Retry-After", "5")
		fail(w, http.StatusServiceUnavailable, strconv.Itoa(maxClients)+" browsers watch already, and no more may; close one of them")
		return
	}
	defer l.leave(c)
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // of a proxy between
	out := &sink{w: w, to: http.NewResponseController(w), limit: l.limit}
	texts := [][]byte{[]byte("retry: " + strconv.Itoa(reconnect) + "\n\n")}
	for _, f := range first {
		texts = append(texts, f.text)
	}
	if out.write(texts) == nil {
		out.follow(r.Context(), c)
	}
}

// sink is the connection to a browser.
type sink struct {
	w     io.Writer
	to    *http.ResponseController
	limit time.Duration // of a write
}

// follow writes what c is told, until ctx ends or a write fails.
func (s *sink) follow(ctx context.Context, c *client) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		var texts [][]byte
		select {
		case <-c.wake:
			texts = c.take()
		case <-beat.C:
			texts = [][]byte{[]byte(":\n\n")}
		case <-ctx.Done(): // the browser is gone, and hears nothing, or the server ends
			s.limit = farewell
			_ = s.write([][]byte{newNotice("stopping", "", struct{}{}).text})
			return
		}
		if s.write(texts) != nil {
			return
		}
	}
}

// write writes and flushes. A browser that takes nothing for too long loses its connection.
func (s *sink) write(texts [][]byte) error {
	if err := s.to.SetWriteDeadline(time.Now().Add(s.limit)); err != nil {
		return err
	}
	for _, text := range texts {
		if _, err := s.w.Write(text); err != nil {
			return err
		}
	}
	return s.to.Flush()
}
