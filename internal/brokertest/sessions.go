package brokertest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// Session is one that the broker has accepted: a connection whose login was right, if one
// is asked for.
type Session struct {
	From  string    // the client's address
	Asked string    // path and query of its request: a test may tell its clients apart by it
	Begin time.Time // when it was accepted
	End   time.Time // when the broker knew that it is over, or forgot it; zero: it goes on
	Why   string    // it ended
	Sent  int       // ticks
}

// Open reports whether the session goes on.
func (s Session) Open() bool { return s.End.IsZero() }

// Second is what becomes of a session that would be the second.
type Second int

// What becomes of it.
const (
	Both   Second = iota // it is accepted, and counted: [Server.MaxConcurrent] tells
	Refuse               // it is refused
	Evict                // it is accepted, and the first one is ended
)

// sessions is the broker's list of all sessions that it has ever accepted.
type sessions struct {
	mu      sync.Mutex
	all     []*Session
	open    map[*talk]*Session
	most    int
	refused int
	changed chan struct{} // closed and made anew when a session begins or ends
}

func newSessions() sessions {
	return sessions{open: map[*talk]*Session{}, changed: make(chan struct{})}
}

// Sessions returns all sessions that were accepted so far, in their order.
func (s *sessions) Sessions() []Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.copied()
}

func (s *sessions) copied() []Session {
	list := make([]Session, len(s.all))
	for i, one := range s.all {
		list[i] = *one
	}
	return list
}

// MaxConcurrent returns how many sessions went on at one instant, at most.
func (s *sessions) MaxConcurrent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most
}

// Refused returns how many attempts ended before a session: with an HTTP status, a wrong
// or missing login, or because another session was there.
func (s *sessions) Refused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// Sent returns how many ticks were sent, in all sessions.
func (s *sessions) Sent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, one := range s.all {
		n += one.Sent
	}
	return n
}

// Until waits until what is said of the sessions is true. It is asked again whenever one
// begins or ends; the error is that of ctx.
func (s *sessions) Until(ctx context.Context, is func([]Session) bool) error {
	for {
		s.mu.Lock()
		list, changed := s.copied(), s.changed
		s.mu.Unlock()
		if is(list) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// accept begins a session, unless another one is in the way. What is evicted for it has ended before.
func (s *sessions) accept(t *talk, then Second) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	if t.over || hungUp(t.socket) || then == Refuse && len(s.open) > 0 {
		return false
	}
	for other := range s.open {
		if then == Evict {
			s.endLocked(other, "evicted")
			other.evicted()
		}
	}
	one := &Session{From: t.from, Asked: t.url.RequestURI(), Begin: time.Now()}
	t.accepted = true
	s.all = append(s.all, one)
	s.open[t] = one
	s.most = max(s.most, len(s.open))
	s.tell()
	return true
}

// busy reports whether a session goes on.
func (s *sessions) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	return len(s.open) > 0
}

// sweep ends the sessions whose clients have hung up before this moment, though the
// goroutine that reads from them did not get to see it yet.
func (s *sessions) sweep() {
	for t := range s.open {
		if hungUp(t.socket) {
			s.endLocked(t, "closed by the client")
		}
	}
}

// end ends t's session; the first reason is the one that counts.
func (s *sessions) end(t *talk, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(t, why)
}

func (s *sessions) endLocked(t *talk, why string) {
	t.over = true
	one, ok := s.open[t]
	if !ok {
		return
	}
	one.End, one.Why = time.Now(), why
	delete(s.open, t)
	s.tell()
}

func (s *sessions) tell() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// sent counts what a message has told.
func (s *sessions) sent(t *talk, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one, ok := s.open[t]; ok {
		one.Sent += n
	}
}

// refusal counts an attempt that became no session.
func (s *sessions) refusal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused++
}

// each returns the talks whose sessions go on.
func (s *sessions) each() []*talk {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.open))
}
