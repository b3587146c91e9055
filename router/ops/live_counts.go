package ops

import (
	"time"

	"signalbox/router"
)

// tally is what the browsers were told last, and what of all that happened they were not
// shown.
type tally struct {
	counts notice
	// When somebody began to watch: what had happened by then, and been shown, and been left
	// out of batches; and what had not been shown while somebody watched before.
	happened, shown, dropped, unshown uint64

	now uint64 // the newest of unshown
}

// beginTally and endTally enclose the time in which somebody watches.
func (l *live) beginTally() {
	stats := l.program.Stats()
	l.sending.Lock()
	defer l.sending.Unlock()
	l.tally.happened = outcomes(&stats)
	l.tally.shown, l.tally.dropped = l.events.counted()
}

func (l *live) endTally() {
	l.sending.Lock()
	defer l.sending.Unlock()
	l.tally.unshown, l.tally.counts = l.tally.now, notice{}
}

// tellCounts tells all browsers what has happened. It is called with sending held.
func (l *live) tellCounts() {
	stats := l.program.Stats()
	l.tally.counts = newNotice("counts", "", l.counts(&stats))
	for c := range l.clients {
		c.putCounts(l.tally.counts)
	}
}

// counts is what has happened so far.
func (l *live) counts(stats *router.Stats) wireCounts {
	link := l.program.Link()
	w := wireCounts{
		At: time.Now().UnixMilli(), Away: link.Away, Reconnects: link.Reconnects,
		Channels: map[string]channelCount{}, Routes: l.routeCounts(stats), Unshown: l.unshown(stats), Sources: sourceCounts(l.program.Sources()),
	}
	w.Ready, w.Reasons = l.asked.ready(!link.Away)
	for name, ch := range stats.Channels {
		w.Channels[name] = newChannelCount(&ch)
	}
	for _, s := range stats.Subscriptions {
		change(w.Channels, s.Channel, func(c *channelCount) { c.Queued += s.Queued; c.InHand += s.InHand })
	}
	for _, loss := range l.program.Losses() {
		change(w.Channels, loss.Channel, func(c *channelCount) { c.lose(loss) })
	}
	for name, s := range l.asked.streams(time.Now()) {
		change(w.Channels, name, func(c *channelCount) { c.Dead, c.Lag, c.Pending = s.dead, s.lag, s.pending })
	}
	return w
}

// sourceCounts are those of the sources, without secrets.
func sourceCounts(sources []Source) map[string]sourceCount {
	counts := make(map[string]sourceCount, len(sources))
	for _, s := range sources {
		c := sourceCount{
			State: s.State, Since: milli(s.Since), Until: milli(s.Until), Why: redact(s.Why), Trouble: redact(s.Trouble), At: redact(s.At),
			Epoch: s.Epoch, Data: milli(s.LastData), Received: s.Received, Published: s.Published, Lost: s.Dropped + s.Missing,
			Duplicates: s.Duplicates, Other: s.Other, Attempts: s.Attempts, Sessions: s.Sessions, Queued: s.Queued,
		}
		for _, n := range s.Rejected {
			c.Rejected += n
		}
		counts[s.Name] = c
	}
	return counts
}

// milli is a time on the wire; 0: there is none.
func milli(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMilli()
}

// change changes what is told of a channel.
func change(channels map[string]channelCount, name string, by func(*channelCount)) {
	c, ok := channels[name]
	if !ok {
		c.Types = map[string]uint64{}
	}
	by(&c)
	channels[name] = c
}

func newChannelCount(ch *router.ChannelStats) channelCount {
	c := channelCount{
		Received: ch.Received, Types: ch.Types, Unmatched: ch.Unmatched,
		Rejected: rejected(ch), Lost: ch.Missing,
	}
	if c.Types == nil {
		c.Types = map[string]uint64{}
	}
	return c
}

// rejected is how many messages were no events, or were never decoded.
func rejected(ch *router.ChannelStats) uint64 {
	n := ch.CrashLoop
	for _, times := range ch.Rejected {
		n += times
	}
	return n
}

func (c *channelCount) lose(loss Loss) {
	if loss.Reason == LossGap {
		c.Gaps += loss.Times
		c.Blind += loss.Blind.Milliseconds()
	}
	c.Lost += loss.Events
}

// routeCounts are those of the routes of the configuration, in its order.
func (l *live) routeCounts(stats *router.Stats) []routeCount {
	routes := l.program.Running().Config.Routes
	counts := make([]routeCount, len(routes))
	places := make(map[[2]string]int, len(routes))
	for i, r := range routes {
		places[[2]string{r.Channel, nameOf(r)}] = i
	}
	for _, r := range stats.Routes {
		i, ok := places[[2]string{r.Channel, r.Route}]
		if !ok {
			continue // it is gone
		}
		counts[i] = routeCount{
			Handled: r.Handled, Failed: r.Failed, Retried: r.Retried, Skipped: r.Skipped, Filtered: r.Filtered,
			Duplicates: r.Duplicates, Withdrawn: r.Withdrawn, Unfinished: r.Unfinished, Dead: r.Dead,
		}
		counts[i].time(r.Took)
	}
	return counts
}

// time tells how long the handler's calls took, if that is measured.
func (c *routeCount) time(took *router.Distribution) {
	if took != nil {
		c.Calls, c.Micros = took.Count, uint64(took.Sum.Microseconds()) //nolint:gosec // no time is negative
	}
}

// unshown is how much of what happened while somebody watched was not shown: most of it
// the router does not even tell, when there is much. What is under way while it is counted
// makes it a little wrong, for a second.
func (l *live) unshown(stats *router.Stats) uint64 {
	shown, dropped := l.events.counted()
	missing := int64(outcomes(stats)-l.tally.happened) - int64(shown-l.tally.shown)       //nolint:gosec // far from the limits
	l.tally.now = l.tally.unshown + max(uint64(max(0, missing)), dropped-l.tally.dropped) //nolint:gosec // not negative
	return l.tally.now
}

// outcomes is how often something became of an event.
func outcomes(stats *router.Stats) (n uint64) {
	for _, ch := range stats.Channels {
		n += ch.Unmatched + rejected(&ch)
	}
	for _, r := range stats.Routes {
		n += r.Handled + r.Failed + r.Retried + r.Skipped + r.Filtered + r.Duplicates + r.Withdrawn + r.Unfinished
	}
	return n
}
