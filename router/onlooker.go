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
	good, bad glance
}

func newWatcher(opts Options) watcher {
	onlooker := opts.Onlooker
	if onlooker != nil && onlooker.See == nil { // it cannot look
		onlooker = nil
	}
	return watcher{observe: opts.Observe, onlooker: onlooker}
}

// wants reports whether anybody is to be told of such a result, before the trouble is
// taken to say what there is to tell.
func (w *watcher) wants(result Result) bool {
	return w.observe != nil || w.onlooker != nil && (result.troubles() || w.onlooker.All.Load())
}

// see tells an outcome to who wants to know.
func (w *watcher) see(o Outcome) {
	if w.observe != nil {
		w.observe(o)
	}
	if w.onlooker == nil {
		return
	}
	glance, troubles := &w.good, o.Result.troubles()
	if troubles {
		glance = &w.bad
	}
	if (troubles || w.onlooker.All.Load()) && glance.another(cmp.Or(w.onlooker.PerSecond, defaultPerSecond)) {
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
func (g *glance) another(perSecond int32) bool {
	now := time.Now().Unix()
	if g.second.Load() != now {
		g.second.Store(now)
		g.n.Store(0)
	}
	if g.n.Load() >= perSecond { // most of the time, when there are many
		return false
	}
	return g.n.Add(1) <= perSecond
}
