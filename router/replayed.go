package router

import (
	"errors"
	"strings"
	"time"
)

// errOvertaken is why an event is skipped on a channel that begins with what was kept.
var errOvertaken = errors.New("a kept event of its key that is newer, or is the same, was replayed before it")

// newest follows, on a channel that begins with kept events, which event of each key is
// the newest so far, so that no key goes back in time: neither by a replay of what was
// overtaken long ago, nor by what was still on its way when something newer was replayed.
// One goroutine uses it.
type newest struct{ of map[string]seen }

// seen is the newest event of a key.
type seen struct {
	at       time.Time // no later than it came
	id       string
	replayed bool
}

// overtaken reports whether an event would take its key back in time, and else remembers
// it. Among live events the order is the producer's business: only a replay sets a limit.
// A time after the one when the event came, or was kept, counts as that, or one wrong clock
// would silence a key for good. Keys beyond the first hundred thousand are not followed.
func (n *newest) overtaken(e *Event, came time.Time) bool {
	last, known := n.of[e.Key]
	at := e.Time
	if at.After(came) {
		at = came
	}
	switch {
	case !known:
		if len(n.of) >= maxSequences {
			return false
		}
		if n.of == nil {
			n.of = map[string]seen{}
		}
		n.of[strings.Clone(e.Key)] = seen{at, strings.Clone(e.ID), e.Replayed} // views of the whole message
		return false
	case e.Replayed && (!at.After(last.at) || e.ID == last.id),
		!e.Replayed && last.replayed && (e.Time.Before(last.at) || e.ID == last.id):
		return true
	case !at.Before(last.at):
		n.of[e.Key] = seen{at, strings.Clone(e.ID), e.Replayed}
	}
	return false
}

// overtaken reports whether an event would go back in time, and skips one that is live. What
// no route takes is unmatched all the same.
func (s *subscription) overtaken(d *delivery) bool {
	switch {
	case s.channel.Start != StartLatest || isOwn(d.event.Type) || !s.feed.newest.overtaken(&d.event, d.ticket.item.Time):
		return false
	case d.event.Replayed:
		return true
	}
	routes := s.table.routes(d.event.Type)
	for _, r := range routes {
		if r.home == s {
			r.skipped.Add(1)
			r.tell(Skipped, try{delivery: d}, errOvertaken, timing{})
		}
	}
	return len(routes) > 0
}
