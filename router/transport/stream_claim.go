package transport

import (
	"github.com/redis/go-redis/v9"

	"signalbox/router/internal/failpoint"
)

// autoclaim goes once through everything that is pending in the group and claims what
// nobody touched for ClaimAfter: the entries of consumers that are no Signalbox
// processes. XAUTOCLAIM looks at ten times COUNT entries only, so the cursor is kept
// until the pass is complete.
func (s *streamSub) autoclaim() {
	defer s.claiming.Store(false)
	s.window.claiming(1)
	defer s.window.claiming(-1)
	for cursor := "0-0"; ; {
		n := s.window.reserve(s.ctx, min(64, max(1, s.cfg.InFlight/4)), readMost, true)
		if n == 0 {
			return
		}
		next, ok := s.autoclaimPage(cursor, n)
		if cursor = next; !ok || cursor == "0-0" || failpoint.Broken(failpoint.CursorReset) {
			return
		}
	}
}

// autoclaimPage claims up to n entries, which have their places in the window, and
// returns the cursor of the next page.
func (s *streamSub) autoclaimPage(cursor string, n int) (next string, ok bool) {
	s.group.look(1)
	defer s.group.look(-1)
	ctx, cancel := s.commandContext()
	defer cancel()
	msgs, next, gone, err := s.r.writer.XAutoClaimWithDeleted(ctx, &redis.XAutoClaimArgs{
		Stream: s.topic, Group: s.cfg.Group, Consumer: s.r.consumer,
		MinIdle: s.cfg.ClaimAfter, Start: cursor, Count: int64(n),
	}).Result()
	if err != nil {
		s.window.release(n)
		if !isNoGroup(err) {
			s.reread.Store(true) // the reply may have been lost
		}
		return "", false
	}
	gone = s.group.take(s, gone) // what is in hand is not lost
	s.group.drop(gone)
	s.trimmed(len(gone))
	kept := s.withoutTrimmed(msgs)
	s.window.release(n - len(kept))
	if len(kept) > 0 {
		s.log.Info("claimed entries that were left pending", "events", len(kept))
	}
	s.accept(kept)
	return next, true
}
