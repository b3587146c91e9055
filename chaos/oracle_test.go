//go:build failpoints

package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// settle waits until Redis has nothing more for the group, and checks that this did
// not take longer than it may (I7).
func (r *round) settle() {
	r.Helper()
	if r.mended.IsZero() {
		r.mend()
	}
	limit := r.within
	if r.broken == "" {
		limit = max(limit, patience) // to know how long it takes
	}
	if !within(limit, r.atRest) {
		r.violate("I7", "backlog and pending are not 0 within %v: %s", limit, r.state())
		return
	}
	took := time.Since(r.mended)
	r.recovery = max(r.recovery, took)
	if took > r.within {
		r.violate("I7", "backlog and pending were 0 after %v; want %v", took, r.within)
	}
}

// group is the state of the consumer group.
func (r *round) group() (redis.XInfoGroup, bool) {
	groups, err := r.server.Client().XInfoGroups(context.Background(), topic).Result()
	i := slices.IndexFunc(groups, func(g redis.XInfoGroup) bool { return g.Name == "chaos" })
	if err != nil || i < 0 {
		return redis.XInfoGroup{}, false
	}
	return groups[i], true
}

// atRest reports whether everything in the stream was delivered and acknowledged.
func (r *round) atRest() bool {
	last, err := r.server.Client().XRevRangeN(context.Background(), topic, "+", "-", 1).Result()
	if err != nil {
		return false
	}
	if len(last) == 0 {
		return true
	}
	g, ok := r.group()
	return ok && g.Pending == 0 && !older(g.LastDeliveredID, last[0].ID)
}

// older reports whether stream id a is before b.
func older(a, b string) bool {
	aMs, aSeq, _ := strings.Cut(a, "-")
	bMs, bSeq, _ := strings.Cut(b, "-")
	if aMs != bMs {
		return len(aMs) < len(bMs) || len(aMs) == len(bMs) && aMs < bMs
	}
	return len(aSeq) < len(bSeq) || len(aSeq) == len(bSeq) && aSeq < bSeq
}

func (r *round) state() string {
	g, _ := r.group()
	text, _ := json.Marshal(g)
	return string(text)
}

// stored are the ids of the events that Redis has, of stream name.
func (r *round) stored(name string) map[string]int {
	r.Helper()
	entries, err := r.server.Client().XRange(context.Background(), name, "-", "+").Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		r.Fatalf("oracle: %v", err)
	}
	ids := make(map[string]int, len(entries))
	for _, entry := range entries {
		var message struct {
			ID string `json:"id"`
		}
		payload, _ := entry.Values["payload"].(string)
		_ = json.Unmarshal([]byte(payload), &message) // a hostile one has no id
		ids[message.ID]++
	}
	return ids
}

// effects are everything that was done, by event, the first first.
func (r *round) effects() map[string][]*effect {
	all := map[string][]*effect{}
	for _, p := range r.procs {
		for id, of := range p.read().effects {
			all[id] = append(all[id], of...)
		}
	}
	for _, of := range all {
		slices.SortFunc(of, func(a, b *effect) int { return a.begin.Compare(b.begin) })
	}
	return all
}

// finish ends the routers and compares what was sent with what was done.
func (r *round) finish() {
	r.Helper()
	r.flat()
	for _, p := range r.procs {
		p.terminate()
	}
	effects := r.effects()
	r.intact(effects)
	r.apart(effects)
	if r.producer.pubsub {
		r.countLost(effects)
	} else {
		r.nothingLost(effects)
	}
	r.countRepeats(effects)
	for _, p := range r.procs {
		r.addsUp(p, effects)
	}
}

// letter is a dead letter.
type letter struct{ id, reason string }

// dead are the dead letters of the channel work.
func (r *round) dead() []letter {
	r.Helper()
	entries, err := r.server.Client().XRange(context.Background(), topic+".dead", "-", "+").Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		r.Fatalf("oracle: %v", err)
	}
	letters := make([]letter, len(entries))
	for i, entry := range entries {
		var message struct {
			ID string `json:"id"`
		}
		payload, _ := entry.Values["payload"].(string)
		_ = json.Unmarshal([]byte(payload), &message)
		reason, _ := entry.Values["reason"].(string)
		letters[i] = letter{message.ID, reason}
	}
	return letters
}

// handled reports whether one of the effects ended well.
func handled(effects []*effect) bool {
	return slices.ContainsFunc(effects, func(e *effect) bool { return e.ok })
}

// nothingLost checks I1: what the producer sent and Redis still has was handled. What
// was trimmed while it was pending is lost and has to be counted.
func (r *round) nothingLost(effects map[string][]*effect) {
	r.Helper()
	known := r.known()
	stored := r.stored(topic)
	if r.other != nil {
		maps.Copy(stored, r.stored(r.other.topic))
	}
	dead := map[string]bool{}
	for _, l := range r.dead() {
		if l.reason != "malformed" {
			if _, ok := known[l.id]; !ok {
				r.violate("I2", "the dead letter %+v is of an event that was never sent", l)
			}
			if dead[l.id] {
				r.duplicates++
			}
		}
		dead[l.id] = true
	}
	var missing []string
	for id := range known {
		if stored[id] > 0 && !handled(effects[id]) && !dead[id] {
			missing = append(missing, id)
		}
	}
	r.lost += len(missing)
	if len(missing) > 0 {
		slices.Sort(missing)
		r.violate("I1", "%d events of %d are in Redis and were not handled, such as %s", len(missing), len(known), missing[0])
	}
}

