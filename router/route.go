package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"signalbox/router/internal/attempt"
)

var (
	// errExited is the verdict on an event whose handler called runtime.Goexit.
	errExited = errors.New("the handler ended its goroutine (runtime.Goexit)")
	// errAbandoned is the verdict on an event whose handler ignored its timeout.
	errAbandoned = errors.New("the handler did not return within a second after its timeout; it is left behind")
	// errGone is the verdict on an event that a route had left when a reload removed it.
	errGone = errors.New("a reload removed its route, which could not finish it within the drain")
	// errTakenOver is why an event is left to others.
	errTakenOver = errors.New("this process stood still, and another one took the event over or may have")
)

// timing is how long a call of a handler took, and when it ended, by the clock of the
// workforce; nothing if nobody wants to know.
type timing struct{ took, at time.Duration }

// atOnce is how long a call must take for its time to be told by itself, and not with those
// of the calls after it.
const atOnce = time.Millisecond

// route is a [Route] that runs, as one configuration has it. Its lanes and counters
// outlive that.
type route struct {
	Route
	home    *subscription
	index   int // among the routes of its home
	handler *instance
	batch   BatchHandler // handler, if it takes batches
	lanes   *lanes
	log     *slog.Logger
	watcher watcher
	timed   bool // how long the handler takes is of interest
	now     func() time.Time
	pauses  pauses
	watched bool  // by a test, whose handlers may ask for the route
	gate    *gate // nil: every event passes
	keeper  *keeper
	channel *Channel
	dead    *Channel // where its dead letters go; nil: nowhere
	// replaced is closed when another handler or policy has taken this one's place, so
	// that what waits for another attempt makes it now.
	replaced chan struct{}
	*routeCounters
}

type routeCounters struct {
	handled, failed, retried, skipped, filtered, abandoned, unfinished atomic.Uint64
	kept                                                               atomic.Uint64 // of failed: as dead letters
	refused                                                            atomic.Uint64 // of failed: by an error of the condition, before the lanes
	duplicates, unmarked, withdrawn                                    atomic.Uint64
	took                                                               distribution // only if it is timed
}

func newRoute(cfg Route, ch *Channel, handler *instance, opts Options, keeper *keeper, running *workforce) *route {
	r := &route{
		Route: cfg, handler: handler, watcher: newWatcher(opts, running.clock), timed: opts.Measure || opts.Observe != nil || opts.Onlooker != nil, now: opts.Now, pauses: pauses{opts.Sleep}, watched: opts.Busy != nil, keeper: keeper, channel: ch,
		replaced: make(chan struct{}), routeCounters: &routeCounters{},
	}
	log := opts.Logger
	r.log = log.With("route", cfg.Name, "handler", cfg.Handler)
	r.batch, _ = handler.Handler.(BatchHandler)
	r.lanes = newLanes(r, running)
	return r
}

// run tries a worker's events until each is done or given up. It reports false when
// the worker was lost in the handler.
func (r *route) run(w *worker) bool {
	work := w.tries[0].ctx.Context
	for failures := 0; ; failures++ {
		r = r.successor(w)
		w.tries = r.sift(work, r.gate.admit(work, w))
		if len(w.tries) == 0 {
			return true
		}
		if !r.handler.enter() { // a reload has come between
			if r.lanes.route.Load() == r {
				r.lanes.dropped.Store(true)
			}
			continue
		}
		verdicts, spent, verdict := r.call(w.begin(work, r), w)
		expired, ok := w.end()
		if !ok {
			w.times.end()
			r.log.Warn("a handler that was left behind has returned", "channel", r.Channel)
			return false
		}
		result := func(i int) error {
			err := verdict
			if verdicts != nil {
				err = verdicts[i]
			}
			if err != nil && (expired || r.watched && errors.Is(err, attempt.ErrTimeout)) {
				err = &timeoutError{r.Policy.Timeout, err}
			}
			return err
		}
		r.gate.settle(work, w.tries, result)
		var pause time.Duration
		w.tries, pause = r.judge(work, w.tries, result, failures, spent)
		if len(w.tries) > 0 {
			w.times.end()
			w.last = 0
			r.pauses.sleep(work, r.replaced, pause)
		}
	}
}

