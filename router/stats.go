package router

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Result is what became of an event.
type Result string

// The results.
const (
	Handled   Result = "handled"
	Failed    Result = "failed"
	Unmatched Result = "unmatched"  // no route takes its type
	Rejected  Result = "rejected"   // the message is no event
	CrashLoop Result = "crash_loop" // it was delivered too often, to processes that died
	Retried   Result = "retried"    // an attempt failed, or the target is away; the event is tried again
	Skipped   Result = "skipped"    // older than the route's MaxAge
	Filtered  Result = "filtered"   // the route's condition is false
	// Withdrawn events were taken over by another process before a handler had them.
	Withdrawn Result = "withdrawn"
	Duplicate Result = "duplicate" // the same event was handled before, or is in progress elsewhere
	// Unfinished events were cut short by a shutdown. A stream keeps them; on Pub/Sub
	// they are lost.
	Unfinished Result = "unfinished"
)

// Outcome is what became of an event on one route, or of a message that reached none.
type Outcome struct {
	Result  Result
	Channel string
	Route   string        // empty for Unmatched and Rejected
	Handler string        // likewise
	Event   *Event        // nil when Rejected
	Err     error         // why, unless Handled, Filtered or Unmatched
	Attempt int           // how many attempts were made; a target that is away uses none
	Pause   time.Duration // until the next attempt, when Retried
	Took    time.Duration // in the handler, by the last attempt; of its whole batch for a BatchHandler
	Reason  Reason        // why it was given up: when Failed, Rejected or Unmatched and kept
	Kept    bool          // as a dead letter
	Payload []byte        // what arrived, when Rejected or CrashLoop
}

// Stats are the counters of a router since it was made. Reloads neither set them back
// nor drop those of what they removed.
type Stats struct {
	Channels map[string]ChannelStats // by declared name; those that have routes, or had
	Routes   []RouteStats            // in the order of the configuration; then those that are gone
	// Subscriptions are those of the moment.
	Subscriptions []SubscriptionStats
}

// SubscriptionStats is what a subscriber has that is not done: see [Backlogger].
type SubscriptionStats struct {
	Channel string
	Route   string // the isolated route whose own it is; empty: of all others
	Queued  int
	InHand  int
}

// ChannelStats counts the messages of a channel. An array that is split counts as
// its elements. What isolated routes read beside the others is not counted again.
type ChannelStats struct {
	Received uint64
	// Types are of Received: those that the channel declares or a route names. All others
	// are under [OtherTypes], so that nobody outside can make the map grow.
	Types     map[string]uint64
	Unmatched uint64
	Rejected  map[Cause]uint64
	CrashLoop uint64 // delivered more than Channel.MaxDeliveries times
	Missing   uint64 // numbers that the producers' messages (Fields.Seq) left out
	// LastEvent is when something came last; Stale, since when nothing has come for longer
	// than StaleAfter.Any; zero: it has. StaleKeys are those that don't come for longer than
	// PerKey. All are told only of channels with StaleAfter.
	LastEvent, Stale time.Time
	StaleKeys        int
	Dead             uint64 // of Unmatched, Rejected and CrashLoop: kept as dead letters
	// Age is how old events were when they had been decoded, by their own time. Nil without
	// [Options.Measure].
	Age *Distribution
}

// OtherTypes stands for the types that the configuration does not know.
const OtherTypes = "other"

// RouteStats counts the events of a route.
type RouteStats struct {
	Channel, Route, Handler string
	Handled, Failed         uint64
	Retried                 uint64 // attempts that were followed by another
	Skipped                 uint64 // older than MaxAge
	Filtered                uint64 // the condition was false
	Withdrawn               uint64 // another process took them over before the handler had them
	Duplicates              uint64 // the same was handled before
	Unmarked                uint64 // of Handled: Options.Dedupe could not be told, so that a duplicate may be handled
	Abandoned               uint64 // of Failed: the handler did not return after its timeout
	Dead                    uint64 // of Failed: kept as dead letters
	// Unfinished events were cut short by a shutdown. A stream keeps them; on Pub/Sub
	// they are lost.
	Unfinished uint64
	// Took is how long the handler's calls took, to within a microsecond, each attempt by
	// itself; for a BatchHandler a call is a chunk of events. Nil without [Options.Measure].
	Took *Distribution
}

// maxUnmatchedTypes bounds how many types are logged as unmatched, and remembered.
const maxUnmatchedTypes = 1000

type channelCounters struct {
	noEvents                            atomic.Uint64 // that were received
	unmatched, crashLoop, missing, kept atomic.Uint64
	ages                                distribution

	mu       sync.Mutex
	types    map[string]*atomic.Uint64 // of the events that were received; see ChannelStats
	rejected map[Cause]uint64
	seen     map[string]bool // unmatched types
}

// ofType is the counter of a type that the configuration knows, or of [OtherTypes].
func (c *channelCounters) ofType(typ string) *atomic.Uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.types == nil {
		c.types = map[string]*atomic.Uint64{}
	}
	if c.types[typ] == nil {
		c.types[typ] = new(atomic.Uint64)
	}
	return c.types[typ]
}

func (c *channelCounters) rejectedFor(cause Cause) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rejected == nil {
		c.rejected = map[Cause]uint64{}
	}
	c.rejected[cause]++
}

// unmatchedType counts an event that no route takes; first reports whether its type
// is new.
func (c *channelCounters) unmatchedType(typ string) (first bool) {
	c.unmatched.Add(1)
	typ = clip(typ) // a thousand megabytes are too many to remember
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[typ] || len(c.seen) >= maxUnmatchedTypes {
		return false
	}
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	c.seen[strings.Clone(typ)] = true // typ is a view of the whole message
	return true
}

func (c *channelCounters) stats(measured bool) ChannelStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := ChannelStats{
		Received: c.noEvents.Load(), Types: make(map[string]uint64, len(c.types)), Unmatched: c.unmatched.Load(), Rejected: maps.Clone(c.rejected),
		CrashLoop: c.crashLoop.Load(), Missing: c.missing.Load(), Dead: c.kept.Load(),
	}
	for typ, n := range c.types {
		s.Types[typ] = n.Load()
		s.Received += s.Types[typ]
	}
	if measured {
		s.Age = c.ages.snapshot()
	}
	return s
}
