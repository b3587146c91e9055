package router

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Composer makes the messages that a source publishes of those that it reads. It is safe
// for concurrent use.
type Composer struct {
	spec    SourceSpec
	service string
	from    *decoder
	to      *target
}

// Stamp says who published a message of a source, and as which: members of its envelope,
// "epoch" and "seq". Raw messages, and those of a channel that keeps the type elsewhere than
// an envelope does, have none.
type Stamp struct {
	// Epoch is that of the holder's term. It grows with each: of two messages the one with
	// the higher epoch is from who was connected later.
	Epoch int64
	// Seq counts the messages of a key in an epoch, from 1. Every message that was accepted
	// has one, so that a reader notices what was dropped.
	Seq uint64
}

// Composed is a message to publish.
type Composed struct {
	ID, Type string
	Key      string // as a reader of the channel will see it
	payload  json.RawMessage
	stamps   bool // it has room for a stamp
}

// maxRead is the largest message that a source can hand over, in bytes. What it reads it bounds
// by itself; what is published the channel's Fields.MaxBytes bounds.
const maxRead = 64 << 20

// ErrOtherType is why an event is not composed whose type the channel does not declare.
var ErrOtherType = errors.New("the channel does not declare its type")

// NewComposer returns what composes the messages of one of cfg's sources.
func NewComposer(cfg Config, spec SourceSpec) (*Composer, error) {
	i := slices.IndexFunc(cfg.Channels, func(ch Channel) bool { return ch.Name == spec.Channel })
	if i < 0 {
		return nil, fmt.Errorf("source %q: channel %q is not declared", spec.Name, spec.Channel)
	}
	ch := cfg.Channels[i]
	if ch.Pattern {
		return nil, fmt.Errorf("source %q: channel %q is a pattern, which nobody can publish to", spec.Name, spec.Channel)
	}
	ch.complete()
	fields := spec.Fields
	fields.Seq, fields.MaxBytes = "", maxRead
	return &Composer{
		spec: spec, service: or(cfg.Service, "router"),
		from: newDecoder(Channel{Name: spec.Name, Fields: fields}),
		to:   &target{channel: ch, decoder: newDecoder(ch)},
	}, nil
}

// Channel is the channel that is published to, completed.
func (c *Composer) Channel() Channel { return c.to.channel }

// Read decodes what the source read at a time. With an error, which is or joins
// [*Malformed] errors, it still returns those elements of an array that are events.
func (c *Composer) Read(message []byte, at time.Time) ([]Event, error) {
	return c.from.events(Message{Payload: message, Name: c.spec.Name, Time: at})
}

// Compose makes the message of an event that Read returned. The error is [ErrOtherType], or
// says why no reader of the channel would accept it.
func (c *Composer) Compose(event *Event) (Composed, error) {
	if isOwn(event.Type) { // readers would take it for what the holder of the source says
		return Composed{}, malformed(event.Msg, CauseBadType, 0, fmt.Sprintf("the type %q is one of Signalbox's own", clip(event.Type)))
	}
	if c.to.checkType(event.Type) != nil {
		return Composed{}, ErrOtherType
	}
	if c.spec.Raw {
		return c.composed(event.Msg, false)
	}
	sent := *event
	sent.Source = "/signalbox/sources/" + c.spec.Name
	if !envelopes(c.spec.Fields) {
		sent.Data = event.Msg
	}
	return c.encoded(&sent)
}

// envelopes reports whether messages are laid out as an envelope is, so that what a source
// reads may be one already. Where a feed keeps its fields elsewhere, a member called data is one
// among others.
func envelopes(f Fields) bool {
	return f.Type == "" && f.DefaultType == "" && f.ID == "" && f.Time == ""
}

// Own makes the message of an event that the source's holder tells of itself.
func (c *Composer) Own(typ, key string, about any, at time.Time) (Composed, error) {
	data, err := json.Marshal(about)
	if err != nil {
		return Composed{}, fmt.Errorf("write a %s event: %w", typ, err)
	}
	return c.encoded(&Event{ID: newID(), Type: typ, Source: "/signalbox/" + c.service, Time: at, Key: key, Data: data})
}

func (c *Composer) encoded(event *Event) (Composed, error) {
	payload, err := encode(c.to.channel.Fields, event)
	if err != nil {
		return Composed{}, err
	}
	return c.composed(payload, or(c.to.channel.Fields.Type, "type") == "type")
}

// composed reads a message as its readers will.
func (c *Composer) composed(payload json.RawMessage, stamps bool) (Composed, error) {
	got, err := c.to.decoder.events(Message{Payload: payload, Name: c.to.channel.Topic})
	switch {
	case err != nil:
		return Composed{}, err
	case len(got) != 1:
		return Composed{}, fmt.Errorf("a reader of channel %q would take the message for %d", c.to.channel.Name, len(got))
	}
	if err := c.to.checkType(got[0].Type); err != nil {
		return Composed{}, ErrOtherType
	}
	return Composed{ID: got[0].ID, Type: got[0].Type, Key: got[0].Key, payload: payload, stamps: stamps}, nil
}

// Payload is the message, with a stamp if it has room for one.
func (m Composed) Payload(stamp Stamp) []byte {
	if !m.stamps {
		return m.payload
	}
	out := make([]byte, 0, len(m.payload)+48)
	out = append(out, m.payload[:len(m.payload)-1]...) // without the brace
	out = strconv.AppendInt(append(out, `,"epoch":`...), stamp.Epoch, 10)
	out = strconv.AppendUint(append(out, `,"seq":`...), stamp.Seq, 10)
	return append(out, '}')
}

// Same reports whether two composers make the same messages of the same.
func (c *Composer) Same(as *Composer) bool {
	return c.service == as.service && sameChannel(c.to.channel, as.to.channel) && c.spec.Fields == as.spec.Fields && c.spec.Raw == as.spec.Raw
}