// sift finishes the events that may not be tried: all of them when the drain is over or
// the route is gone, else those that another process has taken over, and those that are
// too old by now.
func (r *route) sift(work context.Context, tries []try) []try {
	if stopped := work.Err(); stopped != nil {
		r.gate.release(tries)
		for _, t := range tries {
			r.unfinished.Add(1)
			r.tell(Unfinished, t, stopped, timing{})
			t.ticket.leave()
		}
		return nil
	}
	tries = r.withdraw(work, tries)
	if r.lanes.dropped.Load() {
		r.orphan(work, tries)
		return nil
	}
	if r.Policy.MaxAge == 0 {
		return tries
	}
	left := tries[:0]
	for _, t := range tries {
		age := r.now().Sub(t.event.Time)
		if age <= r.Policy.MaxAge {
			left = append(left, t)
			continue
		}
		r.gate.release([]try{t})
		r.skipped.Add(1)
		r.tell(Skipped, t, fmt.Errorf("%v old, max age %v", age.Round(max(time.Millisecond, r.Policy.MaxAge/50)), r.Policy.MaxAge), timing{})
		t.ticket.release()
	}
	return left
}

// orphan gives up what a route that is gone could not finish. The subscription goes on,
// so nobody would deliver these events again: they are kept as any that failed.
func (r *route) orphan(work context.Context, tries []try) {
	r.gate.release(tries)
	letters := make([]letter, len(tries))
	for i, t := range tries {
		letters[i] = r.letter(t, errGone, 0)
	}
	r.keeper.settle(work, letters)
}

// withdraw leaves to others what they have taken over, because this process stood still.
// It is not done here, so that nothing acknowledges what they have in hand.
func (r *route) withdraw(work context.Context, tries []try) []try {
	ours := tries[:0]
	for _, t := range tries {
		owner := t.ticket.revocable
		if owner == nil || owner.Begin(work, t.ticket.item) {
			ours = append(ours, t)
			continue
		}
		r.gate.release([]try{t})
		if stopped := work.Err(); stopped != nil {
			r.unfinished.Add(1)
			r.tell(Unfinished, t, stopped, timing{})
		} else {
			r.withdrawn.Add(1)
			r.tell(Withdrawn, t, errTakenOver, timing{})
		}
		t.ticket.leave()
	}
	return ours
}

// call hands a worker's events to the handler, which was entered. It returns one verdict
// on all of them, or one on each, and how long that took if somebody wants to know.
func (r *route) call(ctx context.Context, w *worker) (verdicts []error, spent timing, verdict error) {
	defer r.handler.leave()
	var events []*Event
	if r.batch != nil {
		events = make([]*Event, len(w.tries))
		for i, t := range w.tries {
			events[i] = &t.event
		}
	}
	var begin time.Duration
	if r.timed {
		begin = w.begins(r.gate != nil || w.tries[0].ticket.revocable != nil)
	}
	if r.batch == nil {
		d := w.tries[0].delivery
		verdict = r.handle(d.attempt(ctx), d)
	} else {
		verdicts, verdict = r.handleBatch(ctx, events)
	}
	if r.timed {
		w.last = w.lanes.running.clock()
		spent = timing{took: w.last - begin, at: w.last}
		if w.times.add(&r.took, spent.took); spent.took >= atOnce {
			w.times.end()
		}
	}
	return verdicts, spent, verdict
}

// handle makes an attempt; a panic is an error.
func (r *route) handle(ctx context.Context, d *delivery) (verdict error) {
	defer recovered(&verdict)
	return r.handler.Handle(ctx, &d.event)
}

// handleBatch makes an attempt on several events. Other than one verdict on each is an
// error of all.
func (r *route) handleBatch(ctx context.Context, events []*Event) (verdicts []error, verdict error) {
	defer recovered(&verdict)
	verdicts = r.batch.HandleBatch(ctx, events)
	if verdicts != nil && len(verdicts) != len(events) {
		return nil, fmt.Errorf("the handler returned %d verdicts on %d events", len(verdicts), len(events))
	}
	return verdicts, nil
}

// judge finishes the events whose verdict is final. It returns those that are to be
// tried again, after so many failures, and when.
func (r *route) judge(work context.Context, tries []try, verdict func(int) error, failures int, spent timing) ([]try, time.Duration) {
	again := tries[:0]
	var pause, wait time.Duration
	var letters []letter
	for i, t := range tries {
		err := verdict(i)
		if err == nil {
			t.attempts++
			r.finish(t, spent)
			continue
		}
		after, away := IsUnavailable(err)
		if !away {
			t.attempts++
		}
		switch {
		case interrupted(&t.ctx, err):
			r.unfinished.Add(1)
			r.tell(Unfinished, t, err, spent)
			t.ticket.leave()
		case r.final(err, t.attempts):
			letters = append(letters, r.letter(t, err, spent.took))
		default:
			if pause == 0 {
				pause = r.pauses.of(r.Policy.Retry, failures)
			}
			wait = max(wait, pause, after)
			if t.failedAt.IsZero() {
				t.failedAt = r.now()
			}
			again = append(again, t)
			r.retry(t, err, max(pause, after), away, spent.took)
		}
	}
	r.keeper.settle(work, letters)
	return again, wait
}

