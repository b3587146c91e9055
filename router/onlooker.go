package router

import "sync/atomic"

// Onlooker sees what becomes of events, but no more than a person can look at: for each
// route, PerSecond outcomes a second of what went well, and as many of what did not. It is
// cheap enough to be there all the time.
type Onlooker struct {
	// See is told outcomes, under the conditions of [Options.Observe]. An Event is valid
	// as long as See runs; who keeps something of it copies that.
	See func(Outcome)
	// PerSecond; 0: 20.
	PerSecond int
	// All makes it see what went well, too: Handled, Skipped, Filtered, Duplicate and
	// Unmatched. It may change at any time.
	All atomic.Bool
}
