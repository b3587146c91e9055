package transport

import (
	"time"

	"signalbox/router/internal/batch"
)

const (
	keptTries = 3
	keptPause = 100 * time.Millisecond // between them
)

// confirmed tells the pump that Redis sends from now on what is published. What was kept
// is read after that: so what comes meanwhile waits behind it, and nothing falls between.
func (s *pubsubSub) confirmed() {
	if s.cfg.Kept == nil {
		return
	}
	s.mu.Lock()
	s.begins, s.waiting = true, false
	s.mu.Unlock()
	s.poke()
}

// readKept reads what was kept, to be handed over first. Without it the subscription goes
// on all the same: what is live is worth more.
func (s *pubsubSub) readKept() {
	for try := range keptTries {
		kept, err := s.cfg.Kept(s.ctx, s.topic)
		if s.ctx.Err() != nil {
			return
		}
		if err == nil {
			s.begin(kept)
			return
		}
		if try == keptTries-1 {
			s.log.Warn("kept events could not be read; beginning with what is published now", "err", err)
		} else if !pause(s.ctx, keptPause) {
			return
		}
	}
}

func (s *pubsubSub) begin(kept []batch.Kept) {
	slab := make([]batch.Item, len(kept))
	items := make([]*batch.Item, len(kept))
	for i, k := range kept {
		slab[i] = batch.Item{Topic: s.topic, ID: k.ID, Time: k.Time, Payload: k.Payload, Kept: true, Owner: s}
		items[i] = &slab[i]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.first = items
	}
}
