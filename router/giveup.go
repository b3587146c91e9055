package router

import (
	"fmt"

	"signalbox/router/internal/batch"
)

// passBy counts an event that no route takes, and logs each type once.
func (s *subscription) passBy(d *delivery) {
	event := &d.event
	if s.unmatchedType(event.Type) {
		s.log.Info("no route takes this type", eventAttrs(event)...)
	}
	keep := s.channel.KeepUnmatched || d.ticket.item.Replay != nil // what was kept once is not lost now
	if keep && s.dead != nil && !isOwn(event.Type) {
		d.ticket.hold()
		l := s.letter(d.ticket, ReasonUnmatched, fmt.Errorf("no route of channel %q takes type %q", s.channel.Name, clip(event.Type)), Outcome{Result: Unmatched, Event: event})
		l.event, l.payload = event, event.Msg
		d.batch.letters = append(d.batch.letters, l)
		return
	}
	s.observed(Outcome{Result: Unmatched, Event: event})
}

// replayed are those of routes that a dead letter is for, and that s runs.
func (s *subscription) replayed(routes []*route, to *batch.Replay) (its []*route) {
	for _, r := range routes {
		if r.home == s && (to.Route == "" || r.Name == to.Route) {
			its = append(its, r)
		}
	}
	return its
}

// reject counts and logs a message, or an element of an array, that is no event.
func (s *subscription) reject(t *ticket, part *partError) letter {
	cause, place, err := CauseMiddleware, 0, part.error
	if m, ok := AsMalformed(err); ok {
		cause, place = m.Cause, m.Offset
	}
	s.noEvents.Add(1)
	s.rejectedFor(cause)
	s.log.Warn("message rejected", "channel", s.channel.Name, "cause", string(cause), "name", clip(t.item.Topic), "byte", place, "err", err)
	t.hold()
	l := s.letter(t, ReasonMalformed, err, Outcome{Result: Rejected, Err: err, Payload: part.msg.Payload})
	l.payload = part.msg.Payload
	return l
}

// loops reports whether a message was in hand whenever a process died.
func (s *subscription) loops(item *batch.Item) bool {
	return s.channel.MaxDeliveries > 0 && item.Deliveries > s.channel.MaxDeliveries
}

// crashLoop gives up a message before anything looks at it again.
func (s *subscription) crashLoop(t *ticket) letter {
	err := fmt.Errorf("in hand whenever one of %d processes died; max_deliveries is %d", t.item.Deliveries-1, s.channel.MaxDeliveries)
	if s.speaks {
		s.noEvents.Add(1)
	}
	s.channelCounters.crashLoop.Add(1)
	s.log.Error("message given up", "channel", s.channel.Name, "reason", string(ReasonCrashLoop), "id", clip(t.item.ID), "err", err)
	t.hold()
	l := s.letter(t, ReasonCrashLoop, err, Outcome{Result: CrashLoop, Err: err, Payload: t.item.Payload})
	l.attempts = t.item.Deliveries
	return l
}

// letter is the letter of a message that no route gave up, but the channel.
func (s *subscription) letter(t *ticket, reason Reason, err error, o Outcome) letter {
	return letter{
		to: s.dead, reason: reason, err: err, channel: &s.channel, payload: t.item.Payload, item: t.item, ticket: t,
		done: func(kept bool) {
			if o.Kept = kept; kept {
				o.Reason = reason
				s.kept.Add(1)
			}
			s.observed(o)
		},
		cut: func(error) {},
	}
}

// observed tells who wants to know what became of a message that reached no route.
func (s *subscription) observed(o Outcome) {
	if to := s.watcher.audience(o.Result, 0); !to.empty() {
		o.Channel = s.channel.Name
		s.watcher.tell(to, o)
	}
}
