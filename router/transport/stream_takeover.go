package transport

import (
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/router/internal/failpoint"
)

// takeoverIdle is how long a dead consumer's entries must have been left alone. It is
// longer than two survivors need between them, so that only one of them gets an entry.
const takeoverIdle = 2 * time.Second

// takeOver makes dead consumers' entries ours and delivers them, one at a time: it was
// perhaps one of them that killed its process, and then only that one should gather
// deliveries.
//
// The entries become ours at once, by XCLAIM JUSTID, which counts no delivery. Each is
// then fetched by an XCLAIM of its own, when the one before it is done.
func (s *streamSub) takeOver(dead []string) {
	defer s.taking.Store(false)
	s.window.claiming(1)
	defer s.window.claiming(-1)
	var ids []string
	for _, consumer := range dead {
		claimed := s.claimAll(consumer)
		ids = append(ids, claimed...)
		if len(claimed) > 0 {
			s.log.Warn("taking over from a dead consumer", "consumer", consumer, "events", len(claimed))
		}
	}
	failpoint.Hit(failpoint.MidClaim)
	for i, id := range ids {
		if !s.takeOne(id) {
			s.forget(ids[i:])
			return
		}
	}
}

// forget drops entries that were taken over and not fetched.
func (s *streamSub) forget(ids []string) {
	s.mu.Lock()
	ids = slices.DeleteFunc(ids, func(id string) bool {
		_, unread := s.unread[id]
		delete(s.unread, id)
		return !unread
	})
	s.mu.Unlock()
	s.group.dropUnread(ids)
}

// claimAll makes all that is pending under the dead consumer's name ours, and returns
// what we got of it.
func (s *streamSub) claimAll(dead string) []string {
	var ours []string
	start := "-"
	for {
		ctx, cancel := s.commandContext()
		page, err := s.r.writer.XPendingExt(ctx, &redis.XPendingExtArgs{
			Stream: s.topic, Group: s.cfg.Group, Idle: takeoverIdle,
			Start: start, End: "+", Count: pageSize, Consumer: dead,
		}).Result()
		cancel()
		if err != nil || len(page) == 0 {
			return ours
		}
		ids := make([]string, len(page))
		deliveries := make(map[string]int, len(page))
		for i, p := range page {
			ids[i] = p.ID
			deliveries[p.ID] = int(p.RetryCount)
		}
		start = "(" + ids[len(ids)-1]
		claimed, err := s.claimed(takeoverIdle, ids)
		if err != nil {
			s.reread.Store(true) // some may have become ours all the same
			return ours
		}
		s.trimmed(s.vanished(ids, claimed))
		fresh := s.group.take(s, claimed)
		s.mu.Lock()
		for _, h := range fresh {
			s.unread[h.id] = deliveries[h.id]
			ours = append(ours, h.id)
		}
		s.mu.Unlock()
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
	ctx, cancel := s.commandContext()
	defer cancel()
	msgs, err := s.r.writer.XRange(ctx, s.topic, id, id).Result()
	return err == nil && len(msgs) == 0
}

// takeOne fetches one entry that is ours, delivers it and waits until it is done and
// acknowledged. It reports false when the subscription ends.
func (s *streamSub) takeOne(id string) bool {
	if s.window.reserve(s.ctx, 1, 1, true) == 0 {
		return false
	}
	rec, ok := s.fetch(id)
	if s.ctx.Err() != nil {
		return false
	}
	if !ok {
		s.forget([]string{id})
		s.window.release(1)
		return true
	}
	e := s.entry(rec)
	e.done = make(chan struct{})
	s.mu.Lock()
	deliveries, ours := s.unread[id]
	if ours {
		e.item.Deliveries = deliveries + 1
		delete(s.unread, id)
		s.group.fetched(e)
		s.queue.PushFront(e)
	}
	s.mu.Unlock()
	if !ours { // dropped meanwhile as not ours: if it is after all, it is read again
		s.window.release(1)
		s.reread.Store(true)
		return true
	}
	s.poke()
	select {
	case <-e.done:
		// Else the next one, should it kill us, would cost this one a delivery too.
		s.group.awaitAck(s.ctx, e.hold)
		return true
	case <-s.ctx.Done():
		return false
	}
}

// fetch reads an entry that is ours and counts its delivery. It tries until Redis
// answers, and reports false when the entry is not ours any more, or gone.
func (s *streamSub) fetch(id string) (record, bool) {
	var retry backoff
	for {
		sure := s.sure()
		s.mu.Lock()
		_, ours := s.unread[id]
		s.mu.Unlock()
		if !ours {
			return record{}, false
		}
		if sure {
			records, err := s.claimOne(id)
			switch {
			case err == nil && len(records) == 1 && records[0].fields != nil:
				return records[0], true
			case err == nil:
				if s.isTrimmed(id) {
					s.trimmed(1)
				}
				return record{}, false
			case isNoGroup(err):
				return record{}, false
			}
		}
		if !pause(s.ctx, retry.next()) {
			return record{}, false
		}
	}
}

// claimOne returns nothing when the entry is gone.
func (s *streamSub) claimOne(id string) ([]record, error) {
	ctx, cancel := s.commandContext()
	defer cancel()
	reply, err := s.r.writer.Do(ctx, "XCLAIM", s.topic, s.cfg.Group, s.r.consumer, 0, id).Result()
	if err != nil {
		return nil, err
	}
	return recordsOf(reply)
}
