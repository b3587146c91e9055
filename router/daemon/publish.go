package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/time/rate"

	"signalbox/router"
	"signalbox/router/internal/nearest"
	"signalbox/router/transport"
)

// PublishOptions say what to publish.
type PublishOptions struct {
	Channel string
	Type    string
	// Data is sent as one event, or, when From is not nil, each line of From is.
	Data string
	From io.Reader
	// Raw sends Data as the whole message, unchecked.
	Raw   bool
	ID    string
	Count int     // how often; 0: once
	Rate  float64 // messages per second; 0: as fast as possible
}

// UsageError is an argument that is wrong: the command line's fault.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// Publish sends messages to a declared channel and says who got them.
func Publish(ctx context.Context, opts Options, what PublishOptions) error {
	if what.Rate < 0 || math.IsNaN(what.Rate) {
		return &UsageError{fmt.Errorf("--rate %v: want messages per second, or 0 for as fast as possible", what.Rate)}
	}
	p, ch, err := openFor(ctx, opts, what.Channel)
	if err != nil {
		return err
	}
	defer p.close()
	s := p.sender(ch, what)
	counted := s.raw
	if what.Rate > 0 {
		s.limit.SetLimit(rate.Limit(what.Rate))
	}
	err = s.sendAll(ctx)
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if err != nil {
		if counted.sent > 0 {
			return fmt.Errorf("%w (sent before that: %d)", err, counted.sent)
		}
		return err
	}
	return counted.report(ctx, opts.Stdout)
}

type sender struct {
	channel   router.Channel
	what      PublishOptions
	publisher *router.Publisher
	raw       *countingPublisher
	limit     *rate.Limiter
}

// sender makes a sender to one channel, which is as fast as it can be.
func (p *program) sender(ch router.Channel, what PublishOptions) *sender {
	counted := &countingPublisher{redis: p.redis, channel: ch}
	return &sender{
		channel: ch, what: what, raw: counted,
		publisher: router.NewPublisher(p.loaded.Config, func(router.Channel) (message.Publisher, error) { return counted, nil }),
		limit:     rate.NewLimiter(rate.Inf, 1),
	}
}

// maxLine is the longest line read from standard input.
const maxLine = 16 << 20

func (s *sender) sendAll(ctx context.Context) error {
	if s.what.From == nil {
		return s.sendTimes(ctx, s.what.Data)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	lines, failed := readLines(ctx, s.what.From)
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case line, more := <-lines:
			if !more {
				if err := <-failed; err != nil {
					return fmt.Errorf("line %d: read standard input: %w", n, err)
				}
				return nil
			}
			if strings.TrimSpace(line) == "" {
				continue
			}
			if err := s.sendTimes(ctx, line); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
		}
	}
}

// readLines reads lines in the background until ctx ends. A read of a terminal cannot
// be called off: the goroutine that waits in one ends with the program.
func readLines(ctx context.Context, from io.Reader) (<-chan string, <-chan error) {
	lines, failed := make(chan string), make(chan error, 1)
	go func() {
		defer close(lines)
		scan := bufio.NewScanner(from)
		scan.Buffer(nil, maxLine)
		for scan.Scan() {
			select {
			case lines <- strings.TrimSuffix(scan.Text(), "\r"):
			case <-ctx.Done():
				failed <- ctx.Err() // whoever sees lines closed waits for the reason
				return
			}
		}
		failed <- scan.Err()
	}()
	return lines, failed
}

