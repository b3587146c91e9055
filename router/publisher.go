package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router/internal/batch"
	"signalbox/router/internal/nearest"
)

// Publisher sends events to declared channels: the counterpart of a [Handler]. It
// completes each event and checks it before anything is sent. It is safe for
// concurrent use.
type Publisher struct {
	service string
	open    func(Channel) (message.Publisher, error)
	now     func() time.Time

	mu      sync.Mutex
	targets map[string]*target
	latest  Latest // nil: nothing is kept
}

// target is a channel that may be published to.
type target struct {
	channel   Channel
	decoder   *decoder
	publisher message.Publisher // opened at first use
}

// NewPublisher returns a publisher to the channels of cfg. It calls open when a
// channel is first published to, and never closes what open returned.
func NewPublisher(cfg Config, open func(Channel) (message.Publisher, error)) *Publisher {
	p := &Publisher{service: or(cfg.Service, "router"), open: open, now: time.Now}
	p.adopt(cfg)
	return p
}

// adopt makes p publish to the channels of cfgs, of which the first that declares a
// name counts, and to no others. A channel that stays as it was keeps its publisher.
func (p *Publisher) adopt(cfgs ...Config) {
	targets := map[string]*target{}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, cfg := range cfgs {
		for _, ch := range cfg.Channels {
			ch.complete()
			switch old := p.targets[ch.Name]; {
			case targets[ch.Name] != nil:
			case old != nil && sameChannel(old.channel, ch):
				targets[ch.Name] = old
			default:
				targets[ch.Name] = &target{channel: ch, decoder: newDecoder(ch)}
			}
		}
	}
	p.targets = targets
}

// Publish completes the events and sends them, in order, to a declared channel.
//
// An event with Msg is a whole message: it is checked as if it had been received and
// sent as it is. For any other, ID defaults to a new UUIDv7, Time to now, Source to
// /signalbox/<service>; Type is required, unless the channel has a default type, and
// Data must be JSON or empty. The message is a CloudEvents envelope; on a channel
// that keeps its type outside of that (Fields.Type), the message is Data, an object.
// Type, and ID, Time and Key where the message has none, are set where the channel
// keeps them.
//
// With the ctx of a handler, or one derived from it, the message continues the trace of
// the event that is being handled, unless the event has a TraceParent of its own. A
// [BatchHandler] handles several at a time, and sets TraceParent and TraceState itself.
// A message that isn't accepted because of its trace context is sent without.
//
// When an event is not right, the error is [Permanent] and nothing is sent. When only
// some could be sent, the error wraps one error for each that could not.
func (p *Publisher) Publish(ctx context.Context, channel string, events ...Event) error {
	t, err := p.target(channel)
	if err != nil {
		return err
	}
	msgs := make([]*message.Message, len(events))
	for i := range events {
		event := events[i]
		payload, err := p.complete(ctx, t, &event)
		if err != nil {
			return Permanent(fmt.Errorf("publish to %q: %w", channel, err))
		}
		msgs[i] = newMessage(ctx, event.ID, payload)
	}
	return t.send(msgs)
}

// Forward sends the messages of events, their bytes unchanged and in order, to a
// declared channel. It returns nil, or one error per event.
func (p *Publisher) Forward(ctx context.Context, channel string, events []*Event) []error {
	errs := make([]error, len(events))
	t, err := p.target(channel)
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	msgs := make([]*message.Message, 0, len(events))
	places := make([]int, 0, len(events)) // of msgs among events
	for i, event := range events {
		if err := p.accepts(t, event); err != nil {
			errs[i] = Permanent(fmt.Errorf("forward to %q: %w", channel, err))
			continue
		}
		msgs = append(msgs, newMessage(ctx, event.ID, event.Msg))
		places = append(places, i)
	}
	failed := len(msgs) < len(events)
	if err := t.send(msgs); err != nil {
		failed = true
		var each batch.Errors
		partly := errors.As(err, &each) && len(each) == len(msgs)
		for n, i := range places {
			switch {
			case !partly:
				errs[i] = err
			case each[n] != nil:
				errs[i] = fmt.Errorf("publish to %q: %w", channel, each[n])
			}
		}
	}
	if !failed {
		return nil
	}
	return errs
}

// newMessage is a message to publish. It is a literal, without the channels for an
// acknowledgement: who publishes gets none.
func newMessage(ctx context.Context, id string, payload json.RawMessage) *message.Message {
	msg := &message.Message{UUID: id, Metadata: message.Metadata{}, Payload: message.Payload(payload)}
	msg.SetContext(ctx)
	return msg
}

