package routertest

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router"
	"signalbox/router/internal/batch"
	"signalbox/router/internal/glob"
)

// nameKey is the metadata that tells the name a message was sent to.
const nameKey = "name"

// place is the gochannel topic of a channel. A stream and a Pub/Sub channel may share a
// name in Redis and are different places all the same.
func place(ch router.Channel) string {
	if ch.Transport == router.Stream {
		return "stream " + topic(ch)
	}
	return "pubsub " + topic(ch)
}

func topic(ch router.Channel) string {
	if ch.Topic == "" {
		return ch.Name
	}
	return ch.Topic
}

// deliver hands a message to all who read a name, and returns when they have taken it over.
func (b *Box) deliver(transport router.Transport, name string, payload []byte) error {
	b.clock.work(1)
	defer b.clock.work(-1)
	var places []string
	for _, ch := range b.config.Channels {
		reads := topic(ch) == name || ch.Pattern && glob.Match(topic(ch), name)
		if (ch.Transport == router.Stream) == (transport == router.Stream) && reads && !slices.Contains(places, place(ch)) {
			places = append(places, place(ch))
		}
	}
	for _, to := range places {
		msg := message.NewMessage(b.nextID(), payload)
		msg.Metadata.Set(nameKey, name)
		if err := b.pubsub.Publish(to, msg); err != nil {
			return err
		}
	}
	return nil
}

// nextID is what the id of a stream's entry would be. Real time has none: the router makes
// one that no other has.
func (b *Box) nextID() string {
	if !b.clock.fake {
		return ""
	}
	return fmt.Sprintf("%d-%d", b.clock.Now().UnixMilli(), b.sent.Add(1))
}

// listener is the subscriber of a channel, or of an isolated route. What gochannel brings
// crosses as a batch, as from Redis: taken over at once, and completed event by event. So
// a handler may publish to its own channel, and whoever waits holds up nobody.
type listener struct {
	box  *Box
	from string
	stop context.CancelFunc
}

func (l *listener) Subscribe(ctx context.Context, _ string) (<-chan *message.Message, error) {
	ctx, l.stop = context.WithCancel(ctx)
	in, err := l.box.pubsub.Subscribe(ctx, l.from)
	if err != nil {
		return nil, err
	}
	out := make(chan *message.Message)
	go func() {
		defer close(out)
		for msg := range in {
			item := &batch.Item{Topic: msg.Metadata.Get(nameKey), ID: msg.UUID, Time: l.box.Now(), Payload: msg.Payload, Owner: nobody{}}
			msg.SetContext(batch.NewContext(msg.Context(), &batch.Batch{Items: []*batch.Item{item}}))
			select {
			case out <- msg:
			case <-ctx.Done():
			}
		}
	}()
	return out, nil
}

func (l *listener) Close() error {
	if l.stop != nil {
		l.stop()
	}
	return nil
}

// nobody owns a message: what was taken over needs no acknowledgement.
type nobody struct{}

func (nobody) Done(*batch.Item) {}

// sender publishes to a channel, and remembers what.
type sender struct {
	box     *Box
	channel router.Channel
}

func (s sender) Publish(topic string, msgs ...*message.Message) error {
	for _, m := range msgs {
		if err := s.box.record(s.channel.Name, m); err != nil {
			return err
		}
		if err := s.box.deliver(s.channel.Transport, topic, m.Payload); err != nil {
			return err
		}
	}
	return nil
}

func (sender) Close() error { return nil }

// record remembers a message that a handler publishes, or a dead letter, unless handlers
// have published too many.
func (b *Box) record(channel string, m *message.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if m.Metadata.Get("reason") == "" && b.most > 0 && b.handlers >= b.most {
		b.overrun = true
		return router.Permanent(fmt.Errorf("handlers have published %s messages already; do they travel in a circle?", strconv.Itoa(b.most)))
	}
	if m.Metadata.Get("reason") == "" {
		b.handlers++
	}
	b.published[channel] = append(b.published[channel], string(m.Payload))
	return nil
}
