package transport

import (
	"time"

	"github.com/redis/go-redis/v9"
)

// takeoverIdle is how long a dead consumer's entries must have been left alone. It is
// longer than two survivors need between them, so that only one of them gets an entry.
const takeoverIdle = 2 * time.Second

// takeOver makes a dead consumer's entries ours and delivers them, one at a time: it
// was perhaps one of them that killed its process, and then only that one should
// gather deliveries.
//
// The entries become ours at once, by XCLAIM JUSTID, which counts no delivery. Each is
// then fetched by an XCLAIM of its own, when the one before it is done.
func (s *streamSub) takeOver(dead string) {
	defer s.taking.Store(false)
	s.window.claiming(1)
	defer s.window.claiming(-1)
	ids := s.claimAll(dead)
	if len(ids) == 0 {
		return
	}
	s.log.Warn("taking over from a dead consumer", "consumer", dead, "events", len(ids))
	for i, id := range ids {
		if !s.takeOne(id) {
			s.group.drop(ids[i:])
			return
		}
	}
}

// claimAll makes all that is pending under the dead consumer's name ours, and returns
// what we got of it.
func (s *streamSub) claimAll(dead string) []string {
	var ours []string
	start := "-"
	for {
		ctx, cancel := s.command()
		page, err := s.r.writer.XPendingExt(ctx, &redis.XPendingExtArgs{
			Stream: s.topic, Group: s.cfg.Group, Idle: takeoverIdle,
			Start: start, End: "+", Count: pageSize, Consumer: dead,
		}).Result()
		cancel()
		if err != nil || len(page) == 0 {
			return ours
		}
		ids := make([]string, len(page))
		for i, p := range page {
			ids[i] = p.ID
		}
		start = "(" + ids[len(ids)-1]
		claimed, err := s.claimed(takeoverIdle, ids)
		if err != nil {
			s.reread.Store(true) // some may have become ours all the same
			return ours
		}
		s.trimmed(s.vanished(ids, claimed))
		ours = append(ours, s.group.take(s, claimed)...)
	}
}

// vanished returns how many of ids were not claimed and are not pending any more,
// because their entries were trimmed: XCLAIM drops those without a word.
func (s *streamSub) vanished(ids, claimed []string) int {
	if len(ids) == len(claimed) {
		return 0
	}
	got := make(map[string]bool, len(claimed))
	for _, id := range claimed {
		got[id] = true
	}
	n := 0
	for _, id := range ids {
		if !got[id] && s.isTrimmed(id) {
			n++
		}
	}
	return n
}

// isTrimmed reports whether the stream surely has no entry id.
func (s *streamSub) isTrimmed(id string) bool {
	ctx, cancel := s.command()
	defer cancel()
	msgs, err := s.r.writer.XRange(ctx, s.topic, id, id).Result()
	return err == nil && len(msgs) == 0
}

// takeOne fetches one entry that is ours, delivers it and waits until it is done. It
// reports false when the subscription ends.
func (s *streamSub) takeOne(id string) bool {
	if s.window.reserve(s.ctx, 1, 1, true) == 0 {
		return false
	}
	msg, ok := s.fetch(id)
	if s.ctx.Err() != nil {
		return false
	}
	if !ok {
		s.group.drop([]string{id})
		s.window.release(1)
		return true
	}
	e := s.entry(msg)
	e.done = make(chan struct{})
	s.mu.Lock()
	s.queue.pushFront(e)
	s.mu.Unlock()
	s.poke()
	select {
	case <-e.done:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// fetch reads an entry that is ours and counts its delivery. It tries until Redis
// answers, and reports false when the entry is not ours any more, or gone.
func (s *streamSub) fetch(id string) (redis.XMessage, bool) {
	var trouble backoff
	for s.ctx.Err() == nil {
		losses, marked := s.r.alive.state()
		s.mu.Lock()
		sure := marked && losses == s.verified
		s.mu.Unlock()
		if sure {
			ctx, cancel := s.command()
			msgs, err := s.r.writer.XClaim(ctx, &redis.XClaimArgs{
				Stream: s.topic, Group: s.cfg.Group, Consumer: s.r.consumer, Messages: []string{id},
			}).Result()
			cancel()
			switch {
			case err == nil && len(msgs) == 1 && msgs[0].Values != nil:
				return msgs[0], true
			case err == nil:
				s.trimmed(1)
				return redis.XMessage{}, false
			case isNoGroup(err):
				return redis.XMessage{}, false
			}
		}
		pause(s.ctx, trouble.next())
	}
	return redis.XMessage{}, false
}

// autoclaim goes once through everything that is pending in the group and claims what
// nobody touched for ClaimAfter: the entries of consumers that are no Signalbox
// processes. XAUTOCLAIM looks at ten times COUNT entries only, so the cursor is kept
// until the pass is complete.
func (s *streamSub) autoclaim() {
	defer s.claiming.Store(false)
	s.window.claiming(1)
	defer s.window.claiming(-1)
	cursor := "0-0"
	for {
		n := s.window.reserve(s.ctx, min(64, max(1, s.cfg.InFlight/4)), readMost, true)
		if n == 0 {
			return
		}
		ctx, cancel := s.command()
		msgs, next, gone, err := s.r.writer.XAutoClaimWithDeleted(ctx, &redis.XAutoClaimArgs{
			Stream: s.topic, Group: s.cfg.Group, Consumer: s.r.consumer,
			MinIdle: s.cfg.ClaimAfter, Start: cursor, Count: int64(n),
		}).Result()
		cancel()
		if err != nil {
			s.window.release(n)
			if !isNoGroup(err) {
				s.reread.Store(true) // the reply may have been lost
			}
			return
		}
		s.trimmed(len(gone))
		kept := s.withoutTrimmed(msgs)
		s.window.release(n - len(kept))
		if len(kept) > 0 {
			s.log.Info("claimed entries that were left pending", "events", len(kept))
		}
		s.accept(kept)
		if cursor = next; cursor == "0-0" {
			return
		}
	}
}
