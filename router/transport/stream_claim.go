package transport

import "github.com/redis/go-redis/v9"

// autoclaim goes once through everything that is pending in the group and claims what
// nobody touched for ClaimAfter: the entries of consumers that are no Signalbox
// processes. XAUTOCLAIM looks at ten times COUNT entries only, so the cursor is kept
// until the pass is complete.
func (s *streamSub) autoclaim() {
	defer s.claiming.Store(false)
	s.window.claiming(1)
	defer s.window.claiming(-1)
	s.group.look(1)
	defer s.group.look(-1)
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
