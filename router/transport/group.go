package transport

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"signalbox/router/internal/failpoint"
)

const (
	ackSlice = 256                  // completed ids that are worth a round trip
	ackDelay = 5 * time.Millisecond // how long fewer wait
	ackMost  = 1024                 // ids in one XACK
	// While more than so many completed ids cannot be acknowledged, nothing more is read:
	// a Redis that refuses XACK must not fill our memory.
	behindMost  = 8 * ackMost
	behindPause = 50 * time.Millisecond
	closeWait   = 3 * time.Second // how long Close tries to write what is left
)

type groupKey struct{ stream, name string }

// hold is an entry that this process has in hand.
type hold struct {
	id    string
	sub   *streamSub
	sum   uint64 // of its message; 0: it is ours, but was not read yet, or is gone
	entry *entry // nil: it was not read yet
	done  bool   // only its acknowledgement is outstanding, or not even that
	// Redis has another entry under its id now. It is not acknowledged: that would be the
	// other one's acknowledgement.
	past  bool
	acked chan struct{} // closed when its acknowledgement is written; nil: nobody waits
}

// group is what this process has in hand of one consumer group, whichever of its
// subscriptions read it, and the goroutine that acknowledges what is completed. It
// lives as long as the Redis, since events are completed after subscriptions end.
type group struct {
	r   *Redis
	key groupKey
	log *slog.Logger

	trouble episode // Redis refuses acknowledgements

	mu    sync.Mutex
	hand  map[string]*hold
	open  int                 // in hand and not done
	looks int                 // commands under way whose replies may list what was in hand when they ran
	late  map[string]struct{} // acknowledged while there were such commands
	done  []*hold             // to be acknowledged
	subs  map[*streamSub]struct{}
	first chan struct{} // capacity 1: there is something to acknowledge
	full  chan struct{} // capacity 1: don't wait for more
}

// group returns the group of a stream; the first call starts its acknowledger.
// The caller holds a subscription, so r is not closing yet.
func (r *Redis) group(stream, name string) *group {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := groupKey{stream, name}
	g := r.groups[key]
	if g == nil {
		g = &group{
			r:     r,
			key:   key,
			log:   r.log.With("topic", stream, "group", name),
			hand:  make(map[string]*hold),
			late:  make(map[string]struct{}),
			subs:  make(map[*streamSub]struct{}),
			first: make(chan struct{}, 1),
			full:  make(chan struct{}, 1),
		}
		r.groups[key] = g
		r.wg.Go(g.acknowledge)
	}
	return g
}

func (g *group) add(s *streamSub) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.subs[s] = struct{}{}
}

// remove drops a subscription and what it had but did not hand over. That stays
// pending under our name, for the other subscriptions to read again.
func (g *group) remove(s *streamSub, undelivered []*entry) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.subs, s)
	for _, e := range undelivered {
		g.dropLocked(e.hold)
	}
	for other := range g.subs {
		other.reread.Store(true)
	}
}

// inHand is how many entries are not done.
func (g *group) inHand() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}

// take notes that s has the ids in hand and returns those that nobody had yet.
func (g *group) take(s *streamSub, ids []string) []*hold {
	g.mu.Lock()
	defer g.mu.Unlock()
	var fresh []*hold
	for _, id := range ids {
		h := &hold{id: id, sub: s}
		if g.isFresh(h) {
			g.hand[id] = h
			fresh = append(fresh, h)
		}
	}
	g.open += len(fresh)
	return fresh
}

// takeRead notes that their subscription has entries in hand and returns those that
// nobody had yet.
//
// An id that is in hand may come with another message: Redis was emptied, and its
// producer gives the ids. Both are handled then.
func (g *group) takeRead(entries []*entry) []*entry {
	g.mu.Lock()
	defer g.mu.Unlock()
	fresh := entries[:0]
	for _, e := range entries {
		if before := g.hand[e.hold.id]; before != nil && before.sum != 0 && before.sum != e.hold.sum {
			before.past = true
			delete(g.hand, e.hold.id)
		}
		if g.isFresh(e.hold) {
			g.hand[e.hold.id] = e.hold
			fresh = append(fresh, e)
		}
	}
	g.open += len(fresh)
	return fresh
}

func (g *group) isFresh(h *hold) bool {
	_, held := g.hand[h.id]
	_, late := g.late[h.id]
	return !held && !late
}

// fetched notes that an entry was read that s had taken by its id.
func (g *group) fetched(e *entry) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if h := g.hand[e.hold.id]; h != nil && h.sum == 0 && !h.done {
		g.hand[e.hold.id] = e.hold
	}
}

// look begins (1) and ends (-1) a command that lists what is pending, up to the take
// of what it listed: an entry that is acknowledged between the two is not to be taken.
func (g *group) look(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.looks += n; g.looks == 0 {
		clear(g.late)
	}
}

// drop forgets what was not handed over.
func (g *group) drop(holds ...*hold) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, h := range holds {
		g.dropLocked(h)
	}
}

// leave forgets what was handed over and cut short. It stays pending under our name, for
// a subscription of this process to read again. It reports false when somebody else has
// the entry, or it is done.
func (g *group) leave(h *hold) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if h.done {
		return false
	}
	g.dropLocked(h)
	for s := range g.subs {
		s.reread.Store(true)
	}
	return true
}

