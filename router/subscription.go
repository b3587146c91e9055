package router

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router/internal/batch"
)

// subscription is a channel as one configuration reads it, by its plain routes together
// or by an isolated one alone: it splits what crosses Watermill's Router into events and
// hands each to the lanes of the routes that take its type. It is immutable; a feed
// brings what it reads.
type subscription struct {
	channel    Channel
	isolated   string              // the only route's name; empty: the plain routes
	speaks     bool                // for its channel: it counts and logs what arrives there
	front      message.HandlerFunc // middleware → decode → gather
	metadata   bool                // the user's middleware may want to set metadata
	routes     []*route            // that it runs
	table      *table
	gatherings sync.Pool
	log        *slog.Logger
	watcher    watcher
	now        func() time.Time // nil: ages are not told
	keeper     *keeper
	dead       *Channel // where what reaches no route is kept; nil: nowhere
	feed       *feed
	service    string
	life       *liveness // of the channel; nil: it may be silent, or another subscription tells
	*channelCounters
}

// subscriptions are those that a channel with these routes needs. The first speaks for
// the channel, so its table has all routes, also those that it doesn't run.
func subscriptions(ch Channel, routes []compiled, counters *channelCounters, opts Options, clock func() time.Duration) (all []*subscription) {
	add := func(s *subscription, runs ...compiled) {
		s.log, s.watcher, s.channelCounters = opts.Logger, newWatcher(opts, clock), counters
		if opts.Measure {
			s.now = opts.Now
		}
		known, declared := runs, []string(nil)
		if s.speaks = len(all) == 0; s.speaks {
			known, declared = routes, ch.Types
		}
		s.prepare(newTable(known, declared, counters), runs, opts.Middleware)
		all = append(all, s)
	}
	var plain, isolated []compiled
	for _, c := range routes {
		if c.route.Isolated {
			isolated = append(isolated, c)
		} else {
			plain = append(plain, c)
		}
	}
	if len(plain) > 0 {
		add(&subscription{channel: ch}, plain...)
	}
	for _, c := range isolated {
		add(&subscription{channel: c.route.own(ch), isolated: c.route.Name}, c)
	}
	return all
}

func (s *subscription) prepare(t *table, runs []compiled, middleware []message.HandlerMiddleware) {
	for i, c := range runs {
		c.route.home, c.route.index = s, i
		s.routes = append(s.routes, c.route)
	}
	s.table = t
	s.gatherings.New = func() any {
		return &gathering{byRoute: make([][]*delivery, len(s.routes)), sizes: make([]int, len(s.routes))}
	}
	s.front = DecodeJSON(s.channel)(s.gather)
	for _, v := range slices.Backward(middleware) {
		s.front = v(s.front)
	}
	s.front = Recover(s.front)
	s.metadata = len(middleware) > 0
}

// dispatch decodes items and hands their events to the lanes; foreign is the message
// of the only item when it did not come in a batch. It returns what is to be settled.
func (s *subscription) dispatch(ctx context.Context, foreign *message.Message, items []*batch.Item) []letter {
	var values context.Context
	if foreign != nil {
		values = foreign.Context()
	}
	g := s.gatherings.Get().(*gathering)
	if s.now != nil {
		g.at = s.now()
	}
	tickets, deliveries := make([]ticket, len(items)), make([]delivery, len(items))
	for i, item := range items {
		t := &tickets[i]
		t.of(item)
		if item.Replay != nil && item.Replay.Group != s.channel.Group {
			continue // a dead letter of another group
		}
		if s.loops(item) {
			g.letters = append(g.letters, s.crashLoop(t))
			continue
		}
		d := deliveries[i].of(ctx, values, item.Payload)
		d.ticket, d.batch, d.msg.UUID = t, g, item.ID
		if s.metadata {
			d.msg.Metadata = message.Metadata{}
			if foreign != nil {
				maps.Copy(d.msg.Metadata, foreign.Metadata)
			}
		}
		if _, err := s.front(&d.msg); err != nil {
			for _, part := range each(&d.msg, err) {
				if s.speaks { // else another subscription of the channel does it
					g.letters = append(g.letters, s.reject(t, part))
				}
			}
		}
	}
	g.flush()
	if g.came {
		s.life.saw(g.keys)
		clear(g.keys)
		g.came, g.keys = false, g.keys[:0]
	}
	letters := g.letters
	g.letters = nil
	s.gatherings.Put(g)
	for i := range tickets {
		tickets[i].release()
	}
	return letters
}

