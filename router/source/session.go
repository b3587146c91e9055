package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"signalbox/router"
)

// leaveGrace is how long a source may take to return when its context has ended, before the
// log says so.
const leaveGrace = 5 * time.Second

var (
	errLost   = errors.New("the lease is lost")
	errStops  = errors.New("the router stops")
	errMute   = errors.New("nothing comes")
	errEnded  = errors.New("the session is over")
	errChange = errors.New("the configuration changed")
)

// session is one connection of a source: the sink that it writes to.
type session struct {
	h      *holder
	log    *slog.Logger
	cancel context.CancelCauseFunc
	begun  time.Time

	mu     sync.Mutex
	over   bool
	opened bool
	data   time.Time // when a message came last
	heard  time.Time // when anything did
}

// run runs a source until its session ends, and returns its verdict.
func (s *session) run(ctx context.Context, source router.Source) error {
	ctx, s.cancel = context.WithCancelCause(ctx)
	defer s.cancel(errEnded)
	done := make(chan error, 1)
	go runSource(ctx, source, s, done)
	var look <-chan time.Time
	for {
		if again := s.mute(); again > 0 {
			look = time.After(again)
		}
		select {
		case err := <-done:
			return s.end(ctx, err)
		case <-look:
		case <-ctx.Done():
			return s.end(ctx, s.leave(done))
		}
	}
}

// leave waits until the source has closed its session. For as long as it does not, another
// one must not be opened.
func (s *session) leave(done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-time.After(leaveGrace):
		s.mu.Lock()
		s.over = true
		s.mu.Unlock()
		s.log.Error("the source does not end its session; what it still reads is not published", "waited", leaveGrace)
		return <-done
	}
}

// runSource runs a source and tells its verdict. A panic, or a goroutine that exits, ends no
// more than the session.
func runSource(ctx context.Context, source router.Source, to router.Sink, done chan<- error) {
	err := errors.New("the source ended its goroutine")
	defer func() {
		if p := recover(); p != nil {
			err = &router.PanicError{Value: p, Stack: debug.Stack()}
		}
		done <- err
	}()
	err = source.Run(ctx, to)
}

// end tells that the session is over, and returns what ended it.
func (s *session) end(ctx context.Context, err error) error {
	s.mu.Lock()
	s.over = true
	opened := s.opened
	heard, data := s.heard, s.data
	s.mu.Unlock()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if opened {
		s.h.heard = heard
		if errors.Is(err, errMute) { // heartbeats say nothing of what did not come
			if s.h.heard = data; data.IsZero() {
				s.h.heard = s.begun
			}
		}
		s.h.tell(router.TypeDisconnected, router.Connection{
			Source: s.h.spec.Name, Service: s.h.service, Epoch: s.h.epoch,
			Planned: err == nil || errors.Is(err, errStops) || errors.Is(err, errChange), Reason: reason(err),
		}, s.h.heard)
	}
	return err
}

func reason(err error) string {
	if err == nil {
		return "it connects anew, as planned"
	}
	text := err.Error()
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	return text
}

// Opened implements [router.Sink].
func (s *session) Opened(at string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.opened {
		return
	}
	s.opened, s.heard = true, time.Now()
	s.h.connected(at)
}

// Alive implements [router.Sink].
func (s *session) Alive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.heard = time.Now()
	s.h.board.change(func(b *Stats) { b.LastSeen = s.heard })
}

// Trouble implements [router.Sink].
func (s *session) Trouble(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	if err != nil {
		s.log.Error("the source has trouble", "err", err)
	}
	s.h.board.change(func(b *Stats) {
		if b.Trouble = ""; err != nil {
			b.Trouble = err.Error()
		}
	})
}

// Emit implements [router.Sink].
func (s *session) Emit(message []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.heard = time.Now()
	if s.h.accept(message, s.heard, s.log) {
		s.data = s.heard
	}
}

// mute ends a session in which nothing comes although it should: connected and mute is the
// commonest way in which feeds fail, and a new connection its commonest remedy. It returns
// when to look again; 0: never.
func (s *session) mute() (again time.Duration) {
	after := s.h.spec.StaleAfter.Any
	if after == 0 {
		return 0
	}
	now := time.Now()
	since, open := s.h.spec.Hours.Open(now)
	if !open {
		return min(after, time.Minute)
	}
	s.mu.Lock()
	for _, at := range []time.Time{s.begun, s.data} {
		if at.After(since) {
			since = at
		}
	}
	s.mu.Unlock()
	silent := now.Sub(since)
	if silent >= after {
		s.cancel(fmt.Errorf("%w for %s, longer than stale_after", errMute, silent.Round(time.Millisecond)))
	}
	return max(after-silent, time.Millisecond)
}
