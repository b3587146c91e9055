package ops

import (
	"context"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"signalbox/router"
)

const (
	maxClients = 64
	// A tick is between two batches of events; so many are between two counts.
	tick       = 100 * time.Millisecond
	countTicks = 10
	// writeLimit is how long a write to a browser may take.
	writeLimit = 8 * time.Second
)

// live tells browsers what happens. While nobody watches, it only keeps what failed.
type live struct {
	program Program
	write   bool
	log     *slog.Logger
	limit   time.Duration // of a write

	events *events
	asked  asked

	// entrance is held to come and to leave, and guards end, which ends what runs while
	// somebody watches, and returns how to wait for it; nil: nobody does.
	entrance sync.Mutex
	end      func() (wait func())

	// sending is held to make notices and hand them out, and guards what follows.
	sending sync.Mutex
	clients map[*client]struct{}
	config  notice
	of      told // what config tells
	tally   tally
}

// newLive makes p's Onlooker tell it what happens, so it must come before the router runs.
func newLive(p Program, write bool) *live {
	if p.Onlooker == nil { // nobody tells
		p.Onlooker = &router.Onlooker{}
	}
	l := &live{
		program: p, write: write, log: slog.New(slog.DiscardHandler), limit: writeLimit,
		events: newEvents(), clients: map[*client]struct{}{},
	}
	p.Onlooker.See = l.look
	return l
}

// look is told what became of events, by who handles them.
func (l *live) look(o router.Outcome) { l.events.see(&o) }

// join lets a browser in that has seen everything up to last, an id that it was told. It
// returns what to tell it first, and nil when there is no room.
func (l *live) join(last string) (c *client, first []notice) {
	l.entrance.Lock()
	defer l.entrance.Unlock()
	if l.end == nil { // before anything is told, or what fails meanwhile would be left out
		l.begin()
	}
	c = newClient()
	if first = l.admit(c, last); first == nil {
		return nil, nil
	}
	return c, first
}

// admit makes c one of those that are told. Nothing is told twice, and nothing left out
// between what is kept and what comes next.
func (l *live) admit(c *client, last string) []notice {
	l.sending.Lock()
	defer l.sending.Unlock()
	if len(l.clients) >= maxClients {
		return nil
	}
	fresh, kept := l.events.takeAll(l.seen(last))
	l.tellEvents(fresh)
	l.tellConfig()
	l.clients[c] = struct{}{}
	if l.tally.counts.text != nil {
		c.putCounts(l.tally.counts)
	}
	return []notice{l.config, l.eventsNotice(kept)}
}

// leave lets a browser go. The last one waits for what ran for all; that may be a question
// to a Redis that hangs, so who comes meanwhile does not wait.
func (l *live) leave(c *client) {
	wait := func() {}
	l.entrance.Lock()
	l.sending.Lock()
	delete(l.clients, c)
	nobody := len(l.clients) == 0
	l.sending.Unlock()
	if nobody && l.end != nil {
		wait, l.end = l.end(), nil
	}
	l.entrance.Unlock()
	wait()
}

// begin runs what is needed while somebody watches.
func (l *live) begin() {
	ctx, cancel := context.WithCancel(context.Background())
	l.events.watch(true)
	l.program.Onlooker.All.Store(true)
	l.asked.forget()
	l.beginTally()
	var all sync.WaitGroup
	for _, what := range []func(context.Context){l.run, l.askReady, l.askStreams} {
		all.Go(func() {
			defer l.survive()
			what(ctx)
		})
	}
	l.end = func() func() {
		l.program.Onlooker.All.Store(false)
		l.events.watch(false)
		cancel()
		l.endTally()
		return all.Wait
	}
}

// survive keeps a panic from ending the router: being looked at must not.
func (l *live) survive() {
	if v := recover(); v != nil {
		l.log.Error("the live page no longer tells all", "err", v, "stack", string(debug.Stack()))
	}
}

// run tells all browsers what there is to tell, until ctx ends.
func (l *live) run(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for n := 0; ; n++ {
		l.tell(ctx, n%countTicks == 0)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// tell tells all browsers of events, and perhaps the rest. Once ctx has ended, others may
// watch, who are told by somebody else.
func (l *live) tell(ctx context.Context, all bool) {
	l.sending.Lock()
	defer l.sending.Unlock()
	if ctx.Err() != nil {
		return
	}
	l.tellEvents(l.events.take())
	if all {
		l.tellConfig()
		l.tellCounts()
	}
}

// tellEvents tells all browsers of events. It is called with sending held.
func (l *live) tellEvents(events []*wireEvent) {
	if len(events) == 0 {
		return
	}
	f := l.eventsNotice(events)
	for c := range l.clients {
		c.putEvents(f)
	}
}

func (l *live) eventsNotice(events []*wireEvent) notice {
	id := ""
	if n := len(events); n > 0 {
		id = l.id(events[n-1].Seq)
	}
	f := newNotice("events", id, events)
	f.events = len(events)
	return f
}

// id names the run beside the event: after a restart the numbers begin anew, and what a
// browser has seen before is no reason to leave anything out.
func (l *live) id(seq uint64) string {
	return strconv.FormatInt(l.program.Started.UnixMilli(), 10) + "-" + strconv.FormatUint(seq, 10)
}

// seen is the number in an id, if it is of this run.
func (l *live) seen(id string) uint64 {
	run, number, _ := strings.Cut(id, "-")
	seq, err := strconv.ParseUint(number, 10, 64)
	if err != nil || run != strconv.FormatInt(l.program.Started.UnixMilli(), 10) {
		return 0
	}
	return seq
}
