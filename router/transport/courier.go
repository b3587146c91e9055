package transport

import (
	"context"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router/internal/batch"
)

const (
	nackPause = 25 * time.Millisecond // before a nacked message is sent again
	ackGrace  = time.Second           // how long a closing subscription waits for the outstanding message
)

// courier hands the batches of one subscription over, one message at a time.
type courier struct {
	values context.Context // the values of the messages' contexts
	out    chan *message.Message
	stop   <-chan struct{} // closed: hand nothing over any more
	resend bool            // a nacked message is sent again
	decor  func(*message.Message, *batch.Item)

	late     *sync.WaitGroup // owns the wait for an ack that comes after the end
	lateStop <-chan struct{}
}

// outcome is what became of a message.
type outcome int

const (
	accepted  outcome = iota // acked: the next one may go
	kept                     // not handed over, or nacked when closing
	abandoned                // handed over, but not acked before the end
)

// deliver hands items over as one message and waits for its ack.
func (c *courier) deliver(items []*batch.Item) outcome {
	for {
		select {
		case <-c.stop: // wins over a consumer that is ready too
			return kept
		default:
		}
		msg, b, cancel := c.message(items)
		select {
		case c.out <- msg:
		case <-c.stop:
			cancel()
			return kept
		}
		acked, nacked := c.await(msg)
		if b.Taken() {
			// The events are still being handled, and their contexts may
			// derive from the message's: it is not canceled.
			return accepted
		}
		cancel()
		switch {
		case acked, nacked && !c.resend:
			done(items)
			return accepted
		case !nacked:
			c.waitLonger(msg, items)
			return abandoned
		}
		if !sleep(nackPause, c.stop, nil) {
			return kept
		}
	}
}

// message makes the message that carries items.
func (c *courier) message(items []*batch.Item) (*message.Message, *batch.Batch, context.CancelFunc) {
	b := &batch.Batch{Items: items}
	ctx, cancel := context.WithCancel(c.values)
	msg := message.NewMessage(items[0].ID, nil)
	msg.SetContext(batch.NewContext(ctx, b))
	if len(items) == 1 {
		msg.Payload = items[0].Payload
		c.decor(msg, items[0])
	}
	return msg, b, cancel
}

// await waits for the answer; when the subscription closes, not for long any more.
func (c *courier) await(msg *message.Message) (acked, nacked bool) {
	select {
	case <-msg.Acked():
		return true, false
	case <-msg.Nacked():
		return false, true
	case <-c.stop:
	}
	timer := time.NewTimer(ackGrace)
	defer timer.Stop()
	select {
	case <-msg.Acked():
		return true, false
	case <-msg.Nacked():
		return false, true
	case <-timer.C:
		return false, false
	}
}

// waitLonger completes the items if the ack comes after the subscription's end.
func (c *courier) waitLonger(msg *message.Message, items []*batch.Item) {
	c.late.Go(func() {
		select {
		case <-msg.Acked():
			done(items)
		case <-msg.Nacked():
		case <-c.lateStop:
		}
	})
}

func done(items []*batch.Item) {
	for _, item := range items {
		item.Owner.Done(item)
	}
}
