// Package quiet keeps a log short whose trouble is not.
package quiet

import (
	"cmp"
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	window = time.Second
	// Lines is how many of one message about one route, channel or source are written in a
	// second, at most.
	Lines = 20
)

// Handler is a slog.Handler that writes a warning or error at once and its repetitions
// once a second with a count, so that a broken feed or target never floods the log.
// A repetition has the same message, channel, route, source and cause (or err, where there is
// no cause). Of one message about one channel and route, at most twenty different
// causes are written in a second; the others count as repetitions.
type Handler struct {
	next  slog.Handler
	about string // what With said of channel and route
	state *state
}

type state struct {
	mu     sync.Mutex
	causes map[string]*span
}

// span is a second in which something was said.
type span struct {
	lines int
	muted int
	write func(times int) // writes the last muted record
}

// New returns a handler that passes on to next what is not muted.
func New(next slog.Handler) *Handler {
	return &Handler{next: next, state: &state{causes: map[string]*span{}}}
}

// Enabled implements slog.Handler.
func (q *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return q.next.Enabled(ctx, level)
}

// WithGroup implements slog.Handler.
func (q *Handler) WithGroup(name string) slog.Handler {
	return &Handler{next: q.next.WithGroup(name), about: q.about, state: q.state}
}

// WithAttrs implements slog.Handler.
func (q *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	about := []string{q.about}
	for _, a := range attrs {
		if a.Key == "channel" || a.Key == "route" || a.Key == "source" {
			about = append(about, a.Value.String())
		}
	}
	return &Handler{next: q.next.WithAttrs(attrs), about: strings.Join(about, "\x00"), state: q.state}
}

// Handle implements slog.Handler.
func (q *Handler) Handle(ctx context.Context, record slog.Record) error {
	if record.Level < slog.LevelWarn {
		return q.next.Handle(ctx, record)
	}
	subject, cause := q.keys(record)
	again := func(times int) {
		repeated := record.Clone()
		repeated.Time = time.Now()
		repeated.AddAttrs(slog.Int("repeated", times))
		// The record's context may have ended; a log line needs only its values.
		_ = q.next.Handle(context.WithoutCancel(ctx), repeated)
	}
	if !q.state.admit(subject, cause, again) {
		return nil
	}
	return q.next.Handle(ctx, record)
}

// keys names what the record is about, and that together with its cause.
func (q *Handler) keys(record slog.Record) (subject, cause string) {
	subject = record.Message + q.about
	var why, err string
	record.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "channel", "route", "source":
			subject += "\x00" + a.Value.String()
		case "cause":
			why = a.Value.String()
		case "err":
			err = a.Value.String()
		}
		return true
	})
	return subject, strings.Join([]string{subject, cmp.Or(why, err)}, "\x00\x00")
}

// admit reports whether a line is written now. If not, it is counted, and again is
// called for it when the window ends.
func (s *state) admit(subject, cause string, again func(times int)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.span(subject)
	var by *span
	if of.lines < Lines || s.causes[cause] != nil {
		by = s.span(cause)
	}
	if by != nil && by.lines == 0 {
		by.lines++
		of.lines++
		return true
	}
	if by == nil { // one cause too many: it shares the subject's count
		by = of
	}
	by.muted++
	by.write = again
	return false
}

// span returns the open one of a key, or opens one.
func (s *state) span(key string) *span {
	w := s.causes[key]
	if w == nil {
		w = &span{}
		s.causes[key] = w
		time.AfterFunc(window, func() { s.end(key, w) })
	}
	return w
}

// end closes a window. If it muted something, it says so, and that line opens the next.
func (s *state) end(key string, w *span) {
	s.mu.Lock()
	write, times := w.write, w.muted
	if times == 0 {
		delete(s.causes, key)
	} else {
		w.lines, w.muted, w.write = 1, 0, nil
		time.AfterFunc(window, func() { s.end(key, w) })
	}
	s.mu.Unlock()
	if times > 0 {
		write(times)
	}
}

// Flush writes what is muted at once, for a program that is about to end.
func (q *Handler) Flush() {
	q.state.mu.Lock()
	var lines []func()
	for _, w := range q.state.causes {
		if write, times := w.write, w.muted; times > 0 {
			w.lines, w.muted, w.write = 1, 0, nil
			lines = append(lines, func() { write(times) })
		}
	}
	q.state.mu.Unlock()
	for _, line := range lines {
		line()
	}
}
