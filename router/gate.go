package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/router/internal/failpoint"
)

const (
	// leaseMargin is how much longer a lease is than one attempt may last.
	leaseMargin = 10 * time.Second
	// claimTimeout and markTimeout bound what the store is asked. Marks are also written
	// when the drain is over, and must then fit into the grace.
	claimTimeout = time.Second
	markTimeout  = cancelGrace / 2
	markTries    = 5
)

// gate lets the events of a route pass once, as its policy says. A nil gate lets all
// pass.
//
// An event that passes is held: its key has a lease, which the gate renews until the
// event is done, given up, or left to others. Only then is it marked, so that a
// process that dies between leaves a lease, which ends, and never a mark.
type gate struct {
	route  *route
	store  Dedupe
	prefix string // of keys
	owner  string // of tokens
	lease  time.Duration
	waits  bool // for who holds an event; else it is a duplicate
	holds  atomic.Uint64

	// mu guards what follows. A renewal keeps it, so that nothing is marked as done
	// while its lease is being renewed: the renewal would shorten the mark's life.
	mu    sync.Mutex
	held  map[*hold]struct{}
	timer *time.Timer // runs while something is held
}

// hold is a claim on an event's key.
type hold struct{ key, token string }

// newGate returns nil for a route whose events may all pass.
func newGate(r *route, service string, store Dedupe) *gate {
	if r.Policy.Dedupe.Window == 0 {
		return nil
	}
	return &gate{
		route: r, store: store,
		prefix: dedupePrefix(service, r.channel.Group, r.channel.Name, r.Name),
		owner:  newID() + ".",
		lease:  max(r.Policy.Timeout, 0) + leaseMargin,
		waits:  r.channel.Transport != PubSub,
		held:   map[*hold]struct{}{},
	}
}

// admit returns the events of w.tries that may be tried. Without any it waits, until
// one may be, or all are finished. What waits beside others goes back to the worker's
// rest: it comes after them, tried or not.
func (g *gate) admit(work context.Context, w *worker) []try {
	if g == nil {
		return w.tries
	}
	ownEvents, tries := splitOwn(w.tries)
	if len(ownEvents) > 0 {
		w.putBack(tries)
		return ownEvents
	}
	for waits := 0; len(tries) > 0 && work.Err() == nil; waits++ {
		ours, others, err := g.claim(work, tries)
		if len(ours) > 0 || len(others) == 0 {
			w.putBack(others)
			return ours
		}
		pause := g.route.pauses.of(Retry{Backoff: 50 * time.Millisecond, MaxBackoff: time.Second}, waits)
		if work.Err() == nil {
			g.explain(others, err, waits, pause)
		}
		g.route.pauses.sleep(work, nil, pause)
		tries = g.route.sift(work, others)
	}
	return tries
}

// splitOwn tells own events from others. They are said once, and pass: the gate must
// not take one about a key for an event of that key, nor wait for a Redis whose absence
// it is about.
func splitOwn(tries []try) (ownEvents, others []try) {
	for _, t := range tries {
		if _, is := t.ticket.item.Owner.(own); is {
			ownEvents = append(ownEvents, t)
		} else {
			others = append(others, t)
		}
	}
	return ownEvents, others
}

// explain says why events wait.
func (g *gate) explain(tries []try, err error, waits int, pause time.Duration) {
	for _, t := range tries {
		switch {
		case err != nil:
			g.route.retry(t, fmt.Errorf("dedupe: %w", err), pause, true, 0)
		case waits == 0:
			g.route.log.Warn("the same event is in progress; this one waits", eventAttrs(&t.event, "lease", g.lease)...)
		}
	}
}

// claim asks for events, and finishes the duplicates. Others are in progress
// elsewhere; after an error, all are.
func (g *gate) claim(work context.Context, tries []try) (ours, others []try, err error) {
	keys, tokens := make([]string, len(tries)), make([]string, len(tries))
	for i := range tries {
		t := &tries[i]
		if t.hold == nil {
			token := g.owner + strconv.FormatUint(g.holds.Add(1), 10)
			t.hold = &hold{g.prefix + dedupeKey(&t.event, g.route.Policy.Dedupe.By), token}
		}
		keys[i], tokens[i] = t.hold.key, t.hold.token
	}
	ctx, cancel := context.WithTimeout(work, claimTimeout)
	defer cancel()
	mine, done, err := g.store.Claim(ctx, keys, tokens, g.lease)
	if err != nil {
		return nil, tries, err
	}
	if failpoint.Broken(failpoint.DoneFirst) {
		_ = g.store.Done(ctx, keys, g.route.Policy.Dedupe.Window)
	}
	ours = tries[:0]
	for i, t := range tries {
		if mine[i] {
			ours = append(ours, t)
			continue
		}
		g.letGo([]try{t}) // it may have been held, and lost
		t.hold = nil
		switch {
		case done[i]:
			g.route.pass(t, errHandledBefore)
		case !g.waits:
			g.route.pass(t, errInProgress)
		default:
			others = append(others, t)
		}
	}
	g.keep(ours)
	return ours, others, nil
}

