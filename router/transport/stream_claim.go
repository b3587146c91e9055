package transport

import (
	"context"

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
		n := s.window.reserve(s.ctx, min(64, s.quarter()), readMost, true)
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
	records, next, gone, err := s.claimIdle(ctx, cursor, n)
	if err != nil {
		s.window.release(n)
		if !isNoGroup(err) {
			s.reread.Store(true) // the reply may have been lost
		}
		return "", false
	}
	lost := s.group.take(s, gone) // what is in hand is not lost
	s.group.drop(lost...)
	s.trimmed(len(lost))
	kept := s.withoutTrimmed(records)
	s.window.release(n - len(kept))
	if len(kept) > 0 {
		s.log.Info("claimed entries that were left pending", "events", len(kept))
	}
	s.accept(kept)
	return next, true
}

// claimIdle sends one XAUTOCLAIM. It returns the ids of pending entries that it found
// trimmed, too; Redis before 7.0 doesn't tell them.
func (s *streamSub) claimIdle(ctx context.Context, cursor string, n int) (records []record, next string, gone []string, err error) {
	reply, err := s.r.writer.Do(ctx, "XAUTOCLAIM", s.topic, s.cfg.Group, s.r.consumer,
		s.idle().Milliseconds(), cursor, "COUNT", n).Slice()
	if err != nil {
		return nil, "", nil, err
	}
	if len(reply) < 2 {
		return nil, "", nil, strangeReply(reply)
	}
	if records, err = recordsOf(reply[1]); err != nil {
		return nil, "", nil, err
	}
	if len(reply) > 2 {
		deleted, _ := reply[2].([]any)
		for _, id := range deleted {
			gone = append(gone, text(id))
		}
	}
	return records, text(reply[0]), gone, nil
}
