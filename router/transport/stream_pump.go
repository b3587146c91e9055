package transport

import (
	"context"
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router/internal/batch"
)

// entry is a stream entry in hand. It is its item's owner.
type entry struct {
	item   batch.Item
	sub    *streamSub
	hold   *hold
	fields []string      // kept only while Watermill's UUID and metadata are wanted
	done   chan struct{} // closed when done or dropped; nil: nobody waits
	orphan bool          // its group vanished while it was queued: nobody else can have it

	revoked atomic.Bool // it was handed over, and somebody else has it now
}

var _ batch.Revocable = (*entry)(nil)

// beginPause is between looks whether an entry is still ours.
const beginPause = 10 * time.Millisecond

func (s *streamSub) entry(rec record) *entry {
	e := &entry{sub: s, item: batch.Item{Topic: s.topic, ID: rec.id, Time: entryTime(rec.id)}}
	e.item.Payload, e.item.Twice = entryPayload(rec.fields)
	e.item.Replay = replayOf(rec.fields)
	e.item.Owner = e
	e.hold = &hold{id: rec.id, sub: s, sum: maphash.Bytes(s.r.seed, e.item.Payload) | 1, entry: e}
	if _, times := lookUp(rec.fields, uuidField); times > 0 && s.cfg.MaxBatch == 1 {
		e.fields = rec.fields
	}
	return e
}

// Done implements batch.Owner.
func (e *entry) Done(*batch.Item) {
	if e.sub.group.complete(e.hold) {
		e.settled()
	}
}

// Begin implements batch.Revocable.
func (e *entry) Begin(ctx context.Context, _ *batch.Item) bool {
	for !e.sub.sure() {
		if !pause(ctx, beginPause) || e.sub.ctx.Err() != nil {
			return false // it stays pending, and is read again when it is left
		}
	}
	return !e.revoked.Load()
}

// Leave implements batch.Revocable.
func (e *entry) Leave(*batch.Item) {
	if e.sub.group.leave(e.hold) {
		e.settled()
	}
}

// settled gives the entry's place in the window back.
func (e *entry) settled() {
	e.sub.window.release(1)
	if e.done != nil {
		close(e.done)
	}
}

// decorateEntry gives a plain message the UUID and metadata it was published with.
func decorateEntry(msg *message.Message, item *batch.Item) {
	if e, ok := item.Owner.(*entry); ok && e.fields != nil {
		msg.UUID, msg.Metadata = entryHeader(e.fields)
	}
}

func (s *streamSub) poke() { signal(s.wake) }

// push queues entries that are in hand and have their places in the window.
func (s *streamSub) push(entries ...*entry) {
	s.mu.Lock()
	for _, e := range entries {
		s.queue.PushBack(e)
	}
	s.mu.Unlock()
	s.poke()
}

// pump hands over what is queued until the subscription ends.
func (s *streamSub) pump() {
	for {
		items := s.gather()
		if items == nil {
			return
		}
		if s.courier.deliver(items) == kept {
			s.giveBack(items)
			return
		}
	}
}

// gather waits for entries and returns up to MaxBatch that are ready; nil: the
// subscription ends.
func (s *streamSub) gather() []*batch.Item {
	for s.ctx.Err() == nil {
		sure := s.sure()
		s.mu.Lock()
		if n := min(s.cfg.MaxBatch, s.queue.Len()); n > 0 && sure {
			items := make([]*batch.Item, n)
			for i := range items {
				items[i] = &s.queue.PopFront().item
			}
			s.mu.Unlock()
			return items
		}
		s.mu.Unlock()
		select {
		case <-s.wake:
		case <-s.ctx.Done():
		}
	}
	return nil
}

// sure reports whether what we have in hand is surely ours: while our mark may be gone,
// others may be handling it.
func (s *streamSub) sure() bool {
	losses, marked := s.r.alive.state()
	return marked && losses == s.verified.Load()
}

// orphaned keeps what is queued: with the group gone, nobody else can have it, and
// Redis may have lost it.
func (s *streamSub) orphaned() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range s.queue.Len() {
		e := s.queue.PopFront()
		e.orphan = true
		s.queue.PushBack(e)
	}
}

// giveBack queues items again that were not handed over.
func (s *streamSub) giveBack(items []*batch.Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, item := range items {
		s.queue.PushFront(item.Owner.(*entry)) //nolint:forcetypeassert // made by entry
	}
}
