package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router"
	"signalbox/router/internal/wording"
	"signalbox/router/transport"
)

const (
	// sentNow is the age of an event that nobody has sent.
	sentNow = "sent now"
	// someID stands for the id that publish would make, which no one knows. It has the form
	// of one, as a schema may ask for that.
	someID = "01900000-0000-7000-8000-000000000000"
)

// subject is an event that is explained.
type subject struct {
	router.Event
	unknown []string // the fields that are not known
	sent    string   // in place of its age
}

// subjects are the events of the message, and why it, or parts of it, are none.
func (e *explainer) subjects(ctx context.Context, what ExplainOptions) (events []subject, rejected []error, err error) {
	var m router.Message
	switch {
	case what.Last:
		m, err = e.last(ctx)
	case what.From != nil:
		var text []byte
		text, err = readAll(ctx, what.From)
		what.Data = strings.TrimRight(string(text), "\r\n")
		m = router.Message{Payload: []byte(what.Data), Name: e.channel.Topic, Time: e.now}
	case what.Data == "":
		return []subject{e.typeOnly(what.Type)}, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if what.Type != "" {
		if m, err = e.published(ctx, what); err != nil {
			return nil, nil, err
		}
	}
	if m.ID == "" {
		m.ID = noID
	}
	decoded, err := router.Decode(e.channel, m)
	for i := range decoded {
		s := subject{Event: decoded[i]}
		if what.Type != "" && s.Time.Sub(e.now).Abs() < time.Second { // else the data says when
			s.sent = sentNow
		}
		if strings.HasPrefix(s.ID, noID) || s.ID == someID {
			s.ID, s.unknown = "", []string{"id"}
		}
		if e.channel.Pattern && !what.Last {
			s.unknown = append(s.unknown, e.ofName()...)
			if e.channel.Fields.KeyFromName {
				s.Key = ""
			}
		}
		events = append(events, s)
	}
	return events, eachOf(err), nil
}

// ofName are the fields that come from the name in Redis, where that can be any of a
// pattern.
func (e *explainer) ofName() []string {
	if e.channel.Fields.KeyFromName {
		return []string{"name", "key"}
	}
	return []string{"name"}
}

// typeOnly is an event of which only the type is known, and that it is sent now.
func (e *explainer) typeOnly(typ string) subject {
	s := subject{sent: sentNow, unknown: []string{"data", "msg", "id", "source"}}
	s.Type, s.Channel, s.Name, s.Time = typ, e.channel.Name, e.channel.Topic, e.now
	if e.channel.Fields.Key != "" {
		s.unknown = append(s.unknown, "key")
	}
	if e.channel.Pattern {
		s.unknown = append(s.unknown, e.ofName()...)
	}
	return s
}

// published is the message that publish would send. What publish would refuse because of
// the type, its schema or the pattern is explained all the same: others may send it.
func (e *explainer) published(ctx context.Context, what ExplainOptions) (router.Message, error) {
	to := e.channel
	to.Types, to.Schemas, to.Pattern = nil, nil, false
	kept := &keptMessage{}
	publisher := router.NewPublisher(router.Config{Service: e.config.Service, Channels: []router.Channel{to}},
		func(router.Channel) (message.Publisher, error) { return kept, nil })
	err := publisher.Publish(ctx, to.Name, router.Event{Type: what.Type, ID: someID, Time: e.now, Data: []byte(what.Data)})
	if err != nil {
		return router.Message{}, &UsageError{err}
	}
	return router.Message{Payload: kept.payload, Name: to.Topic, Time: e.now}, nil
}

// keptMessage is a publisher that keeps what it should send.
type keptMessage struct{ payload []byte }

func (k *keptMessage) Publish(_ string, msgs ...*message.Message) error {
	for _, m := range msgs {
		k.payload = m.Payload
	}
	return nil
}

func (k *keptMessage) Close() error { return nil }

// last is the newest message of a stream, or the next one of a Pub/Sub channel.
func (e *explainer) last(ctx context.Context) (router.Message, error) {
	p, ch := e.program, e.channel
	if err := lacks(e.opts.Source, p.loaded.Notes, []string{ch.Name}); err != nil {
		return router.Message{}, err
	}
	if err := p.mustReach(ctx); err != nil {
		return router.Message{}, err
	}
	if ch.Transport != router.Stream {
		return e.next(ctx)
	}
	entry, found, err := transport.LastEntry(ctx, p.redis.Client(), ch.Topic)
	switch {
	case err != nil:
		return router.Message{}, because(ctx, fmt.Errorf("read the stream %q: %w", ch.Topic, err))
	case !found:
		return router.Message{}, fmt.Errorf("the stream %q holds no message; name a type instead, as in: explain %s TYPE", ch.Topic, ch.Name)
	}
	e.now = p.redis.Now()
	return router.Message{Payload: entry.Payload, Name: entry.Stream, ID: entry.ID, Time: entry.Time, Twice: entry.Twice}, nil
}

// next waits for a message of a Pub/Sub channel.
func (e *explainer) next(ctx context.Context) (router.Message, error) {
	p, ch := e.program, e.channel
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	var got *router.Message
	w := &watch{redis: p.redis.Client(), show: func(_ router.Channel, m router.Message) {
		if got == nil {
			got = &m
			stop()
		}
	}}
	defer w.close()
	if err := w.begin(ctx, []router.Channel{ch}); err != nil {
		return router.Message{}, because(ctx, err)
	}
	if e.opts.Verbosity >= 0 {
		fmt.Fprintf(e.opts.Stderr, "waiting for the next message on %s (%s); Ctrl-C ends it\n", ch.Name, redisName(ch))
	}
	err := w.follow(waiting)
	if got != nil {
		e.now = p.redis.Now()
		got.Time = e.now
		return *got, nil
	}
	return router.Message{}, because(ctx, err)
}

// readAll reads a message. A read of a terminal cannot be called off: the goroutine that
// waits in one ends with the program.
func readAll(ctx context.Context, from io.Reader) ([]byte, error) {
	type read struct {
		text []byte
		err  error
	}
	done := make(chan read, 1)
	go func() {
		text, err := io.ReadAll(io.LimitReader(from, maxLine+1))
		done <- read{text, err}
	}()
	select {
	case <-ctx.Done():
		return nil, errInterrupted
	case r := <-done:
		if r.err == nil && len(r.text) > maxLine {
			r.err = errors.New("the message is larger than 16 MiB")
		}
		if r.err != nil {
			return nil, fmt.Errorf("read standard input: %w", r.err)
		}
		return r.text, nil
	}
}

// eachOf are the errors that are joined in err.
func eachOf(err error) []error {
	if err == nil {
		return nil
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		return several.Unwrap()
	}
	return []error{err}
}

// age is how old a subject is, for a person.
func (s *subject) age(now time.Time) string {
	switch old := now.Sub(s.Time); {
	case s.sent != "":
		return s.sent
	case s.Time.Equal(now):
		return "just arrived"
	case old < 0:
		return roughly(-old) + " ahead"
	default:
		return roughly(old) + " old"
	}
}

// roughly is a duration with as many digits as one reads.
func roughly(d time.Duration) string {
	switch {
	case d < time.Second:
		return wording.Duration(d.Round(time.Millisecond))
	case d < time.Minute:
		return wording.Duration(d.Round(100 * time.Millisecond))
	default:
		return wording.Duration(d.Round(time.Second))
	}
}