// final reports whether err, after so many attempts, ends an event.
func (r *route) final(err error, attempts int) bool {
	_, away := IsUnavailable(err)
	return IsPermanent(err) || !away && attempts >= r.Policy.Retry.Attempts
}

// finish completes an event that is done.
func (r *route) finish(t try, spent timing) {
	r.handled.Add(1)
	if r.log.Enabled(&t.ctx, slog.LevelDebug) {
		r.log.Debug("handled", eventAttrs(&t.event, "attempt", t.attempts)...)
	}
	r.tell(Handled, t, nil, spent)
	t.ticket.release()
}

// letter gives up an event: it failed once its letter is settled.
func (r *route) letter(t try, err error, took time.Duration) letter {
	reason := reasonOf(err)
	logError(r.deadLog().With("attempt", t.attempts, "reason", string(reason)), &t.msg, err)
	return r.letterTo(t, reason, err, took)
}

// deadLog says where what is given up is kept.
func (r *route) deadLog() *slog.Logger {
	if r.dead == nil {
		return r.log
	}
	return r.log.With("dead_letter", r.dead.Topic)
}

// letterTo is the letter of an event whose failure is logged already.
func (r *route) letterTo(t try, reason Reason, err error, took time.Duration) letter {
	to := r.dead
	if isOwn(t.event.Type) {
		to = nil // what we say of ourselves never causes more of it
	}
	return letter{
		to: to, reason: reason, err: err, channel: r.channel, route: r, event: &t.event, payload: t.event.Msg,
		item: t.ticket.item, ticket: t.ticket, attempts: t.attempts, first: t.failedAt,
		done: func(kept bool) {
			r.failed.Add(1)
			if kept {
				r.kept.Add(1)
			}
			r.observed(Outcome{Result: Failed, Event: &t.event, Err: err, Attempt: t.attempts, Took: took, Reason: reason, Kept: kept})
		},
		cut: func(err error) {
			r.unfinished.Add(1)
			r.observed(Outcome{Result: Unfinished, Event: &t.event, Err: err, Attempt: t.attempts, Took: took})
		},
	}
}

// giveUp fails an event that took its worker with it.
func (r *route) giveUp(t try, err error) {
	t.attempts++
	if errors.Is(err, errAbandoned) {
		if stopped := t.ctx.Err(); stopped != nil { // deaf to the end of the drain as well
			r.unfinished.Add(1)
			r.tell(Unfinished, t, stopped, timing{})
			t.ticket.leave()
			return
		}
		r.abandoned.Add(1)
	}
	r.keeper.settle(t.ctx.Context, []letter{r.letter(t, err, 0)})
}

// retry counts and tells that an event will be tried again.
func (r *route) retry(t try, err error, pause time.Duration, away bool, took time.Duration) {
	r.retried.Add(1)
	attrs := eventAttrs(&t.event, "again_in", pause.Round(time.Millisecond), "err", err)
	if away {
		r.log.Warn("target is away; the event waits", attrs...)
	} else {
		r.log.Warn("attempt failed", append(attrs, "attempt", t.attempts, "attempts", r.Policy.Retry.Attempts)...)
	}
	r.observed(Outcome{Result: Retried, Event: &t.event, Err: err, Attempt: t.attempts, Took: took, Pause: pause})
}

// tell tells who wants to know of a result.
func (r *route) tell(result Result, t try, err error, spent timing) {
	if to := r.watcher.audience(result, spent.at); !to.empty() { // seldom
		r.show(to, Outcome{Result: result, Event: &t.event, Err: err, Attempt: t.attempts, Took: spent.took})
	}
}

// observed tells who wants to know what became of an event on this route.
func (r *route) observed(o Outcome) {
	if to := r.watcher.audience(o.Result, 0); !to.empty() {
		r.show(to, o)
	}
}

func (r *route) show(to audience, o Outcome) {
	o.Channel, o.Route, o.Handler = o.Event.Channel, r.Name, r.Handler
	r.watcher.tell(to, o)
}

// interrupted reports whether err only says that the router stopped.
func interrupted(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, ctx.Err()))
}
