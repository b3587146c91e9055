package router

import (
	"context"
	"slices"
)

// retire drains and closes what only the setup before had, and starts the successors of
// feeds as soon as those are drained. When ctx ends first, the drain of Run does the rest.
func (r *Router) retire(ctx, work context.Context, before *setup, gone, successors []*feed) {
	limit, cancel := context.WithTimeout(ctx, r.opts.Drain)
	defer cancel()
	closed := make(map[*feed]<-chan struct{}, len(gone))
	for _, f := range gone {
		closed[f] = after(func() { f.close(r.log) })
	}
	for i, f := range r.feeds {
		if slices.Contains(successors, f) {
			for _, old := range gone {
				if f.follows(old) {
					within(limit, closed[old])
				}
			}
			r.succeed(ctx, work, f, r.subscriptions[i])
		}
	}
	for f, end := range closed {
		within(limit, end)
		f.silence()
	}
	r.drainRoutes(ctx, limit, before, gone)
	if ctx.Err() != nil {
		return
	}
	r.open = slices.DeleteFunc(r.open, func(f *feed) bool { return slices.Contains(gone, f) && has(closed[f]) })
	r.retireHandlers(limit, before)
	r.publisher.adopt(r.config)
}

// succeed starts a feed whose predecessor is gone.
func (r *Router) succeed(ctx, work context.Context, f *feed, to *subscription) {
	if ctx.Err() != nil {
		f.swap(to) // it never reads, but another reload may ask whose it is
		return
	}
	if err := f.subscribe(work, r.log); err != nil {
		f.lost.Store(true) // so that the next reload tries again
		f.swap(to)
		r.log.Error("the subscription could not be made again; nothing is read until the next reload", "channel", f.channel.Name, "err", err)
		return
	}
	f.start(to, r.log, r.lost)
}

// drainRoutes waits until the routes that are gone have nothing left. At the limit the
// contexts of what their feeds brought end, if those are gone too: a stream keeps it.
// What a feed brought that goes on is given up and kept, or it would count as in hand
// for ever. Either way the lanes are not used again: a route that comes back must not
// wait for handlers that were left behind.
func (r *Router) drainRoutes(ctx, limit context.Context, before *setup, gone []*feed) {
	removed := func(route *route) bool { return route.lanes.route.Load() == route }
	left := func() (routes []*route) {
		for _, route := range before.routes {
			if removed(route) && !has(route.lanes.drained()) {
				routes = append(routes, route)
			}
		}
		return routes
	}
	for _, route := range left() {
		within(limit, route.lanes.drained())
	}
	if ctx.Err() != nil || len(left()) == 0 {
		return
	}
	grace, cancel := context.WithTimeout(ctx, cancelGrace)
	defer cancel()
	for i, f := range before.feeds {
		stays := func(route *route) bool { return !removed(route) }
		if routes := before.subscriptions[i].routes; slices.Contains(gone, f) && !slices.ContainsFunc(routes, stays) {
			f.cancel()
		}
		for _, route := range before.subscriptions[i].routes {
			if removed(route) {
				route.lanes.drop()
			}
		}
	}
	for _, route := range left() {
		if !within(grace, route.lanes.drained()) && ctx.Err() == nil {
			r.log.Warn("a handler of a route that is gone still runs; it is left behind", "channel", route.Channel, "route", route.Name, "drain", r.opts.Drain)
		}
	}
}

// retireHandlers closes the handlers that are gone, each after its last attempt. Those
// that take longer than the limit are closed when they are through.
func (r *Router) retireHandlers(limit context.Context, before *setup) {
	gone := without(before.handlers, r.handlers)
	closed := make([]<-chan struct{}, len(gone))
	for i, h := range gone {
		closed[i] = after(func() { h.retire(r.closingFailed) })
	}
	for i, h := range gone {
		if within(limit, closed[i]) {
			r.made = slices.DeleteFunc(r.made, func(one *instance) bool { return one == h })
			continue
		}
		r.log.Warn("a handler that is gone still runs; it is closed when it returns", "handler", h.spec.Name, "drain", r.opts.Drain)
	}
}

// after runs f and returns a channel that is closed when it has returned.
func after(f func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	return done
}

// within reports whether done is closed before ctx ends.
func within(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return has(done)
	}
}

// has reports whether done is closed.
func has(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}
