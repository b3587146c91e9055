package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/router"
	"signalbox/router/transport"
)

// TailOptions say what to show.
type TailOptions struct {
	Channels []string // declared channels or Redis names; none: every declared channel
	Types    []string // patterns as in routes; none: all
	N        int      // stop after so many; 0: never
	For      time.Duration
	JSON     bool
}

// Tail prints what travels on channels until ctx ends. It reads as an onlooker, by
// SUBSCRIBE and XREAD, and takes nothing from any consumer.
func Tail(ctx context.Context, opts Options, what TailOptions) error {
	var types router.TypeSet
	if len(what.Types) > 0 {
		var err error
		if types, err = router.ParseTypes(what.Types...); err != nil {
			return &UsageError{err}
		}
	}
	p, err := openToWatch(opts, what.Channels)
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.mustReach(ctx); err != nil {
		return err
	}
	channels, err := p.watched(ctx, what.Channels)
	if err != nil {
		return err
	}
	if what.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, what.For)
		defer cancel()
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	view := &view{out: opts.Stdout, json: what.JSON, left: what.N, stop: stop}
	if len(what.Types) > 0 {
		view.types = &types
	}
	return p.watch(ctx, channels, view)
}

// openToWatch loads the configuration; Redis names can be watched without any.
func openToWatch(opts Options, names []string) (*program, error) {
	opts.Source.Check = true
	p, err := openQuietly(opts)
	if errors.Is(err, routesMissing) && len(names) > 0 {
		return openWithout(opts)
	}
	return p, err
}

// watched finds the channels of these names. A name that is not declared is a Redis
// name, of a stream if there is one and else of a Pub/Sub channel.
func (p *program) watched(ctx context.Context, names []string) ([]router.Channel, error) {
	if len(names) == 0 {
		return p.loaded.Config.Channels, nil
	}
	var channels []router.Channel
	for _, name := range names {
		if ch, ok := p.channel(name); ok {
			channels = append(channels, ch)
			continue
		}
		ch := router.Channel{Name: name, Topic: name, Transport: router.PubSub}
		kind, err := p.redis.Client().Type(ctx, name).Result()
		switch {
		case err != nil:
			return nil, fmt.Errorf("look up %q in Redis: %w", name, err)
		case kind == "stream":
			ch.Transport = router.Stream
		case kind != "none":
			return nil, &UsageError{fmt.Errorf("%q is a %s in Redis, not a stream or a Pub/Sub channel", name, kind)}
		}
		channels = append(channels, ch)
	}
	return channels, nil
}

// watch follows all channels until ctx ends.
func (p *program) watch(ctx context.Context, channels []router.Channel, view *view) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var followers sync.WaitGroup
	for _, ch := range channels {
		followers.Go(func() {
			follow := p.followPubSub
			if ch.Transport == router.Stream {
				follow = p.followStream
			}
			if err := follow(ctx, ch, view); err != nil && ctx.Err() == nil {
				stop(fmt.Errorf("channel %q: %w", ch.Name, err))
			}
		})
	}
	followers.Wait()
	err := context.Cause(ctx)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

func (p *program) followPubSub(ctx context.Context, ch router.Channel, view *view) error {
	subscribe := p.redis.Client().Subscribe
	if ch.Pattern {
		subscribe = p.redis.Client().PSubscribe
	}
	sub := subscribe(ctx, ch.Topic)
	defer func() { _ = sub.Close() }()
	messages := sub.Channel(redis.WithChannelSize(4096))
	for {
		select {
		case <-ctx.Done():
			return nil
		case m, open := <-messages:
			if !open {
				return errors.New("the subscription ended")
			}
			view.show(ch, router.Message{Payload: []byte(m.Payload), Name: m.Channel, Time: time.Now()})
		}
	}
}

func (p *program) followStream(ctx context.Context, ch router.Channel, view *view) error {
	reader := p.redis.NewReader()
	defer func() { _ = reader.Close() }()
	last, err := lastID(ctx, reader, ch.Topic)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		streams, err := reader.XRead(ctx, &redis.XReadArgs{Streams: []string{ch.Topic, last}, Block: 500 * time.Millisecond, Count: 256}).Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return err
		}
		for _, entry := range streams[0].Messages {
			last = entry.ID
			payload, at := transport.DecodeEntry(entry)
			view.show(ch, router.Message{Payload: payload, Name: ch.Topic, ID: entry.ID, Time: at})
		}
	}
	return nil
}

// lastID is where the stream ends now: "$" would skip what is added between two reads.
func lastID(ctx context.Context, client *redis.Client, stream string) (string, error) {
	entries, err := client.XRevRangeN(ctx, stream, "+", "-", 1).Result()
	if err != nil || len(entries) == 0 {
		return "0", err
	}
	return entries[0].ID, nil
}

