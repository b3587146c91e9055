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
	// Publish sends messages, in order. After an error they may be published again while Done
	// is open, and none of them is sent twice.
	Publish(ctx context.Context, messages []batch.Outgoing) error
	// Release ends it: at once, if nobody's session is open, so that another process may
	// connect without waiting; else as if this process had died.
	Release(ctx context.Context, orderly bool)
}
