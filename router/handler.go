package router

import "context"

// Handler does something with an event. What it returns is its verdict:
//
//   - nil: done;
//   - any error: this attempt failed, and the route may try again;
//   - [Permanent]: failed, and trying again cannot help;
//   - [Unavailable]: the target is away; the event waits without using an attempt.
//
// Handlers never retry by themselves: routes do. Handle may be called from several
// goroutines at once, one event at a time per lane of a route.
//
// A handler that holds resources implements io.Closer; the router closes it after
// its last event, unless one still runs when the drain is over.
type Handler interface {
	Handle(ctx context.Context, event *Event) error
}

// HandlerFunc is a function that is a [Handler].
type HandlerFunc func(ctx context.Context, event *Event) error

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, event *Event) error { return f(ctx, event) }

// BatchHandler is a [Handler] that gains from getting several events at once, such
// as one INSERT for many rows. The router finds it by type assertion and then calls
// HandleBatch instead of Handle, with at least one event, in order.
//
// The result is nil when all events are done, or has one verdict per event. A result
// of any other length fails all events of the batch.
type BatchHandler interface {
	Handler
	HandleBatch(ctx context.Context, events []*Event) []error
}
