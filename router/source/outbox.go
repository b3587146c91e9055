package source

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"signalbox/router/internal/batch"
	"signalbox/router/internal/queue"
)

// What one call of Term.Publish carries, at most.
const (
	chunkEvents = 1000
	chunkBytes  = 1 << 20
)

// parcel is a message that waits to be published.
type parcel struct {
	id, key string
	payload []byte
	heard   time.Time // when the other side was heard of last before it
}

// Bytes is what counts of it for the limit of the queue.
func (p parcel) Bytes() int { return len(p.payload) + len(p.id) }

// outbox publishes what a source reads in one term, in order. Who puts something in never
// waits: a Redis that is slow or away must not hold up the reader, or the other side would
// cut it off. When it is full, the newest message of each key is kept.
type outbox struct {
	term  Term
	board *board
	log   *slog.Logger

	mu    sync.Mutex
	queue queue.Bounded[parcel]
	over  bool          // nothing is published any more
	fresh chan struct{} // has room for one: something was put in

	closing chan struct{} // closed: nothing more will be put in
	cancel  context.CancelFunc
	ended   chan struct{} // closed when nothing is published any more
}

// newOutbox returns an outbox that publishes until finish is called or the term ends.
func newOutbox(ctx context.Context, term Term, events, bytes int, b *board, log *slog.Logger) *outbox {
	o := &outbox{
		term: term, board: b, log: log, fresh: make(chan struct{}, 1), closing: make(chan struct{}), ended: make(chan struct{}),
		queue: queue.NewBounded(events, bytes, func(p parcel) string { return p.key }),
	}
	ctx, o.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go o.run(ctx)
	return o
}

// put appends a message.
func (o *outbox) put(p parcel) {
	o.mu.Lock()
	dropped, over := 1, o.over
	if !over {
		dropped = o.queue.Push(p)
	}
	waiting := o.queue.Len()
	o.mu.Unlock()
	if dropped > 0 && !over {
		o.log.Warn("redis is too slow for the source; events dropped for newer ones of their keys", "events", dropped)
	}
	o.board.change(func(s *Stats) {
		s.Dropped += uint64(dropped) //nolint:gosec // a count
		s.Queued = waiting
	})
	select {
	case o.fresh <- struct{}{}:
	default:
	}
}

// run publishes until all is published that came before the closing, ctx ends or the term
// does. What is left then is dropped.
func (o *outbox) run(ctx context.Context) {
	defer close(o.ended)
	defer o.abandon()
	defer o.board.publishing(nil)
	for {
		last := isClosed(o.closing) // before the look into the queue
		chunk := o.take()
		if len(chunk) == 0 {
			if last {
				return
			}
			select {
			case <-o.fresh:
			case <-o.closing:
			case <-o.term.Done():
				return
			}
			continue
		}
		if !o.publish(ctx, chunk) {
			o.board.change(func(s *Stats) { s.Dropped += uint64(len(chunk)) })
			return
		}
	}
}

// publish tries until the messages are published, and reports false when that is not to be.
func (o *outbox) publish(ctx context.Context, chunk []batch.Outgoing) bool {
	const first, longest = 10 * time.Millisecond, time.Second
	for wait := first; ; wait = min(2*wait, longest) {
		err := o.term.Publish(ctx, chunk)
		if err == nil {
			o.mu.Lock()
			left := o.queue.Len()
			o.mu.Unlock()
			o.board.publishing(nil)
			o.board.change(func(s *Stats) {
				s.Published += uint64(len(chunk))
				s.Queued = left
			})
			return true
		}
		if isClosed(o.term.Done()) || ctx.Err() != nil {
			return false
		}
		o.board.publishing(err)
		o.log.Warn("publishing failed; trying again", "events", len(chunk), "err", err)
		select {
		case <-time.After(wait/2 + rand.N(wait/2)):
		case <-ctx.Done():
			return false
		case <-o.term.Done():
			return false
		}
	}
}

// take removes what the next call carries.
func (o *outbox) take() []batch.Outgoing {
	o.mu.Lock()
	defer o.mu.Unlock()
	var chunk []batch.Outgoing
	for bytes := 0; o.queue.Len() > 0 && len(chunk) < chunkEvents; {
		p := o.queue.Pop()
		chunk = append(chunk, batch.Outgoing{ID: p.id, Payload: p.payload, Heard: p.heard})
		if bytes += p.Bytes(); bytes >= chunkBytes {
			break
		}
	}
	return chunk
}

// finish publishes what waits, for so long at most, and ends.
func (o *outbox) finish(most time.Duration) {
	defer o.cancel()
	close(o.closing)
	select {
	case <-o.ended:
	case <-time.After(most):
		o.cancel()
		<-o.ended
	}
}

// abandon counts what will not be published.
func (o *outbox) abandon() {
	o.mu.Lock()
	left := o.queue.Len()
	o.queue, o.over = queue.Bounded[parcel]{}, true
	o.mu.Unlock()
	if left > 0 {
		o.log.Warn("events that were read are not published: the source is not ours any more, or the router stops", "events", left)
	}
	o.board.change(func(s *Stats) {
		s.Dropped += uint64(left) //nolint:gosec // a count
		s.Queued = 0
	})
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
