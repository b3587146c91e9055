// Package source runs sources: one session after another, under a lease where only one
// process may connect, and publishes what they read.
package source

import (
	"context"

	"signalbox/router/internal/batch"
)

// Term is the time in which this process is the one that holds a source, or any time of
// one that needs no lease.
type Term interface {
	// Grant says how it began.
	Grant() batch.Grant
	// Done is closed when the session must be closed: early enough, by the monotonic clock of
	// this process, that no other process can hold the source before.
	Done() <-chan struct{}
	// Publish sends messages, in order. An error after which Done is closed is one that says
	// that another process holds the source, and nothing was sent; after any other the same
	// messages may be published again, and none of them is sent twice.
	Publish(ctx context.Context, messages []batch.Outgoing) error
	// Release ends it: at once, if the session was closed in an orderly way, so that another
	// process may connect without waiting; else as if this process had died.
	Release(ctx context.Context, orderly bool)
}
