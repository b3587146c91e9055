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

// subscription is one channel being read: it splits what crosses Watermill's Router
// into events and hands each to the lanes of the routes that take its type.
type subscription struct {
	channel    Channel
	subscriber message.Subscriber
	front      message.HandlerFunc // middleware → decode → gather
	metadata   bool                // the user's middleware may want to set metadata
	routes     []*route
	table      atomic.Pointer[table]
	gatherings sync.Pool
	log        *slog.Logger
	observe    func(Outcome)
	keeper     *keeper
	dead       *Channel // where what reaches no route is kept; nil: nowhere
	service    string
	work       atomic.Pointer[context.Context] // set while the router runs
	saying     atomic.Int64                    // own events under way
	sequences  sequences
	channelCounters
}

func newSubscription(ch Channel, subscriber message.Subscriber, routes []compiled, opts Options) *subscription {
	s := &subscription{channel: ch, subscriber: subscriber, log: opts.Logger, observe: opts.Observe}
	for i, c := range routes {
		c.route.index = i
		s.routes = append(s.routes, c.route)
	}
	s.table.Store(newTable(routes))
	s.gatherings.New = func() any { return &gathering{byRoute: make([][]*delivery, len(s.routes))} }
	s.front = DecodeJSON(ch)(s.gather)
	for _, v := range slices.Backward(opts.Middleware) {
		s.front = v(s.front)
	}
	s.front = Recover(s.front)
	s.metadata = len(opts.Middleware) > 0
	return s
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
		if item.Replay != nil && item.Replay.Group != s.channel.Group {
			continue // a dead letter of another group
		}
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
				g.letters = append(g.letters, s.reject(t, part))
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
	s.received.Add(1)
	if d.event.seq.known {
		s.follow(&d.event)
	}
	routes := d.batch.table.routes(d.event.Type)
	if d.ticket.item.Replay != nil {
		routes = replayed(routes, d.ticket.item.Replay)
	}
	if len(routes) == 0 {
		s.passBy(d)
		return nil, nil
	}
	for _, r := range routes {
		if !r.admits(d) {
			continue
		}
		d.ticket.hold()
		d.batch.add(r, d)
	}
	return nil, nil
}
