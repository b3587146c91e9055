package daemon

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"signalbox/router"
	"signalbox/router/internal/wording"
)

const (
	// nearMaxLen is the share of max_len that may wait for a group.
	nearMaxLen = 0.8
	// trimSlack is how much longer than max_len a stream may be: it is trimmed by whole
	// nodes, of 100 entries by default.
	trimSlack = 200
	// longInHand is how old the oldest pending entry may be.
	longInHand = 5 * time.Minute
)

func (r *remarks) problem(remedy, format string, args ...any) {
	r.Problems = append(r.Problems, remark{fmt.Sprintf(format, args...), remedy})
}

func (r *remarks) note(remedy, format string, args ...any) {
	r.Notes = append(r.Notes, remark{fmt.Sprintf(format, args...), remedy})
}

const startIt = "start its router: router run"

// judge says what is wrong with a channel. Problems are those that keep this
// configuration's events from being handled; what concerns other services is a note.
func (s *survey) judge(ch router.Channel, status *channelStatus) {
	if ch.Transport == router.PubSub {
		judgeListeners(status, len(s.groups[ch.Name]) > 0)
	} else if _, looked := s.streams[ch.Topic]; looked && s.streams[ch.Topic].err == nil {
		s.judgeStream(ch, status)
	}
	for _, dead := range status.DeadLetters {
		if dead.Letters > 0 {
			status.note("router dead ls "+ch.Name, "%s in %q, the newest %s old", wording.Count(int(dead.Letters), "dead letter"), dead.Stream, shownAge(*dead.Newest, s.now))
		}
	}
}

// judgeListeners says that nobody listens on Pub/Sub, as far as Redis knows: who listens to
// which pattern, it does not tell.
func judgeListeners(status *channelStatus, routed bool) {
	if status.Patterns == nil || *status.Patterns > 0 || status.Subscribers != nil && *status.Subscribers > 0 {
		return
	}
	if routed {
		status.problem(startIt, "nobody listens: what is published now is lost")
		return
	}
	status.note("start who reads it", "nobody listens: what is published now is lost; this configuration has no route for it")
}

func (s *survey) judgeStream(ch router.Channel, status *channelStatus) {
	own := s.groups[ch.Name]
	for _, name := range slices.Sorted(maps.Keys(own)) {
		if !slices.ContainsFunc(status.Groups, func(g groupStatus) bool { return g.Group == name }) {
			status.problem(startIt, "group %q is not there: no router has read for it yet, or somebody removed it", name)
		}
	}
	for i := range status.Groups {
		s.judgeGroup(ch, status, &status.Groups[i])
	}
	if length := *status.Length; float64(length) > 1.1*float64(ch.MaxLen)+trimSlack {
		status.note("let every producer trim, such as with XADD MAXLEN ~", "%d entries, and max_len is %d: a producer does not trim the stream, and it fills Redis", length, ch.MaxLen)
	}
}

func (s *survey) judgeGroup(ch router.Channel, status *channelStatus, g *groupStatus) {
	alive, _ := g.in(stateAlive)
	foreign, _ := g.in(stateForeign)
	dead, left := g.in(stateDead)
	waiting := g.waiting()
	switch {
	case alive == 0 && foreign == 0 && g.Own:
		status.problem(startIt, "nobody reads group %q; %s for it", g.Group, waits(waiting))
	case alive == 0 && foreign == 0:
		status.note(fmt.Sprintf("start its service, or remove the group for good: redis-cli XGROUP DESTROY %s %s", ch.Topic, g.Group),
			"nobody reads group %q of another service; %s for it", g.Group, waits(waiting))
	case left > 0:
		status.problem("a live router of the group takes them over within some seconds; if this stays, its log says why",
			"group %q: %s pending of %s", g.Group, wording.Several(left, "entry is", "entries are"), deadOnes(g, dead))
	}
	if float64(waiting) >= nearMaxLen*float64(ch.MaxLen) {
		tell := status.note
		if g.Own {
			tell = status.problem
		}
		tell("add routers, make handlers faster, or raise max_len, also at the producers",
			"group %q: %s, and max_len is %d: soon events will be trimmed before they are handled", g.Group, waits(waiting), ch.MaxLen)
	}
	if o := g.Oldest; o != nil && o.State == stateAlive && s.now.Sub(o.Added) > longInHand {
		status.note("a handler works on it, or waits for its target; the log of that router says which",
			"group %q: entry %s is %s old and still in hand of %s", g.Group, o.ID, shownAge(o.Added, s.now), o.Consumer)
	}
	if g.Trimmed > 0 {
		status.note("raise max_len, also at the producers, or add routers", "group %q: %s trimmed before anybody read them, so far", g.Group, wording.Several(g.Trimmed, "entry was", "entries were"))
	}
}

// waiting is how many entries are not handled yet, as far as is known.
func (g *groupStatus) waiting() int64 {
	if g.Lag == nil {
		return g.Pending
	}
	return g.Pending + *g.Lag
}

func deadOnes(g *groupStatus, dead int) string {
	for _, c := range g.Consumers {
		if c.State == stateDead && c.Pending > 0 && dead == 1 {
			return "consumer " + c.Consumer + ", which is dead"
		}
	}
	return "consumers that are dead"
}

func waits(n int64) string { return wording.Several(n, "entry waits", "entries wait") }
