package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"signalbox/router"
	"signalbox/router/routesfile"
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
	if len(names) > 0 && !opts.Source.Found() {
		return openWithout(opts)
	}
	return openQuietly(opts)
}

// openWithout opens Redis without a configuration: where a flag or REDIS_URL says.
func openWithout(opts Options) (*program, error) {
	url := opts.Source.Set["redis.url"]
	for _, variable := range opts.Source.Environ {
		if value, ok := strings.CutPrefix(variable, "REDIS_URL="); ok && url == "" {
			url = value
		}
	}
	if url == "" {
		url = "redis://127.0.0.1:6379/0"
	}
	loaded := &routesfile.Result{Config: router.Config{Service: "router"}}
	loaded.Settings.Redis.URL = url
	p := &program{loaded: loaded, log: newLogger(opts.Stderr, routesfile.Log{Level: "warn"}, opts.Verbosity)}
	var err error
	p.redis, err = openRedis(loaded, p.losses.add, p.log)
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
	group, ctx := errgroup.WithContext(ctx)
	var streams []router.Channel
	for _, ch := range channels {
		if ch.Transport == router.Stream {
			streams = append(streams, ch)
			continue
		}
		group.Go(func() error { return p.followPubSub(ctx, ch, view) })
	}
	if len(streams) > 0 {
		group.Go(func() error { return p.followStreams(ctx, streams, view) })
	}
	err := group.Wait()
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
			return ctx.Err()
		case m, open := <-messages:
			if !open {
				return fmt.Errorf("channel %q: the subscription ended", ch.Name)
			}
			view.show(ch, router.Message{Payload: []byte(m.Payload), Name: m.Channel, Time: time.Now()})
		}
	}
}

// followStreams reads all streams by one blocking command, and so by one connection.
func (p *program) followStreams(ctx context.Context, channels []router.Channel, view *view) error {
	byTopic := map[string]router.Channel{}
	last := map[string]string{}
	for _, ch := range channels {
		byTopic[ch.Topic] = ch
		var err error
		if last[ch.Topic], err = lastID(ctx, p.redis.Client(), ch.Topic); err != nil {
			return fmt.Errorf("channel %q: %w", ch.Name, err)
		}
	}
	for ctx.Err() == nil {
		args := &redis.XReadArgs{Block: tailBlock, Count: 256}
		for topic := range last {
			args.Streams = append(args.Streams, topic)
		}
		for _, topic := range args.Streams {
			args.Streams = append(args.Streams, last[topic])
		}
		streams, err := p.redis.Client().XRead(ctx, args).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return fmt.Errorf("read streams: %w", err)
		}
		for _, stream := range streams {
			for _, entry := range stream.Messages {
				last[stream.Stream] = entry.ID
				payload, at := transport.DecodeEntry(entry)
				view.show(byTopic[stream.Stream], router.Message{Payload: payload, Name: stream.Stream, ID: entry.ID, Time: at})
			}
		}
	}
	return ctx.Err()
}

// tailBlock is how long a read waits for entries: it bounds how long the end takes.
const tailBlock = 200 * time.Millisecond

// lastID is where the stream ends now: "$" would skip what is added between two reads.
func lastID(ctx context.Context, client *redis.Client, stream string) (string, error) {
	entries, err := client.XRevRangeN(ctx, stream, "+", "-", 1).Result()
	if err != nil || len(entries) == 0 {
		return "0", err
	}
	return entries[0].ID, nil
}