// gathering collects the events of one batch by route.
type gathering struct {
	byRoute [][]*delivery // by route.index
	sizes   []int         // likewise: how many there were the last time
	touched []*route
	events  int       // of all routes
	at      time.Time // when they came this far; zero: nobody asks
	ages    stretch   // of them
	letters []letter
	came    bool     // something that shows the channel to be alive
	keys    []string // of that, if they are followed
}

func (g *gathering) add(r *route, d *delivery) {
	if len(g.byRoute[r.index]) == 0 {
		g.touched = append(g.touched, r)
		g.byRoute[r.index] = make([]*delivery, 0, max(1, g.sizes[r.index]))
	}
	g.byRoute[r.index] = append(g.byRoute[r.index], d)
	g.events++
}

// flush hands the events to their lanes, which own the slices from then on.
func (g *gathering) flush() {
	g.ages.end()
	var together []*lanes
	bundled := len(g.touched) >= bundleFrom && g.events <= bundleMost*len(g.touched)
	for _, r := range g.touched {
		events := g.byRoute[r.index]
		g.sizes[r.index] = len(events)
		if !bundled {
			r.lanes.push(events)
		} else if r.lanes.offer(events) {
			together = append(together, r.lanes)
		}
		g.byRoute[r.index] = nil
	}
	if len(together) > 0 {
		runBundle(together)
	}
	clear(g.touched)
	g.touched, g.events = g.touched[:0], 0
}

// alive notes that an event came. One that was kept may have come long ago.
func (s *subscription) alive(d *delivery) {
	followed := s.channel.StaleAfter.PerKey > 0 && d.event.Key != ""
	switch {
	case !d.event.Replayed:
		d.batch.came = true
		if followed {
			d.batch.keys = append(d.batch.keys, d.event.Key)
		}
	case followed:
		s.life.know(d.event.Key)
	}
}

// gather is the end of the middleware: the event is there, and its type decides.
func (s *subscription) gather(msg *message.Message) ([]*message.Message, error) {
	d := deliveryFrom(msg.Context())
	if d == nil || d.batch == nil {
		return nil, errors.New("middleware replaced the message's context: it must derive from the one it got")
	}
	if s.life != nil && d.ticket.item.Replay == nil && !isOwn(d.event.Type) {
		s.alive(d)
	}
	late := s.overtaken(d)
	if late && d.event.Replayed {
		return nil, nil // it was handled, or its successor was
	}
	of := s.table.of(d.event.Type)
	// What Signalbox says of a source is there for who asks for it, and nobody has to.
	unasked := len(of.routes) == 0 && OfSource(d.event.Type) && d.ticket.item.Replay == nil
	if s.speaks && !unasked {
		of.received.Add(1)
		if s.now != nil && !d.event.Replayed {
			d.batch.ages.add(&s.ages, d.batch.at.Sub(d.event.Time))
		}
	}
	if d.event.seq.known && !d.event.Replayed {
		s.follow(&d.event)
	}
	if late || unasked {
		return nil, nil
	}
	routes := of.routes
	if replay := d.ticket.item.Replay; replay != nil {
		// No other subscription may take it: who takes its type in another group never will.
		if routes = s.replayed(routes, replay); len(routes) == 0 {
			s.passBy(d)
			return nil, nil
		}
	}
	if len(routes) == 0 && s.speaks {
		s.passBy(d)
		return nil, nil
	}
	for _, r := range routes {
		if r.home != s || !r.admits(d) {
			continue
		}
		d.ticket.hold()
		d.batch.add(r, d)
	}
	return nil, nil
}
