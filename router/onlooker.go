package router

import (
	"cmp"
	"sync/atomic"
	"time"
)

// defaultPerSecond is Onlooker.PerSecond.
const defaultPerSecond = 20

// Onlooker sees what becomes of events, but no more than a person can look at: of each
// route, and of what reaches none of a channel, PerSecond outcomes a second of what went
// well, and as many of what did not. It costs next to nothing while it does not look.
type Onlooker struct {
	// See is told outcomes, under the conditions of [Options.Observe]. Who keeps a part of
	// an Event copies it, or keeps the memory of all that arrived with it.
	See func(Outcome)
	// PerSecond; 0: 20.
	PerSecond int32
	// All makes it see everything; else it sees only Failed, Retried, Rejected and
	// CrashLoop. It may change at any time.
	All atomic.Bool
}

// watcher tells the outcomes of one route, or of one subscription, to who wants to know.
type watcher struct {
	observe   func(Outcome) // nil: as usual
	onlooker  *Onlooker     // likewise
	clock     func() time.Duration
	good, bad glance
}

func newWatcher(opts Options, clock func() time.Duration) watcher {
	onlooker := opts.Onlooker
	if onlooker != nil && onlooker.See == nil { // it cannot look
		onlooker = nil
	}
	return watcher{observe: opts.Observe, onlooker: onlooker, clock: clock}
}

// audience is who is to be told of one outcome.
type audience struct{ observer, onlooker bool }

func (a audience) empty() bool { return a == audience{} }

// audience is who wants to know of such a result, before the trouble is taken to say what
// there is to tell, at a time by the clock of the workforce; 0 is now. The onlooker has looked
// then.
func (w *watcher) audience(result Result, at time.Duration) (a audience) {
	a.observer = w.observe != nil
	if w.onlooker == nil {
		return a
	}
	glance := &w.good
	if result.troubles() {
		glance = &w.bad
	} else if !w.onlooker.All.Load() { // as usual
		return a
	}
	if at == 0 {
		at = w.clock()
	}
	a.onlooker = glance.another(at, cmp.Or(w.onlooker.PerSecond, defaultPerSecond))
	return a
}

// tell tells an outcome to an audience.
func (w *watcher) tell(to audience, o Outcome) {
	if to.observer {
		w.observe(o)
	}
	if to.onlooker {
		w.onlooker.See(o)
	}
}

// troubles reports whether a result is one that somebody may have to do something about.
func (r Result) troubles() bool {
	return r == Failed || r == Retried || r == Rejected || r == CrashLoop
}

// glance bounds how often something is looked at.
type glance struct {
	second atomic.Int64
	n      atomic.Int32 // in that second
}

// another reports whether one more may be looked at. Where two seconds meet it may be one
// too many for each who asks at once.
func (g *glance) another(now time.Duration, perSecond int32) bool {
	if second := int64(now/time.Second) + 1; g.second.Load() != second {
		g.second.Store(second)
		g.n.Store(0)
	}
	if g.n.Load() >= perSecond { // most of the time, when there are many
		return false
	}
	return g.n.Add(1) <= perSecond
}