// target finds a channel and opens its publisher.
func (p *Publisher) target(channel string) (*target, error) {
	t, err := p.declared(channel)
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case t.channel.Pattern:
		return nil, Permanent(fmt.Errorf("publish: channel %q is the pattern %q, which has no one place to send to", channel, t.channel.Topic))
	case t.publisher != nil:
		return t, nil
	case p.open == nil:
		return nil, Permanent(fmt.Errorf("publish to %q: this router has no publisher (Options.Publisher)", channel))
	}
	publisher, err := p.open(t.channel)
	if err != nil {
		return nil, fmt.Errorf("publish to %q: %w", channel, err)
	}
	t.publisher = publisher
	return t, nil
}

// declared finds a channel.
func (p *Publisher) declared(channel string) (*target, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.targets[channel]; t != nil {
		return t, nil
	}
	if near, ok := nearest.Name(channel, slices.Collect(maps.Keys(p.targets))); ok {
		return nil, Permanent(fmt.Errorf("channel %q is not declared; did you mean %q?", channel, near))
	}
	return nil, Permanent(fmt.Errorf("channel %q is not declared", channel))
}

func (t *target) send(msgs []*message.Message) error {
	if len(msgs) == 0 {
		return nil
	}
	if err := t.publisher.Publish(t.channel.Topic, msgs...); err != nil {
		return fmt.Errorf("publish to %q: %w", t.channel.Name, err)
	}
	return nil
}

// accepts checks that a reader of the target will accept the event's message. Where
// both channels keep their fields in the same places, only the type can be wrong, or
// what its schema asks for.
func (p *Publisher) accepts(t *target, event *Event) error {
	p.mu.Lock()
	from := p.targets[event.Channel]
	p.mu.Unlock()
	if from != nil && from.channel.Fields == t.channel.Fields {
		if err := t.checkType(event.Type); err != nil {
			return err
		}
		return t.decoder.satisfies(event.Type, event.Msg)
	}
	sent := Event{Msg: event.Msg}
	return t.read(&sent)
}

func (t *target) checkType(typ string) error {
	if len(t.channel.Types) > 0 && !slices.Contains(t.channel.Types, typ) && !strings.HasPrefix(typ, OwnPrefix) {
		if near, ok := nearest.Name(typ, t.channel.Types); ok {
			return fmt.Errorf("type %q is not one of its types; did you mean %q?", typ, near)
		}
		return fmt.Errorf("type %q is not one of its types: %s", typ, strings.Join(t.channel.Types, ", "))
	}
	return nil
}

// complete fills in what an event lacks and returns its message.
func (p *Publisher) complete(ctx context.Context, t *target, event *Event) (json.RawMessage, error) {
	if event.Msg != nil {
		return event.Msg, t.read(event)
	}
	event.ID = or(event.ID, newID())
	event.Source = or(event.Source, "/signalbox/"+p.service)
	event.Type = or(event.Type, t.channel.Fields.DefaultType)
	if event.Time.IsZero() {
		event.Time = p.now()
	}
	if event.Type == "" {
		return nil, errors.New("the event has no type")
	}
	if !utf8.ValidString(event.Type) {
		return nil, fmt.Errorf("the type %q is not UTF-8", event.Type)
	}
	if len(event.Data) > 0 {
		if err := t.decoder.check(event.Data); err != nil {
			return nil, fmt.Errorf("data: %w", err)
		}
	}
	event.TraceParent, event.TraceState = traceFor(ctx, event)
	payload, err := t.encode(event)
	if err != nil && event.TraceParent != "" { // too large with it, or a schema that takes no more members
		event.TraceParent, event.TraceState = "", ""
		return t.encode(event)
	}
	return payload, err
}

// encode writes the message of an event. What we send must be what a reader of the
// channel accepts.
func (t *target) encode(event *Event) (json.RawMessage, error) {
	payload, err := encode(t.channel.Fields, event)
	if err != nil {
		return nil, err
	}
	sent := Event{Msg: payload}
	if err := t.read(&sent); err != nil {
		return nil, err
	}
	return payload, nil
}

// read decodes event.Msg as a reader of the channel will.
func (t *target) read(event *Event) error {
	got, err := t.decoder.events(Message{Payload: event.Msg, ID: event.ID, Time: event.Time})
	if err != nil {
		return err
	}
	for i := range got {
		if err := t.checkType(got[i].Type); err != nil {
			return err
		}
		event.ID = got[i].ID
	}
	return nil
}
