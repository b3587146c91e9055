// Package batch is what a transport and the router share: several raw messages that
// cross Watermill's Router as one.
package batch

import (
	"context"
	"sync/atomic"
	"time"
)

// Item is one raw message as a transport received it.
type Item struct {
	Topic   string    // the Redis name it came on
	ID      string    // the stream entry's id; empty where the transport has none
	Time    time.Time // the entry's time, or its arrival
	Payload []byte
	Twice   string // the field of the entry that should be the payload and stands twice; empty: none
	Owner   Owner  // told when the message is done
	// Deliveries is how often the entry was delivered, this time included, where a
	// process died with it in hand; else 0.
	Deliveries int
	Replay     *Replay // not nil: the message is a dead letter that is tried again
	Kept       bool    // it was kept by Latest, and is what a subscription begins with
}

// Replay says whom a dead letter that is tried again is for, and what it was.
type Replay struct {
	Group string    // only this consumer group handles it
	Route string    // only this route runs; empty: all of the group
	Count int       // how often it was replayed, this time included
	ID    string    // of the event; empty: the message has its own
	Time  time.Time // likewise
}

// Kept is the newest event of a key of a channel.
type Kept struct {
	Topic   string // the Redis name of the channel
	Key     string // may be empty
	ID      string
	Time    time.Time
	Payload []byte // the whole message
}

// Owner is the subscription that an item came from.
type Owner interface {
	// Done tells that every route is through with the item. It may be called from
	// any goroutine, in any order, once per item, and does not block on the network. It
	// is not called for an item that was cut short by the end of a drain.
	Done(item *Item)
}

// Revocable is an Owner whose items can be handled again: by another process, when this
// one has stood still for so long that it was taken for dead, or by this one.
type Revocable interface {
	Owner
	// Begin tells that a handler is about to get the item. It may wait until it is known
	// whose the item is, but not for longer than ctx. False: it is somebody else's now, or
	// may be; no handler may get it, and Done must not be called.
	Begin(ctx context.Context, item *Item) bool
	// Leave tells, once and in place of Done, that no route has the item in hand any more
	// and not all are through with it: it is to be handled again. It does not block on
	// the network.
	Leave(item *Item)
}

// Batch is carried by the context of a Watermill message.
//
// A consumer that knows batches calls Take; from then on the message's ack only
// means "give me the next one", and each item is completed by its owner's Done. For
// a consumer that doesn't, the message's ack completes its items.
type Batch struct {
	Items []*Item
	taken atomic.Bool
}

// Take hands the items over to the caller, who must call Done for each.
func (b *Batch) Take() []*Item {
	b.taken.Store(true)
	return b.Items
}

// Taken reports whether Take was called.
func (b *Batch) Taken() bool { return b.taken.Load() }

type contextKey struct{}

// NewContext returns a context that carries b.
func NewContext(ctx context.Context, b *Batch) context.Context {
	return context.WithValue(ctx, contextKey{}, b)
}

// FromContext returns the batch that ctx carries, or nil.
func FromContext(ctx context.Context) *Batch {
	b, _ := ctx.Value(contextKey{}).(*Batch)
	return b
}

// Errors has one error per message of a Publish call, nil for those that were sent.
// A publisher returns it when only some of the messages failed.
type Errors []error

// Error returns the first error's text.
func (e Errors) Error() string {
	for _, err := range e {
		if err != nil {
			return err.Error()
		}
	}
	return "no error"
}

// Unwrap returns the errors that are not nil.
func (e Errors) Unwrap() []error {
	var errs []error
	for _, err := range e {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// Grant is how the term of a source's holder began.
type Grant struct {
	// Epoch grows with each term, also over a Redis that lost everything.
	Epoch int64
	// Orderly says that nobody can be connected any more: the holder before has said so.
	Orderly bool
	// Gone is how long ago, at least, the holder before has closed its session, or was
	// frozen or cut off from the other side; of a term whose beginning is not orderly.
	Gone time.Duration
	// Silent is how long nothing was published; negative: nothing is known to be.
	Silent time.Duration
}

// Outgoing is a message to publish.
type Outgoing struct {
	ID      string // of the event
	Payload []byte
}

// Holder is who holds a source.
type Holder struct {
	Source  string
	Name    string // of the process, unique; empty: nobody
	Service string
	Epoch   int64
	Since   time.Time     // the beginning of its term, by the clock of Redis
	Renewed time.Time     // when it was heard of last, likewise
	For     time.Duration // how long it may be out of reach
}
