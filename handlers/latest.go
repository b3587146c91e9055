package handlers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"signalbox/router"
)

// LatestOptions are the options of the kind latest.
type LatestOptions struct {
	TTL time.Duration `toml:"ttl" min:"0s" doc:"how long an event is kept; 0s: until a newer one of its key comes"`
}

// Validate reports a negative time.
func (o LatestOptions) Validate() error {
	if o.TTL < 0 || o.TTL > 0 && o.TTL < time.Millisecond {
		return fmt.Errorf("ttl: %s is no time to keep an event; write 1ms or more, or 0s for ever", o.TTL)
	}
	return nil
}

// Latest is the kind that keeps the newest event of each key of a channel in Redis, for
// those who come later: channels that start with it, [router.Publisher.Latest], `router
// latest`, and any program that reads the key signalbox:latest:<Redis name>, a hash of key
// to message.
//
// Newer is what has the later time; see [router.Latest]. Every error is
// [router.Unavailable]: an event is never at fault.
func Latest() router.Kind[LatestOptions] {
	return router.Kind[LatestOptions]{
		Name: "latest",
		Doc:  "Keeps the newest event of each key in Redis, for those who come later.",
		New: func(env router.Env, options LatestOptions) (router.Handler, error) {
			if err := options.Validate(); err != nil {
				return nil, err
			}
			if env.Latest == nil {
				return nil, errors.New("this router has no place to keep events (Options.Latest)")
			}
			return &keeper{env.Latest, options.TTL}, nil
		},
	}
}

// keeper is a handler of kind latest.
type keeper struct {
	latest router.Latest
	ttl    time.Duration
}

// Handle keeps one event.
func (k *keeper) Handle(ctx context.Context, event *router.Event) error {
	if verdicts := k.HandleBatch(ctx, []*router.Event{event}); verdicts != nil {
		return verdicts[0]
	}
	return nil
}

// HandleBatch keeps events. One that was kept already, and replayed, is done.
func (k *keeper) HandleBatch(ctx context.Context, events []*router.Event) []error {
	kept := make([]router.Kept, 0, len(events))
	for _, e := range events {
		if !e.Replayed {
			kept = append(kept, router.KeptOf(e))
		}
	}
	if len(kept) == 0 {
		return nil
	}
	err := k.latest.Keep(ctx, kept, k.ttl)
	if err == nil {
		return nil
	}
	if stopped := shutdown(ctx); stopped != nil {
		err = fmt.Errorf("%w: %w", stopped, err)
	} else {
		err = router.Unavailable(err, 0)
	}
	verdicts := make([]error, len(events))
	for i := range verdicts {
		verdicts[i] = err
	}
	return verdicts
}
