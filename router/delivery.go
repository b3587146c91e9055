package router

import (
	"context"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router/internal/batch"
)

// delivery is one event on its way through the routes. It is one allocation: the
// event, the Watermill message that the middleware sees, and that message's context.
type delivery struct {
	event  Event
	msg    message.Message
	ctx    deliveryContext
	first  deliveryContext // of the first attempt of any route
	tried  atomic.Bool     // there was one
	ticket *ticket         // nil on a plain Watermill router
	batch  *gathering      // likewise
}

// newDelivery returns a delivery without an event.
func newDelivery(ctx, values context.Context, payload []byte) *delivery {
	return new(delivery).of(ctx, values, payload)
}

// of makes d a delivery without an event. The message is a literal: message.NewMessage
// would make two channels that nobody listens to.
func (d *delivery) of(ctx, values context.Context, payload []byte) *delivery {
	d.ctx = deliveryContext{Context: ctx, values: values, delivery: d}
	d.msg.Payload = payload
	d.msg.SetContext(&d.ctx)
	return d
}

// attempt is the context of one attempt: the delivery's, and it also ends with the attempt.
// A handler may keep it, so no other attempt gets the same.
func (d *delivery) attempt(ctx context.Context) context.Context {
	a := &d.first
	if d.tried.Swap(true) {
		a = &deliveryContext{}
	}
	a.Context, a.values, a.delivery = ctx, d.ctx.values, d
	if of := d.msg.Context(); of != context.Context(&d.ctx) { // middleware has put values into it
		a.values = of
	}
	return a
}

// ticket counts what still has to happen before a raw message is done: that it is
// dispatched, and that each route is through with each of its events.
type ticket struct {
	left  atomic.Int32
	short atomic.Bool // a route was cut short: it is not done
	item  *batch.Item
	// revocable is the item's owner, if it is one; nil: nobody takes the item over.
	revocable batch.Revocable
}

// of makes t the ticket of an item, which it holds.
func (t *ticket) of(item *batch.Item) {
	t.item = item
	t.revocable, _ = item.Owner.(batch.Revocable)
	t.hold()
}

func (t *ticket) hold() { t.left.Add(1) }

func (t *ticket) release() {
	if t.left.Add(-1) > 0 {
		return
	}
	if !t.short.Load() {
		t.item.Owner.Done(t.item)
	} else if t.revocable != nil {
		t.revocable.Leave(t.item)
	}
}

// leave is release by a route that is not through.
func (t *ticket) leave() {
	t.short.Store(true)
	t.release()
}

// deliveryContext gives handlers the router's context (cancelled at the end of a
// drain), the values of the message it came with, and the event.
type deliveryContext struct {
	context.Context
	values   context.Context // may be nil
	delivery *delivery
}

// AfterFunc spares contexts that handlers derive a goroutine each: package context
// looks for it when Value leads it to another context that can end, that of values.
func (c *deliveryContext) AfterFunc(f func()) (stop func() bool) {
	return context.AfterFunc(c.Context, f)
}

type deliveryKey struct{}

func (c *deliveryContext) Value(key any) any {
	if _, ok := key.(deliveryKey); ok {
		return c.delivery
	}
	if c.values != nil {
		if v := c.values.Value(key); v != nil {
			return v
		}
	}
	return c.Context.Value(key)
}

func deliveryFrom(ctx context.Context) *delivery {
	d, _ := ctx.Value(deliveryKey{}).(*delivery)
	return d
}

// EventFrom returns the event that [DecodeJSON] put into the context, or nil.
func EventFrom(ctx context.Context) *Event {
	d := deliveryFrom(ctx)
	if d == nil || d.event.Type == "" {
		return nil
	}
	return &d.event
}