// intact checks I2 and I3: nothing was handled that was not sent as it is.
func (r *round) intact(effects map[string][]*effect) {
	known := r.known()
	for id, of := range effects {
		if _, ok := known[id]; !ok {
			r.violate("I2", "%s was handled and never sent", id)
		}
		if !of[0].intact {
			r.violate("I3", "%s: the checksum is wrong", id)
		}
	}
}

// apart checks I5: no two effects of an event at the same time, while the process that
// is at it lives.
func (r *round) apart(effects map[string][]*effect) {
	for id, of := range effects {
		for i := 1; i < len(of); i++ {
			before := of[i-1]
			end := before.end
			if end.IsZero() {
				<-before.by.exited
				end = before.by.ended
			}
			if end.After(of[i].begin) && !before.by.paused {
				r.violate("I5", "%s: %s was at it for another %v when %s began", id, before.by.name, end.Sub(of[i].begin), of[i].by.name)
				return
			}
		}
	}
}

// countRepeats checks I4: what was done again is no more than what the fault explains.
// An attempt that failed and was followed by another does not count.
func (r *round) countRepeats(effects map[string][]*effect) {
	var example string
	for id, of := range effects {
		n := 0
		for _, e := range of {
			if e.ok || e.end.IsZero() {
				n++
			}
		}
		if n > 1 {
			r.duplicates += n - 1
			example = id
		}
	}
	if r.duplicates > r.repeats {
		r.violate("I4", "%d events were handled again, at most %d may, such as %s", r.duplicates, r.repeats, example)
	}
}

// addsUp checks I6: the counters of a process that ended cleanly.
func (r *round) addsUp(p *proc, effects map[string][]*effect) {
	s, clean := p.summary()
	if !clean {
		return
	}
	if p.err != nil {
		r.violate("I6", "%s: after SIGTERM: %v", p.name, p.err)
	}
	routes := max(r.routes, 1)
	taken := s.Received - s.Unmatched - s.Rejected - s.CrashLoop
	if sum := s.Handled + s.Failed + s.Skipped + s.Filtered + s.Unfinished + s.Duplicates + s.Withdrawn; sum != routes*taken {
		r.violate("I6", "%s: routes got %d events, but what became of them adds up to %d: %+v", p.name, routes*taken, sum, s)
	}
	if p.raced() {
		r.violate("I6", "%s: data race", p.name)
	}
	if routes > 1 {
		return // the others' effects are not written down
	}
	done := 0
	for _, of := range effects {
		for _, e := range of {
			if e.by == p && e.ok {
				done++
			}
		}
	}
	if s.Handled != done {
		r.violate("I6", "%s: says that it handled %d, and handled %d", p.name, s.Handled, done)
	}
}

// flat checks I8: routers at rest use no more than before. go-redis may keep a few
// more connections.
func (r *round) flat() {
	for _, p := range r.procs {
		before, ok := r.idle[p]
		if !ok || !p.running() {
			continue
		}
		var after use
		const files = 30
		calm := within(5*time.Second, func() bool {
			after, ok = r.usage(p)
			return !ok || after.goroutines <= before.goroutines+3 && after.files <= before.files+files && after.heap <= 2*before.heap+(16<<20)
		})
		if !calm {
			r.violate("I8", "%s: from %+v to %+v", p.name, before, after)
		}
	}
}

// countLost checks that on Pub/Sub what was not handled is what the routers say they
// lost, but for what was published while a router says that it was blind (I1).
func (r *round) countLost(effects map[string][]*effect) {
	inGap, elsewhere, counted, missing := 0, 0, 0, 0
	for id, s := range r.producer.known() {
		switch {
		case !s.acknowledged || handled(effects[id]):
		case slices.ContainsFunc(r.gaps, func(g gap) bool { return g.holds(s.at) }):
			inGap++
		default:
			elsewhere++
		}
	}
	for _, p := range r.procs {
		s, _ := p.summary()
		counted += s.Lost
		missing += s.Missing
	}
	r.told = inGap + min(elsewhere, counted)
	r.lost = elsewhere - min(elsewhere, counted)
	if elsewhere != counted {
		r.violate("I1", "%d events were lost outside of gaps, and %d are counted", elsewhere, counted)
	}
	if r.sequence && missing != inGap {
		r.violate("sequence", "%d events were lost in gaps, and by their numbers %d", inGap, missing)
	}
}

// gap is when a router could not hear.
type gap struct{ from, to time.Time }

func (g gap) holds(at time.Time) bool { return !at.Before(g.from) && !at.After(g.to) }

// awaitDeath waits until a process has killed itself.
func (r *round) awaitDeath(p *proc) {
	r.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		r.Fatalf("%s still lives", p.name)
	}
}
