package ops

import (
	"time"

	"signalbox/router"
)

// SourceState is what a source does.
type SourceState string

// The states of a [Source], as router/source calls them.
const (
	SourceStandingBy SourceState = "standing_by" // another process holds it, or it is not known yet
	SourceWaiting    SourceState = "waiting"     // it will connect
	SourceConnecting SourceState = "connecting"
	SourceConnected  SourceState = "connected"
	SourceStoodDown  SourceState = "stood_down" // another session of the account is in the way
	SourceGivenUp    SourceState = "given_up"   // until the configuration changes or the program starts again
)

// sourceStates are all that there are.
func sourceStates() []SourceState {
	return []SourceState{SourceStandingBy, SourceWaiting, SourceConnecting, SourceConnected, SourceStoodDown, SourceGivenUp}
}

// Source is how a source is in this process, and its counters since the start.
type Source struct {
	Name, Kind string
	Channel    string // that it publishes to

	State    SourceState
	Since    time.Time // of the state
	Until    time.Time // when it will end; zero: nobody knows
	Why      string    // what led to it
	Trouble  string    // what is wrong although it is connected; empty: nothing
	Holds    bool      // this process holds it
	Epoch    int64     // of its term, or its last; 0: there was none
	At       string    // where it is connected to
	Expected bool      // data is to be expected now, by its hours

	LastData time.Time // when a message came last; zero: never
	LastSeen time.Time // when anything came last, such as an answer to a ping

	Sessions, Attempts                     uint64
	Received, Published, Other, Duplicates uint64
	Dropped, Missing                       uint64
	Rejected                               map[router.Cause]uint64
	Queued                                 int
}