// dropUnread forgets ids that were taken and not read.
func (g *group) dropUnread(ids []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range ids {
		if h := g.hand[id]; h != nil && h.sum == 0 {
			g.dropLocked(h)
		}
	}
}

func (g *group) dropLocked(h *hold) {
	if h.done {
		return
	}
	h.done = true
	g.open--
	if g.hand[h.id] == h {
		delete(g.hand, h.id)
	}
}

// revoke takes back what was handed over to the router. It returns the entries that
// were not done.
func (g *group) revoke(s *streamSub, foreign map[string]bool) []*entry {
	g.mu.Lock()
	defer g.mu.Unlock()
	var entries []*entry
	for id := range foreign {
		h := g.hand[id]
		if h == nil || h.done || !g.minds(s, h) || h.entry == nil || h.entry.orphan {
			continue
		}
		g.dropLocked(h)
		h.entry.revoked.Store(true)
		entries = append(entries, h.entry)
	}
	return entries
}

// minds reports whether s looks after what is in hand: it read that, or who did has ended
// and the router has it yet. The caller holds the lock.
func (g *group) minds(s *streamSub, h *hold) bool {
	_, lives := g.subs[h.sub]
	return h.sub == s || !lives
}

// held returns what s looks after and is not done.
func (g *group) held(s *streamSub) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	ids := make([]string, 0, g.open)
	for id, h := range g.hand {
		if !h.done && g.minds(s, h) {
			ids = append(ids, id)
		}
	}
	return ids
}

// behind reports whether acknowledgements pile up.
func (g *group) behind() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.done) > behindMost
}

// complete queues an acknowledgement. It reports false when this was done before, or the
// entry was dropped.
func (g *group) complete(h *hold) bool {
	g.mu.Lock()
	if h.done || g.hand[h.id] != h && !h.past {
		g.mu.Unlock()
		return false
	}
	h.done = true
	g.open--
	g.done = append(g.done, h)
	n, idle := len(g.done), g.open == 0
	g.mu.Unlock()
	if n == 1 {
		signal(g.first)
	}
	if n == ackSlice || idle {
		signal(g.full)
	}
	return true
}

// awaitAck returns when the acknowledgement of what is completed is written, or ctx ends.
func (g *group) awaitAck(ctx context.Context, h *hold) {
	g.mu.Lock()
	if !h.done || g.hand[h.id] != h { // there is nothing to write
		g.mu.Unlock()
		return
	}
	h.acked = make(chan struct{})
	g.mu.Unlock()
	signal(g.full)
	select {
	case <-h.acked:
	case <-ctx.Done():
	}
}

// acknowledge writes completed ids to Redis until it closes.
func (g *group) acknowledge() {
	var retry backoff
	for {
		select {
		case <-g.first:
		case <-g.r.closing:
			g.acknowledgeRest()
			return
		}
		timer := time.NewTimer(ackDelay)
		select {
		case <-g.full:
		case <-timer.C:
		case <-g.r.closing:
		}
		timer.Stop()
		for !g.flush(context.Background()) {
			if !sleep(retry.next(), g.r.closing, nil) {
				g.acknowledgeRest()
				return
			}
		}
		retry.reset()
	}
}

// acknowledgeRest tries to write what is left before everything is closed.
func (g *group) acknowledgeRest() {
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	var retry backoff
	for !g.flush(ctx) {
		if !pause(ctx, retry.next()) {
			g.mu.Lock()
			n := len(g.done)
			g.mu.Unlock()
			g.log.Warn("completed events could not be acknowledged; they will be delivered again", "events", n)
			return
		}
	}
}

// flush acknowledges what is completed. It reports false when some is left because of
// an error.
func (g *group) flush(ctx context.Context) bool {
	for {
		g.mu.Lock()
		batch := g.done[:min(len(g.done), ackMost)]
		ids := make([]string, 0, len(batch))
		for _, h := range batch {
			if !h.past {
				ids = append(ids, h.id)
			}
		}
		g.mu.Unlock()
		if len(batch) == 0 {
			return true
		}
		failpoint.Hit(failpoint.BeforeAck)
		n, err := int64(0), error(nil)
		if len(ids) > 0 {
			n, err = g.r.writer.XAck(ctx, g.key.stream, g.key.name, ids...).Result()
		}
		if err != nil {
			if !isReply(err) {
				g.r.link.down(err)
			} else if g.trouble.begin() {
				g.log.Error("completed events cannot be acknowledged; trying again", "events", len(ids), "err", err)
			}
			return false
		}
		g.trouble.end()
		if int(n) < len(ids) {
			// Someone else acknowledged or took them, or the group was made anew.
			g.log.Debug("entries were not pending when acknowledged", "events", len(ids)-int(n))
		}
		g.mu.Lock()
		for _, h := range batch {
			if h.acked != nil {
				close(h.acked)
			}
			if g.hand[h.id] != h {
				continue
			}
			delete(g.hand, h.id)
			if g.looks > 0 {
				g.late[h.id] = struct{}{}
			}
		}
		g.done = g.done[len(batch):]
		if len(g.done) == 0 {
			g.done = nil
		}
		g.mu.Unlock()
	}
}
