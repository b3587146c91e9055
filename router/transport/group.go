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
	sub   *streamSub
	done  bool          // only its acknowledgement is outstanding
	acked chan struct{} // closed when that is written; nil: nobody waits
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
	hand  map[string]hold
	open  int                 // in hand and not done
	looks int                 // commands under way whose replies may list what was in hand when they ran
	late  map[string]struct{} // acknowledged while there were such commands
	done  []string            // to be acknowledged
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
			hand:  make(map[string]hold),
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
func (g *group) remove(s *streamSub, undelivered []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.subs, s)
	g.dropLocked(undelivered)
	for other := range g.subs {
		other.reread.Store(true)
	}
}

// take notes that s has the ids in hand and returns those that nobody had yet.
func (g *group) take(s *streamSub, ids []string) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	fresh := ids[:0]
	for _, id := range ids {
		_, held := g.hand[id]
		_, late := g.late[id]
		if !held && !late {
			g.hand[id] = hold{sub: s}
			fresh = append(fresh, id)
		}
	}
	g.open += len(fresh)
	return fresh
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

// drop forgets ids that were not handed over.
func (g *group) drop(ids []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dropLocked(ids)
}

func (g *group) dropLocked(ids []string) {
	for _, id := range ids {
		if h, held := g.hand[id]; held && !h.done {
			delete(g.hand, id)
			g.open--
		}
	}
}

// held returns what s has in hand and did not complete.
func (g *group) held(s *streamSub) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	ids := make([]string, 0, g.open)
	for id, h := range g.hand {
		if h.sub == s && !h.done {
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

// complete queues id's acknowledgement. It reports false when id is not in hand.
func (g *group) complete(id string) bool {
	g.mu.Lock()
	h, held := g.hand[id]
	if !held || h.done {
		g.mu.Unlock()
		return false
	}
	h.done = true
	g.hand[id] = h
	g.open--
	g.done = append(g.done, id)
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

// awaitAck returns when the acknowledgement of a completed id is written, or ctx ends.
func (g *group) awaitAck(ctx context.Context, id string) {
	g.mu.Lock()
	h, held := g.hand[id]
	if !held || !h.done {
		g.mu.Unlock()
		return
	}
	h.acked = make(chan struct{})
	g.hand[id] = h
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
		ids := g.done[:min(len(g.done), ackMost)]
		g.mu.Unlock()
		if len(ids) == 0 {
			return true
		}
		failpoint.Hit(failpoint.BeforeAck)
		n, err := g.r.writer.XAck(ctx, g.key.stream, g.key.name, ids...).Result()
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
		for _, id := range ids {
			if acked := g.hand[id].acked; acked != nil {
				close(acked)
			}
			delete(g.hand, id)
			if g.looks > 0 {
				g.late[id] = struct{}{}
			}
		}
		g.done = g.done[len(ids):]
		if len(g.done) == 0 {
			g.done = nil
		}
		g.mu.Unlock()
	}
}
