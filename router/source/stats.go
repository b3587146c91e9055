package source

import (
	"maps"
	"sync"
	"time"

	"signalbox/router"
)

// State is what a source does.
type State string

// The states.
const (
	StandingBy State = "standing_by" // another process holds it, or it is not known yet
	Waiting    State = "waiting"     // it will connect: after a take-over, a back-off, or when the budget has room
	Connecting State = "connecting"
	Connected  State = "connected"
	StoodDown  State = "stood_down" // another session of the account is in the way
	GivenUp    State = "given_up"   // until the configuration changes or the program starts again
)

// Stats is how a source is, and its counters since this process runs it, also through
// reloads that change it.
type Stats struct {
	Source, Kind, Channel string

	State State
	Since time.Time // of the state
	Until time.Time // when it will end, as far as that is known: of Waiting and StoodDown
	Why   string    // what led to it: the error of the last session, for example
	Holds bool      // this process holds the source
	Epoch int64     // of its term, or its last
	At    string    // where it is connected to

	Trouble  string    // what is wrong although it is connected; empty: nothing
	LastData time.Time // when a message came last
	LastSeen time.Time // when anything came last

	Sessions   uint64 // that were accepted
	Attempts   uint64 // to connect
	Received   uint64 // events that were read; a message that is split counts as its elements
	Published  uint64
	Other      uint64 // of Received: of types that the channel does not declare
	Duplicates uint64 // of Received: the number before came again
	Dropped    uint64 // of Received: the queue was full, or the term ended
	Rejected   map[router.Cause]uint64
	Missing    uint64 // numbers (SourceSpec.Sequence) that were left out
	Queued     int    // that wait for Redis
}

// board is where a source writes how it is. It may be read at any time.
type board struct {
	mu      sync.Mutex
	s       Stats
	refused error // why what was read cannot be published; nil: it can
}

func newBoard(spec router.SourceSpec) *board {
	return &board{s: Stats{Source: spec.Name, Kind: spec.Kind, Channel: spec.Channel, State: StandingBy, Since: time.Now(), Rejected: map[router.Cause]uint64{}}}
}

// change lets f write, if f changes the state notes since when.
func (b *board) change(f func(*Stats)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.s.State
	f(&b.s)
	if b.s.State != before {
		b.s.Since = time.Now()
	}
}

// publishing notes that what was read can be published, or why it can't.
func (b *board) publishing(refused error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused = refused
}

// turn enters a state, for a reason and, if that is known, for so long.
func (b *board) turn(to State, why string, lasting time.Duration) {
	b.change(func(s *Stats) {
		s.State, s.Why, s.Until, s.Since = to, why, time.Time{}, time.Now()
		if lasting > 0 {
			s.Until = s.Since.Add(lasting)
		}
		if to != Connected {
			s.At, s.Trouble = "", ""
		}
	})
}

// goOn begins with what was counted before, under the same name: counters never go back.
func (b *board) goOn(before Stats) {
	b.change(func(s *Stats) {
		before.Kind, before.Channel, before.State, before.Since = s.Kind, s.Channel, s.State, s.Since
		before.Until, before.Why, before.At, before.Trouble = time.Time{}, "", "", ""
		before.Holds, before.Queued = false, 0
		*s = before
	})
}

func (b *board) read() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.s
	s.Rejected = maps.Clone(s.Rejected)
	if b.refused != nil && s.State == Connected { // worse than anything that the source may have
		s.Trouble = "what it reads cannot be published: " + b.refused.Error()
	}
	return s
}