func (s *sender) sendTimes(ctx context.Context, text string) error {
	for range max(1, s.what.Count) {
		if err := s.send(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

func (s *sender) send(ctx context.Context, text string) error {
	if err := s.limit.Wait(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if s.what.Raw {
		return s.raw.Publish(s.channel.Topic, message.NewMessageWithContext(ctx, s.what.ID, message.Payload(text)))
	}
	err := s.publisher.Publish(ctx, s.channel.Name, router.Event{ID: s.what.ID, Time: s.raw.redis.Now(), Type: s.what.Type, Data: []byte(text)})
	if router.IsPermanent(err) {
		return &UsageError{err}
	}
	return err
}

// countingPublisher remembers who got what it sent.
type countingPublisher struct {
	redis   *transport.Redis
	channel router.Channel
	sent    int
	got     int64  // subscribers that got the last message
	last    string // id of the last entry
}

func (c *countingPublisher) Publish(topic string, msgs ...*message.Message) error {
	for _, m := range msgs {
		if c.channel.Transport == router.Stream {
			ids, err := c.redis.StreamPublisher(c.channel.MaxLen).Send(m.Context(), topic, m)
			if err != nil {
				return err
			}
			c.last = ids[0]
		} else {
			got, err := c.redis.PubSubPublisher().Send(m.Context(), topic, m)
			if err != nil {
				return err
			}
			c.got = got[0]
		}
		c.sent++
	}
	return nil
}

// Close does nothing: Redis is closed by the program.
func (c *countingPublisher) Close() error { return nil }

// report says who got it. Of several messages it is about the last one.
func (c *countingPublisher) report(ctx context.Context, out io.Writer) error {
	what := "1 message"
	if c.sent != 1 {
		what = fmt.Sprintf("%d messages", c.sent)
	}
	var text string
	switch name := c.channel.Topic; {
	case c.sent == 0:
		text = "nothing sent: standard input has no lines"
	case c.channel.Transport == router.Stream:
		readers, err := c.readers(ctx)
		if err != nil {
			return err
		}
		last := " as " + c.last
		if c.sent > 1 {
			last = ", the last" + last
		}
		text = fmt.Sprintf("%s added to %q%s; %s", what, name, last, readers)
	case c.got == 0:
		text = fmt.Sprintf("%s sent to 0 subscribers: nobody listens on %q, and Pub/Sub keeps nothing", what, name)
	case c.got == 1:
		text = fmt.Sprintf("%s sent to 1 subscriber of %q", what, name)
	default:
		text = fmt.Sprintf("%s sent to %d subscribers of %q", what, c.got, name)
	}
	_, err := fmt.Fprintln(out, text)
	return err
}

// readers says which groups read the stream.
func (c *countingPublisher) readers(ctx context.Context) (string, error) {
	groups, err := c.redis.Client().XInfoGroups(ctx, c.channel.Topic).Result()
	if err != nil {
		return "", fmt.Errorf("the message was added, but who reads %q is unknown: %w", c.channel.Topic, err)
	}
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = printable(g.Name)
	}
	slices.Sort(names) // Redis has them sorted, others in the order in which they came
	switch len(names) {
	case 0:
		return "no group reads it yet: it waits for the first", nil
	case 1:
		return "read by group " + names[0], nil
	default:
		return "read by groups " + strings.Join(names, ", "), nil
	}
}

// openFor loads the configuration for a command that sends to one channel: what
// handlers need (a database's address) may be missing.
func openFor(ctx context.Context, opts Options, channel string) (*program, router.Channel, error) {
	opts.Source.Check = true
	p, err := openQuietly(opts)
	if err != nil {
		return nil, router.Channel{}, err
	}
	ch, err := p.oneChannel(channel)
	if err == nil {
		err = lacks(opts.Source, p.loaded.Notes, []string{channel})
	}
	if err == nil {
		err = p.mustReach(ctx)
	}
	if err != nil {
		p.close()
		return nil, ch, err
	}
	return p, ch, nil
}

// oneChannel finds a channel that can be sent to.
func (p *program) oneChannel(name string) (router.Channel, error) {
	ch, ok := p.channel(name)
	switch {
	case !ok:
		return ch, &UsageError{p.unknownChannel(name)}
	case ch.Pattern:
		return ch, &UsageError{fmt.Errorf("channel %q is the pattern %q, which has no one place to send to; declare a channel for the place that you mean", name, ch.Topic)}
	}
	return ch, nil
}

// unknownChannel says which channel was probably meant, else which there are.
func (p *program) unknownChannel(name string) error {
	names, where := p.declared(), ""
	if len(p.loaded.Files) > 0 {
		where = " in " + strings.Join(p.loaded.Files, " ")
	}
	if near, ok := nearest.Name(name, names); ok {
		return fmt.Errorf("channel %q is not declared%s; did you mean %q?", name, where, near)
	}
	return fmt.Errorf("channel %q is not declared%s; channels: %s", name, where, strings.Join(names, ", "))
}
