package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/time/rate"

	"signalbox/router"
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
	p, ch, err := openFor(ctx, opts, what.Channel)
	if err != nil {
		return err
	}
	defer p.close()
	counted := &countingPublisher{redis: p.redis, channel: ch}
	s := sender{
		program: p, channel: ch, what: what,
		publisher: router.NewPublisher(p.loaded.Config, func(router.Channel) (message.Publisher, error) { return counted, nil }),
		limit:     rate.NewLimiter(rate.Inf, 1),
	}
	s.raw = counted
	if what.Rate > 0 {
		s.limit.SetLimit(rate.Limit(what.Rate))
	}
	if err := s.sendAll(ctx); err != nil {
		if counted.sent > 0 {
			return fmt.Errorf("%w (after %d messages)", err, counted.sent)
		}
		return err
	}
	return counted.report(ctx, opts.Stdout)
}

type sender struct {
	program   *program
	channel   router.Channel
	what      PublishOptions
	publisher *router.Publisher
	raw       *countingPublisher
	limit     *rate.Limiter
}

// maxLine is the longest line read from standard input.
const maxLine = 16 << 20

func (s *sender) sendAll(ctx context.Context) error {
	times := max(1, s.what.Count)
	if s.what.From == nil {
		for range times {
			if err := s.send(ctx, s.what.Data); err != nil {
				return err
			}
		}
		return nil
	}
	lines := bufio.NewScanner(s.what.From)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if strings.TrimSpace(line) == "" {
			continue
		}
		for range times {
			if err := s.send(ctx, line); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read standard input: %w", err)
	}
	return nil
}

func (s *sender) send(ctx context.Context, text string) error {
	if err := s.limit.Wait(ctx); err != nil {
		return fmt.Errorf("stopped: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if s.what.Raw {
		return s.raw.Publish(s.channel.Topic, message.NewMessageWithContext(ctx, s.what.ID, message.Payload(text)))
	}
	err := s.publisher.Publish(ctx, s.channel.Name, router.Event{ID: s.what.ID, Type: s.what.Type, Data: []byte(text)})
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

func (c *countingPublisher) report(ctx context.Context, out io.Writer) error {
	what := "1 message"
	if c.sent != 1 {
		what = fmt.Sprintf("%d messages", c.sent)
	}
	name := c.channel.Topic
	if c.channel.Transport != router.Stream {
		switch c.got {
		case 0:
			_, err := fmt.Fprintf(out, "%s sent to 0 subscribers: nobody listens on %q\n", what, name)
			return err
		case 1:
			_, err := fmt.Fprintf(out, "%s sent to 1 subscriber of %q\n", what, name)
			return err
		default:
			_, err := fmt.Fprintf(out, "%s sent to %d subscribers of %q\n", what, c.got, name)
			return err
		}
	}
	groups, err := c.redis.Client().XInfoGroups(ctx, name).Result()
	if err != nil {
		return fmt.Errorf("the message was added, but who reads %q is unknown: %w", name, err)
	}
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = g.Name
	}
	readers := "no group reads it yet: it waits for the first"
	if len(names) > 0 {
		readers = "read by group " + strings.Join(names, ", ")
	}
	_, err = fmt.Fprintf(out, "%s added to %q, the last as %s, %s\n", what, name, c.last, readers)
	return err
}

// openFor loads the configuration for a command that only looks at or sends to
// channels: what handlers need (a database's address) may be missing.
func openFor(ctx context.Context, opts Options, channel string) (*program, router.Channel, error) {
	opts.Source.Check = true
	p, err := openQuietly(opts)
	if err != nil {
		return nil, router.Channel{}, err
	}
	ch, ok := p.channel(channel)
	if !ok {
		p.close()
		return nil, ch, &UsageError{p.unknownChannel(channel)}
	}
	if ch.Pattern {
		p.close()
		return nil, ch, &UsageError{fmt.Errorf("channel %q is the pattern %q, which has no one place to send to", channel, ch.Topic)}
	}
	if err := p.mustReach(ctx); err != nil {
		p.close()
		return nil, ch, err
	}
	return p, ch, nil
}

// mustReach fails when Redis doesn't answer: a command for a person doesn't wait.
func (p *program) mustReach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := p.redis.Check(ctx); err != nil {
		return fmt.Errorf("redis at %s does not answer (set REDIS_URL or --redis): %w", redacted(p.loaded.Settings.Redis.URL), errors.Unwrap(err))
	}
	return nil
}