// pass finishes an event that is a duplicate.
func (r *route) pass(t try, err error) {
	r.duplicates.Add(1)
	if r.log.Enabled(&t.ctx, slog.LevelDebug) {
		r.log.Debug("duplicate", eventAttrs(&t.event, "err", err)...)
	}
	r.tell(Duplicate, t, err, timing{})
	t.ticket.release()
}

// settle marks what is done and frees what is given up, before anybody is told so.
func (g *gate) settle(work context.Context, tries []try, verdict func(int) error) {
	if g == nil {
		return
	}
	var done, over []try
	for i, t := range tries {
		switch err := verdict(i); {
		case err == nil:
			done = append(done, t)
		case interrupted(&t.ctx, err), g.route.final(err, t.attempts+1):
			over = append(over, t)
		}
	}
	g.mark(work, done)
	g.release(over)
}

// mark marks events as done. They were handled, so they are finished even when that
// fails; then they may be handled again once their leases have ended.
func (g *gate) mark(work context.Context, tries []try) {
	keys, _ := g.letGo(tries)
	if len(keys) == 0 {
		return
	}
	failpoint.Hit(failpoint.AfterWork)
	for failures := 1; ; failures++ {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(work), markTimeout)
		err := g.store.Done(ctx, keys, g.route.Policy.Dedupe.Window)
		cancel()
		if err == nil {
			return
		}
		if failures == markTries || work.Err() != nil {
			g.route.unmarked.Add(uint64(len(keys)))
			g.route.log.Error("handled, but not marked as done; the same event may be handled again when its lease ends",
				"channel", g.route.Channel, "events", len(keys), "lease", g.lease, "err", err)
			return
		}
		sleep(work, Retry{Backoff: 50 * time.Millisecond, MaxBackoff: time.Second}.pause(failures))
	}
}

// release frees events that others may handle from now on.
func (g *gate) release(tries []try) {
	if g == nil {
		return
	}
	keys, tokens := g.letGo(tries)
	if len(keys) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tries[0].ctx.Context), markTimeout)
	defer cancel()
	if err := g.store.Release(ctx, keys, tokens); err != nil {
		g.route.log.Warn("leases could not be given back; they end by themselves", "channel", g.route.Channel, "events", len(keys), "lease", g.lease, "err", err)
	}
}

// leave is for events that took their worker with them.
func (g *gate) leave(tries []try, err error) {
	if g == nil {
		return
	}
	if errors.Is(err, errAbandoned) && len(tries) > 0 && tries[0].ctx.Err() != nil {
		g.letGo(tries) // unfinished, and the handler still runs: whoever is next waits for the lease
		return
	}
	g.release(tries)
}

// keep renews the leases of events from now on.
func (g *gate) keep(tries []try) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range tries {
		g.held[t.hold] = struct{}{}
	}
	if len(g.held) > 0 && g.timer == nil {
		g.timer = time.AfterFunc(g.lease/3, g.renew)
	}
}

// letGo ends that, and returns what was claimed, or may have been.
func (g *gate) letGo(tries []try) (keys, tokens []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range tries {
		if t.hold == nil {
			continue
		}
		delete(g.held, t.hold)
		keys, tokens = append(keys, t.hold.key), append(tokens, t.hold.token)
	}
	if len(g.held) == 0 && g.timer != nil {
		g.timer.Stop()
		g.timer = nil
	}
	return keys, tokens
}

// renew makes all leases last again, however long the attempts and pauses take.
func (g *gate) renew() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.timer == nil { // all are let go
		return
	}
	g.timer.Reset(g.lease / 3)
	var keys, tokens []string
	for h := range g.held {
		keys, tokens = append(keys, h.key), append(tokens, h.token)
	}
	ctx, cancel := context.WithTimeout(context.Background(), claimTimeout)
	defer cancel()
	mine, _, err := g.store.Claim(ctx, keys, tokens, g.lease)
	if err != nil {
		g.route.log.Warn("leases of events in hand could not be renewed; trying again", "channel", g.route.Channel, "events", len(keys), "lease", g.lease, "err", err)
		return
	}
	lost := 0
	for _, is := range mine {
		if !is {
			lost++
		}
	}
	if lost > 0 {
		g.route.log.Warn("leases of events in hand were lost; somebody else may handle the same events", "channel", g.route.Channel, "events", lost)
	}
}
