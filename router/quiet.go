package router

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	quietWindow = time.Second
	quietLines  = 20 // per window, of one message about one route or channel
)

// maxText is how many bytes of a text from a message a line shows.
const maxText = 256

// clip cuts a text that a stranger chose: a type, an id or a channel's name can be as
// long as a message.
func clip(text string) string { return shortened(text, maxText) }

// shortened is text with at most so many bytes of it.
func shortened(text string, most int) string {
	if len(text) <= most {
		return text
	}
	end := most
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// quiet is a slog.Handler that writes a warning or error at once and its repetitions
// once a second with a count, so that a broken feed or target never floods the log.
// A repetition has the same message, channel, route and cause (or err, where there is
// no cause). Of one message about one channel and route, at most twenty different
// causes are written in a second; the others count as repetitions.
type quiet struct {
	next  slog.Handler
	about string // what With said of channel and route
	state *quietState
}

type quietState struct {
	mu     sync.Mutex
	causes map[string]*window
}

// window is a second in which something was said.
type window struct {
	lines int
	muted int
	write func(times int) // writes the last muted record
}

func newQuiet(next slog.Handler) *quiet {
	return &quiet{next: next, state: &quietState{causes: map[string]*window{}}}
}

func (q *quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return q.next.Enabled(ctx, level)
}

func (q *quiet) WithGroup(name string) slog.Handler {
	return &quiet{next: q.next.WithGroup(name), about: q.about, state: q.state}
}

func (q *quiet) WithAttrs(attrs []slog.Attr) slog.Handler {
	about := []string{q.about}
	for _, a := range attrs {
		if a.Key == "channel" || a.Key == "route" {
			about = append(about, a.Value.String())
		}
	}
	return &quiet{next: q.next.WithAttrs(attrs), about: strings.Join(about, "\x00"), state: q.state}
}

func (q *quiet) Handle(ctx context.Context, record slog.Record) error {
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
func (q *quiet) keys(record slog.Record) (subject, cause string) {
	subject = record.Message + q.about
	var why, err string
	record.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "channel", "route":
			subject += "\x00" + a.Value.String()
		case "cause":
			why = a.Value.String()
		case "err":
			err = a.Value.String()
		}
		return true
	})
	return subject, strings.Join([]string{subject, or(why, err)}, "\x00\x00")
}

// admit reports whether a line is written now. If not, it is counted, and again is
// called for it when the window ends.
func (s *quietState) admit(subject, cause string, again func(times int)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.window(subject)
	var by *window
	if of.lines < quietLines || s.causes[cause] != nil {
		by = s.window(cause)
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

// window returns the open window of a key, or opens one.
func (s *quietState) window(key string) *window {
	w := s.causes[key]
	if w == nil {
		w = &window{}
		s.causes[key] = w
		time.AfterFunc(quietWindow, func() { s.end(key, w) })
	}
	return w
}

// end closes a window. If it muted something, it says so, and that line opens the next.
func (s *quietState) end(key string, w *window) {
	s.mu.Lock()
	write, times := w.write, w.muted
	if times == 0 {
		delete(s.causes, key)
	} else {
		w.lines, w.muted, w.write = 1, 0, nil
		time.AfterFunc(quietWindow, func() { s.end(key, w) })
	}
	s.mu.Unlock()
	if times > 0 {
		write(times)
	}
}

// flush writes what is muted at once, for a program that is about to end.
func (q *quiet) flush() {
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
