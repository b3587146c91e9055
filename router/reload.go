package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"signalbox/router/internal/failpoint"
)

// readyWait is how long a reload waits for new subscriptions to be confirmed. While
// Redis is away nothing is lost by going on without.
const readyWait = 5 * time.Second

// reload is a setup that is ready to take the place of the one that runs.
type reload struct {
	*setup
	applied chan error
}

// Reload gives a running router another configuration and says what changed. When
// anything is wrong with it, the old one goes on and the error says why.
//
// A subscription whose channel is opened as before (its transport, name in Redis, group
// and what limits its queues) goes on, and so do the lanes and counters of a route that
// keeps its channel and name: no event is lost or handled twice, and none overtakes
// another of its key. What waits for another attempt makes it at once if the route's
// handler or policy changed. Handlers with the same Revision are kept; others are made
// anew, and the old ones closed after their last event.
//
// Reload returns when what only the old configuration had is drained and closed, within
// Options.Drain. Config.Service cannot change.
func (r *Router) Reload(cfg Config) (Changes, error) {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	select {
	case <-r.running:
	default:
		return Changes{}, errors.New("reload: the router doesn't run yet")
	}
	before := r.current()
	cfg, err := r.check(cfg)
	if cfg.Service != before.config.Service {
		err = errors.Join(err, fmt.Errorf("the service is %q and cannot become %q by a reload; restart", before.config.Service, cfg.Service))
	}
	if err != nil {
		return Changes{}, err
	}
	next, err := r.build(cfg, before)
	if err != nil {
		return Changes{}, err
	}
	ask := reload{next, make(chan error, 1)}
	select {
	case r.reloads <- ask:
		err = <-ask.applied
	case <-r.over:
		err = errors.New("reload: the router has stopped")
	}
	if err != nil {
		r.discard(next, before)
		return Changes{}, err
	}
	return changes(before, next), nil
}

// apply puts next in the place of the setup that runs. Once everything new has
// subscribed there is only what cannot fail. Run calls it.
func (r *Router) apply(ctx, work context.Context, next *setup) error {
	before := r.setup
	gone := without(before.feeds, next.feeds)
	var successors []*feed // of one of those on the same stream
	fresh := slices.DeleteFunc(without(next.feeds, before.feeds), func(f *feed) bool {
		follows := slices.ContainsFunc(gone, f.follows)
		if follows {
			successors = append(successors, f)
		}
		return follows
	})
	if err := r.subscribeAll(ctx, work, fresh); err != nil {
		return err
	}

	r.publisher.adopt(next.config, before.config) // what drains may publish yet
	for _, route := range next.routes {
		route.lanes.adopt(route)
	}
	for i, f := range next.feeds {
		failpoint.Hit(failpoint.MidReload)
		switch {
		case slices.Contains(fresh, f):
			f.start(next.subscriptions[i], r.log, r.lost)
		case !slices.Contains(successors, f):
			f.swap(next.subscriptions[i])
		}
	}
	r.mu.Lock()
	r.setup = next
	r.mu.Unlock()
	r.watch(before, next)
	r.open = append(append(r.open, fresh...), successors...)
	r.made = append(r.made, without(next.handlers, before.handlers)...)

	r.retire(ctx, work, before, gone, successors)
	return nil
}

// subscribeAll subscribes new feeds and waits, a while, until that is confirmed.
func (r *Router) subscribeAll(ctx, work context.Context, fresh []*feed) error {
	for _, f := range fresh {
		if err := f.subscribe(work, r.log); err != nil {
			return err
		}
	}
	if len(fresh) > 0 && r.opts.Ready != nil {
		wait, cancel := context.WithTimeout(ctx, readyWait)
		defer cancel()
		if err := r.opts.Ready(wait); err != nil && ctx.Err() == nil {
			r.log.Warn("new subscriptions are not confirmed yet; going on", "err", err)
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("reload: the router stops: %w", err)
	}
	return nil
}

// follows reports whether f reads the stream that old reads. Two at a time would
// disturb the order of its events.
func (f *feed) follows(old *feed) bool {
	return f.channel.Transport == Stream && old.channel.Transport == Stream && f.channel.Topic == old.channel.Topic && f.isolated == old.isolated
}

// without are the elements of all that are not in some.
func without[T comparable](all, some []T) []T {
	has := make(map[T]bool, len(some))
	for _, one := range some {
		has[one] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(one T) bool { return has[one] })
}
