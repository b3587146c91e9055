package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

var (
	// errExited is the verdict on an event whose handler called runtime.Goexit.
	errExited = errors.New("the handler ended its goroutine (runtime.Goexit)")
	// errAbandoned is the verdict on an event whose handler ignored its timeout.
	errAbandoned = errors.New("the handler did not return within a second after its timeout; it is left behind")
)

// route is a [Route] that runs: its handler, its lanes, and its counters.
type route struct {
	Route
	home    *subscription
	index   int // among the routes of its home
	handler Handler
	batch   BatchHandler        // handler, if it takes batches
	chain   message.HandlerFunc // for one event
	lanes   *lanes
	log     *slog.Logger
	observe func(Outcome)
	debug   bool // a line for each event that was handled

	handled, failed, retried, skipped, filtered, abandoned, unfinished atomic.Uint64
	refused                                                            atomic.Uint64 // of failed: by an error of the condition, before the lanes
}

func newRoute(cfg Route, handler Handler, log *slog.Logger, observe func(Outcome), running *sync.WaitGroup) *route {
	r := &route{Route: cfg, handler: handler, observe: observe}
	r.log = log.With("route", cfg.Name, "handler", cfg.Handler)
	r.debug = r.log.Enabled(context.Background(), slog.LevelDebug)
	r.batch, _ = handler.(BatchHandler)
	handle := HandleEvents(handler)
	r.chain = Recover(func(msg *message.Message) ([]*message.Message, error) { return nil, handle(msg) })
	r.lanes = newLanes(r, running)
	return r
}

// run tries a worker's events until each is done or given up. It reports false when
// the worker was lost in the handler.
func (r *route) run(w *worker) bool {
	work := w.tries[0].ctx.Context
	for failures := 0; ; failures++ {
		w.tries = r.sift(work, w.tries)
		if len(w.tries) == 0 {
			return true
		}
		var begin time.Time
		if r.observe != nil {
			begin = time.Now()
		}
		verdicts, verdict := r.call(w.begin(work), w.tries)
		expired, ok := w.end()
		if !ok {
			r.log.Warn("a handler that was left behind has returned", "channel", r.Channel)
			return false
		}
		var pause time.Duration
		w.tries, pause = r.judge(w.tries, func(i int) error {
			err := verdict
			if verdicts != nil {
				err = verdicts[i]
			}
			if expired && err != nil {
				err = fmt.Errorf("no result within the timeout of %v: %w", r.Policy.Timeout, err)
			}
			return err
		}, r.Policy.Retry.pause(failures), begin)
		if len(w.tries) > 0 {
			sleep(work, pause)
		}
	}
}

// sift finishes the events that may not be tried: all of them when the drain is over,
// else those that are too old by now.
func (r *route) sift(work context.Context, tries []try) []try {
	if stopped := work.Err(); stopped != nil {
		for _, t := range tries {
			r.unfinished.Add(1)
			r.tell(Unfinished, t, stopped, time.Time{})
		}
		return nil
	}
	if r.Policy.MaxAge == 0 {
		return tries
	}
	left := tries[:0]
	for _, t := range tries {
		age := time.Since(t.event.Time)
		if age <= r.Policy.MaxAge {
			left = append(left, t)
			continue
		}
		r.skipped.Add(1)
		r.tell(Skipped, t, fmt.Errorf("%v old, max age %v", age.Round(max(time.Millisecond, r.Policy.MaxAge/50)), r.Policy.MaxAge), time.Time{})
		t.ticket.release()
	}
	return left
}

// call hands events to the handler. It returns one verdict on all of them, or one on
// each.
func (r *route) call(ctx context.Context, tries []try) (verdicts []error, verdict error) {
	if r.batch == nil {
		_, err := r.chain(attemptMessage(ctx, tries[0].delivery))
		return nil, err
	}
	events := make([]*Event, len(tries))
	for i, t := range tries {
		events[i] = &t.event
	}
	_, err := Recover(func(*message.Message) ([]*message.Message, error) {
		verdicts = r.batch.HandleBatch(ctx, events)
		if verdicts != nil && len(verdicts) != len(events) {
			return nil, fmt.Errorf("the handler returned %d verdicts on %d events", len(verdicts), len(events))
		}
		return nil, nil
	})(nil)
	if err != nil {
		return nil, err
	}
	return verdicts, nil
}

// judge finishes the events whose verdict is final. It returns those that are to be
// tried again, and when.
func (r *route) judge(tries []try, verdict func(int) error, pause time.Duration, begin time.Time) ([]try, time.Duration) {
	again := tries[:0]
	wait := pause
	for i, t := range tries {
		err := verdict(i)
		if err == nil {
			t.attempts++
			r.finish(t, begin)
			continue
		}
		after, away := IsUnavailable(err)
		if !away {
			t.attempts++
		}
		switch {
		case interrupted(&t.ctx, err):
			r.unfinished.Add(1)
			r.tell(Unfinished, t, err, begin)
		case IsPermanent(err), !away && t.attempts >= r.Policy.Retry.Attempts:
			r.fail(t, err, begin)
		default:
			wait = max(wait, after)
			again = append(again, t)
			r.retry(t, err, max(pause, after), away, begin)
		}
	}
	return again, wait
}

// finish completes an event that is done.
func (r *route) finish(t try, begin time.Time) {
	r.handled.Add(1)
	if r.debug {
		r.log.Debug("handled", "channel", t.event.Channel, "type", clip(t.event.Type), "id", clip(t.event.ID), "attempt", t.attempts)
	}
	r.tell(Handled, t, nil, begin)
	t.ticket.release()
}

// fail gives up an event.
func (r *route) fail(t try, err error, begin time.Time) {
	logError(r.log.With("attempt", t.attempts), &t.msg, err)
	r.failed.Add(1)
	r.tell(Failed, t, err, begin)
	t.ticket.release()
}

// giveUp fails an event that took its worker with it.
func (r *route) giveUp(t try, err error) {
	t.attempts++
	if errors.Is(err, errAbandoned) {
		if stopped := t.ctx.Err(); stopped != nil { // deaf to the end of the drain as well
			r.unfinished.Add(1)
			r.tell(Unfinished, t, stopped, time.Time{})
			return
		}
		r.abandoned.Add(1)
	}
	r.fail(t, err, time.Time{})
}

// retry counts and tells that an event will be tried again.
func (r *route) retry(t try, err error, pause time.Duration, away bool, begin time.Time) {
	r.retried.Add(1)
	attrs := []any{"channel", t.event.Channel, "type", clip(t.event.Type), "id", clip(t.event.ID), "again_in", pause.Round(time.Millisecond), "err", err}
	if away {
		r.log.Warn("target is away; the event waits", attrs...)
	} else {
		r.log.Warn("attempt failed", append(attrs, "attempt", t.attempts, "attempts", r.Policy.Retry.Attempts)...)
	}
	r.tellAll(Retried, t, err, begin, pause)
}

// tell tells the observer, if there is one.
func (r *route) tell(result Result, t try, err error, begin time.Time) {
	r.tellAll(result, t, err, begin, 0)
}

func (r *route) tellAll(result Result, t try, err error, begin time.Time, pause time.Duration) {
	if r.observe == nil {
		return
	}
	o := Outcome{
		Result: result, Channel: t.event.Channel, Route: r.Name, Handler: r.Handler,
		Event: &t.event, Err: err, Attempt: t.attempts, Pause: pause,
	}
	if !begin.IsZero() {
		o.Took = time.Since(begin)
	}
	r.observe(o)
}

// interrupted reports whether err only says that the router stopped.
func interrupted(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, ctx.Err()))
}
