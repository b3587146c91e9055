package router

import (
	"cmp"
	"context"
	"sync"
	"time"

	"signalbox/router/internal/attempt"
)

// abandonAfter is how long a handler may still run when its attempt has timed out.
const abandonAfter = time.Second

// worker is a goroutine that handles events of a route, one after the other or, for
// a BatchHandler, chunk by chunk.
//
// A handler may take the goroutine away: it may end it with runtime.Goexit, or not
// return. Then what the worker holds goes over to a new one.
type worker struct {
	lanes     *lanes
	lanesHeld []*lane
	rest      []*delivery // of these lanes, not begun
	bundle    *bundle     // more lanes to go on with; nil: none
	tries     []try       // begun and not finished; of use to the attempt that runs
	times     stretch     // of the handler's calls

	last time.Duration // when the call before this one ended; 0 unless this one follows at once

	mu       sync.Mutex // guards what the watchdog and the worker share
	route    *route     // of the attempt
	attempt  uint64     // counts attempts
	busy     bool       // the handler has events
	cancel   context.CancelCauseFunc
	expired  bool // the attempt's context was cancelled, because of its timeout
	lost     bool // the handler did not return; another worker goes on
	watchdog *time.Timer
	seen     uint64    // the attempt that the watchdog saw last
	since    time.Time // when it saw it first or, when it has expired, ended its context

	ctx context.Context //nolint:containedctx // of the attempts: made once, and again when one has expired, or for another feed
	of  context.Context //nolint:containedctx // the work that ctx ends with
}

// try is an event that is being handled, and how often it was tried.
type try struct {
	*delivery
	attempts int
	failedAt time.Time // when an attempt failed first
	hold     *hold     // of the route's gate; nil: none
}

// work handles events until none wait.
func (w *worker) work() {
	ended := false // false when the handler ended the goroutine
	defer func() {
		if !ended {
			w.exited()
		}
	}()
	for {
		for w.next() {
			if !w.lanes.route.Load().run(w) {
				ended = true // lost: whoever found out has done the rest
				return
			}
		}
		l := w.bundle.next()
		if l == nil {
			break
		}
		w.lanes.running.Done()
		w.lanes, w.lanesHeld = l, w.lanesHeld[:0]
	}
	w.stop()
	ended = true
	w.lanes.running.Done()
}

// next takes the next events into hand: one, or a chunk for a BatchHandler. Those of a
// chunk came by one feed, since the end of a feed's work is the end of its events only.
func (w *worker) next() bool {
	if len(w.rest) == 0 {
		w.times.end()
		w.last = 0
		if !w.lanes.refill(w) {
			return false
		}
	}
	n := 1
	if w.lanes.route.Load().batch != nil {
		n = min(len(w.rest), maxChunk)
	}
	w.tries = w.tries[:0]
	for _, d := range w.rest[:n] {
		if d.ctx.Context != w.rest[0].ctx.Context {
			break
		}
		w.tries = append(w.tries, try{delivery: d})
	}
	w.rest = w.rest[len(w.tries):]
	return true
}

// begins is when a call begins. One that follows at once begins when the one before it ended,
// which is right to within a microsecond: looking at the clock costs a twentieth of all that
// happens to an event. Waited says that something else came between.
func (w *worker) begins(waited bool) time.Duration {
	if w.last == 0 || waited {
		return w.lanes.running.clock()
	}
	return w.last
}

// putBack makes events the next ones again.
func (w *worker) putBack(tries []try) {
	if len(tries) == 0 {
		return
	}
	rest := make([]*delivery, 0, len(tries)+len(w.rest))
	for _, t := range tries {
		rest = append(rest, t.delivery)
	}
	w.rest = append(rest, w.rest...)
}

// begin marks the beginning of an attempt and returns its context.
func (w *worker) begin(work context.Context, r *route) context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx == nil || w.expired || w.of != work || r.watched && w.route != r {
		if w.cancel != nil {
			w.cancel(nil)
		}
		w.ctx, w.cancel = context.WithCancelCause(work)
		if r.watched {
			w.ctx = attempt.With(w.ctx, attempt.Info{Route: r.Name, Timeout: r.Policy.Timeout})
		}
		w.of, w.expired = work, false
	}
	w.route = r
	w.attempt++
	w.busy = true
	if w.watchdog == nil && r.Policy.Timeout > 0 && r.pauses.fake == nil {
		w.watchdog = time.AfterFunc(w.look(), w.watch)
	}
	return w.ctx
}

// end marks the end of an attempt. It reports whether the attempt had timed out, and
// ok is false when another worker has taken over meanwhile.
func (w *worker) end() (expired, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy = false
	return w.expired, !w.lost
}

// look is how often the watchdog looks.
func (w *worker) look() time.Duration {
	return min(max(w.route.Policy.Timeout/16, time.Millisecond), time.Second)
}

// watch ends the context of an attempt that takes too long, and gives up the worker
// when the handler goes on all the same. One timer for all attempts of a worker is
// cheaper than one for each.
func (w *worker) watch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watchdog == nil { // stopped
		return
	}
	if !w.busy || w.route.Policy.Timeout < 0 { // the next attempt, perhaps after a long pause, sets it going again
		w.watchdog = nil
		return
	}
	now := time.Now()
	w.watchdog.Reset(w.look())
	if w.seen != w.attempt {
		w.seen, w.since = w.attempt, now
	}
	took := now.Sub(w.since)
	switch {
	case !w.expired && took >= w.route.Policy.Timeout:
		w.expired, w.since = true, now // a second from now, even if this look was late
		w.cancel(context.DeadlineExceeded)
	case w.expired && took >= abandonAfter:
		w.lost = true
		w.release()
		go w.handOver(errAbandoned)
	}
}

// release ends the timer and the context; the caller holds the lock.
func (w *worker) release() {
	if w.watchdog != nil {
		w.watchdog.Stop()
		w.watchdog = nil
	}
	if w.cancel != nil {
		w.cancel(nil)
	}
}

// stop ends a worker that has nothing in hand. It reports false when the worker was
// given up.
func (w *worker) stop() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy = false
	w.release()
	return !w.lost
}

// exited ends the events of a handler that ended its goroutine.
func (w *worker) exited() {
	w.times.end()
	if w.stop() {
		w.handOver(errExited)
	}
}

// handOver finishes what the handler had with err, and lets another worker go on.
func (w *worker) handOver(err error) {
	defer w.lanes.running.Done()
	r := cmp.Or(w.route, w.lanes.route.Load()) // an attempt may not have begun
	r.gate.leave(w.tries, err)
	for _, t := range w.tries {
		r.giveUp(t, err)
	}
	w.lanes.replace(&worker{lanes: w.lanes, lanesHeld: w.lanesHeld, rest: w.rest, bundle: w.bundle})
}
