package router

import (
	"context"
	"errors"
	"fmt"
	"time"

	"signalbox/router/internal/batch"
)

// Latest keeps the newest event of each key of a channel: one slot for a key, whatever the
// type of the event. Package transport has one in Redis and one in memory.
type Latest interface {
	// Keep puts each event into the slot of its key, unless a newer one by its time is there; of
	// two with the same time the one that comes later stays. A time in the future counts as
	// now, or one wrong clock would block a slot for good. Each slot lasts for ttl after its
	// event was kept; 0: for ever. After an error any part of the events may have been kept,
	// and keeping them again is right.
	Keep(ctx context.Context, events []Kept, ttl time.Duration) error
	// Kept returns what is kept of a channel, by its name in Redis: that of the keys, or
	// everything. A key that has nothing is left out. The order is that of the times.
	Kept(ctx context.Context, topic string, keys ...string) ([]Kept, error)
}

// Kept is an event as [Latest] keeps it: Topic is the name of its channel in Redis, Key may
// be empty, Payload is the whole message. ID and Time are of use where the message has none
// of its own.
type Kept = batch.Kept

// KeptOf is what [Latest] keeps of an event.
func KeptOf(event *Event) Kept {
	return Kept{Topic: event.Name, Key: event.Key, ID: event.ID, Time: event.Time, Payload: event.Msg}
}

var errNoLatest = errors.New("this router keeps no latest events (Options.Latest)")

// LatestIn makes p read what others have kept; it returns p.
func (p *Publisher) LatestIn(latest Latest) *Publisher {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latest = latest
	return p
}

// Latest returns the kept events of a declared channel: those of the keys, or all, in the
// order of their times. A key that has none is left out. They are what handlers of the kind
// latest have kept, in any process, and are marked as replayed.
func (p *Publisher) Latest(ctx context.Context, channel string, keys ...string) ([]*Event, error) {
	t, err := p.declared(channel)
	if err != nil {
		return nil, fmt.Errorf("latest: %w", err)
	}
	p.mu.Lock()
	latest := p.latest
	p.mu.Unlock()
	switch {
	case latest == nil:
		return nil, Permanent(fmt.Errorf("latest of %q: %w", channel, errNoLatest))
	case t.channel.Pattern:
		return nil, Permanent(fmt.Errorf("latest of %q: it is the pattern %q, and events are kept by one name", channel, t.channel.Topic))
	}
	kept, err := latest.Kept(ctx, t.channel.Topic, keys...)
	if err != nil {
		return nil, fmt.Errorf("latest of %q: %w", channel, err)
	}
	events := make([]*Event, 0, len(kept))
	var errs []error
	for _, k := range kept {
		event := &Event{}
		if err := t.decoder.event(event, Message{Payload: k.Payload, Name: k.Topic, ID: k.ID, Time: k.Time}); err != nil {
			errs = append(errs, fmt.Errorf("latest of %q: key %q: %w", channel, clip(k.Key), err))
			continue
		}
		event.Replayed = true
		events = append(events, event)
	}
	return events, errors.Join(errs...)
}
