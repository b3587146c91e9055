package router

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router/internal/batch"
)

// subscription is a channel being read, by its plain routes together or by an isolated
// one alone: it splits what crosses Watermill's Router into events and hands each to
// the lanes of the routes that take its type.
type subscription struct {
	channel    Channel
	isolated   string // the only route's name; empty: the plain routes
	speaks     bool   // for its channel: it counts and logs what arrives there
	subscriber message.Subscriber
	front      message.HandlerFunc // middleware → decode → gather
	metadata   bool                // the user's middleware may want to set metadata
	routes     []*route            // that it runs
	table      atomic.Pointer[table]
	gatherings sync.Pool
	log        *slog.Logger
	observe    func(Outcome)
	keeper     *keeper
	dead       *Channel // where what reaches no route is kept; nil: nowhere
	*channelCounters
}

// subscriptions are those that a channel with these routes needs. The first speaks for
// the channel, so its table has all routes, also those that it doesn't run.
func subscriptions(ch Channel, routes []compiled, opts Options) (all []*subscription) {
	counters := &channelCounters{}
	add := func(s *subscription, runs ...compiled) {
		s.log, s.observe, s.channelCounters = opts.Logger, opts.Observe, counters
		known := runs
		if s.speaks = len(all) == 0; s.speaks {
			known = routes
		}
		s.prepare(newTable(known), runs, opts.Middleware)
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
	s.table.Store(t)
	s.gatherings.New = func() any { return &gathering{byRoute: make([][]*delivery, len(s.routes))} }
	s.front = DecodeJSON(s.channel)(s.gather)
	for _, v := range slices.Backward(middleware) {
		s.front = v(s.front)
	}
	s.front = Recover(s.front)
	s.metadata = len(middleware) > 0
}

// handle takes over what a Watermill message carries. A batch is done when each of
// its items is; a message from any other subscriber is acked when its event is done.
func (s *subscription) handle(ctx context.Context, msg *message.Message) error {
	if ctx.Err() != nil { // a subscriber that still delivers at the end of the drain
		return ctx.Err()
	}
	if b := batch.FromContext(msg.Context()); b != nil {
		s.dispatch(ctx, nil, b.Take())
		return nil
	}
	done := make(signal)
	topic := or(message.SubscribeTopicFromCtx(msg.Context()), s.channel.Topic)
	item := &batch.Item{Topic: topic, ID: msg.UUID, Time: time.Now(), Payload: msg.Payload, Owner: done}
	s.dispatch(ctx, msg, []*batch.Item{item})
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// signal is the owner of a message that did not come in a batch.
type signal chan struct{}

// Done closes the signal.
func (s signal) Done(*batch.Item) { close(s) }

// dispatch decodes items and hands their events to the lanes; foreign is the message
// of the only item when it did not come in a batch.
func (s *subscription) dispatch(ctx context.Context, foreign *message.Message, items []*batch.Item) {
	var values context.Context
	if foreign != nil {
		values = foreign.Context()
	}
	g := s.gatherings.Get().(*gathering)
	g.table = s.table.Load()
	tickets := make([]ticket, len(items))
	for i, item := range items {
		t := &tickets[i]
		t.item = item
		t.hold()
		if s.loops(item) {
			g.letters = append(g.letters, s.crashLoop(t))
			continue
		}
		d := newDelivery(ctx, values, item.Payload)
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
	letters := g.letters
	g.letters = nil
	s.gatherings.Put(g)
	for i := range tickets {
		tickets[i].release()
	}
	s.keeper.settle(ctx, letters) // until then nothing more is read
}

// gathering collects the events of one batch by route.
type gathering struct {
	table   *table
	byRoute [][]*delivery // by route.index
	touched []*route
	letters []letter
}

func (g *gathering) add(r *route, d *delivery) {
	if len(g.byRoute[r.index]) == 0 {
		g.touched = append(g.touched, r)
	}
	g.byRoute[r.index] = append(g.byRoute[r.index], d)
}

// flush hands the events to their lanes, which own the slices from then on.
func (g *gathering) flush() {
	for _, r := range g.touched {
		r.lanes.push(g.byRoute[r.index])
		g.byRoute[r.index] = nil
	}
	clear(g.touched)
	g.touched = g.touched[:0]
}

// gather is the end of the middleware: the event is there, and its type decides.
func (s *subscription) gather(msg *message.Message) ([]*message.Message, error) {
	d := deliveryFrom(msg.Context())
	if d == nil || d.batch == nil {
		return nil, errors.New("middleware replaced the message's context: it must derive from the one it got")
	}
	if s.speaks {
		s.received.Add(1)
	}
	routes := d.batch.table.routes(d.event.Type)
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
