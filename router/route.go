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

// errExited is the verdict on an event whose handler called runtime.Goexit.
var errExited = errors.New("the handler ended its goroutine (runtime.Goexit)")

// route is a [Route] that runs: its handler behind the middleware that every route
// has, its lane, and its counters.
type route struct {
	Route
	index   int // among the routes of its channel
	handler Handler
	batch   BatchHandler        // handler, if it takes batches
	chain   message.HandlerFunc // for one event
	lane    *lane
	log     *slog.Logger
	observe func(Outcome)
	debug   bool // a line for each event that was handled

	handled, failed, unfinished atomic.Uint64
}

func newRoute(cfg Route, handler Handler, log *slog.Logger, observe func(Outcome), running *sync.WaitGroup) *route {
	r := &route{Route: cfg, handler: handler, observe: observe}
	r.log = log.With("route", cfg.Name, "handler", cfg.Handler)
	r.debug = r.log.Enabled(context.Background(), slog.LevelDebug)
	r.batch, _ = handler.(BatchHandler)
	handle := HandleEvents(handler)
	r.chain = logged(r.log)(Recover(func(msg *message.Message) ([]*message.Message, error) { return nil, handle(msg) }))
	r.lane = &lane{route: r, running: running}
	return r
}

// handle runs the events, which are more than one only for a BatchHandler.
func (r *route) handle(events []*delivery) {
	if stopped := events[0].ctx.Err(); stopped != nil {
		for _, d := range events { // the drain is over: begin nothing more
			r.finish(d, stopped, time.Time{})
		}
		return
	}
	var begin time.Time
	if r.observe != nil {
		begin = time.Now()
	}
	if r.batch != nil {
		r.handleBatch(events, begin)
		return
	}
	_, err := r.chain(&events[0].msg)
	r.finish(events[0], err, begin)
}

func (r *route) handleBatch(deliveries []*delivery, begin time.Time) {
	events := make([]*Event, len(deliveries))
	for i, d := range deliveries {
		events[i] = &d.event
	}
	verdicts := r.verdicts(deliveries[0].ctx.Context, events)
	for i, d := range deliveries {
		var err error
		if verdicts != nil {
			err = verdicts[i]
		}
		if err != nil && !interrupted(&d.ctx, err) {
			logError(r.log, &d.msg, err)
		}
		r.finish(d, err, begin)
	}
}

// verdicts calls the BatchHandler. A panic, or a result of the wrong length, is the
// verdict on each event.
func (r *route) verdicts(ctx context.Context, events []*Event) (verdicts []error) {
	_, err := Recover(func(*message.Message) ([]*message.Message, error) {
		verdicts = r.batch.HandleBatch(ctx, events)
		if verdicts != nil && len(verdicts) != len(events) {
			return nil, fmt.Errorf("the handler returned %d verdicts on %d events", len(verdicts), len(events))
		}
		return nil, nil
	})(nil)
	if err == nil {
		return verdicts
	}
	verdicts = make([]error, len(events))
	for i := range verdicts {
		verdicts[i] = err
	}
	return verdicts
}

// finish counts the verdict. What a shutdown cut short is neither done nor failed:
// its message is not completed, so that a stream keeps it.
func (r *route) finish(d *delivery, err error, begin time.Time) {
	if interrupted(&d.ctx, err) {
		r.unfinished.Add(1)
		return
	}
	result := Handled
	if err != nil {
		result = Failed
		r.failed.Add(1)
	} else {
		r.handled.Add(1)
		if r.debug {
			r.log.Debug("handled", "channel", d.event.Channel, "type", clip(d.event.Type), "id", clip(d.event.ID))
		}
	}
	if r.observe != nil {
		r.observe(Outcome{
			Result: result, Channel: d.event.Channel, Route: r.Name, Handler: r.Handler,
			Event: &d.event, Err: err, Took: time.Since(begin),
		})
	}
	d.ticket.release()
}

// exited ends the events whose handler ended its goroutine.
func (r *route) exited(deliveries []*delivery) {
	for _, d := range deliveries {
		logError(r.log, &d.msg, errExited)
		r.finish(d, errExited, time.Now())
	}
}

// interrupted reports whether err only says that the router stopped.
func interrupted(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, ctx.Err()))
}
