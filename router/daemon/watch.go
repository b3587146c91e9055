package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"signalbox/router"
	"signalbox/router/transport"
)

const (
	// watchBlock is how long a read of streams waits: it bounds how long the end takes.
	watchBlock = 200 * time.Millisecond
	// watchPing is how long a subscription is silent before it is asked for a sign of life.
	watchPing = 5 * time.Second
)

// watch follows channels as an onlooker. begin, run and close come in this order.
type watch struct {
	redis *redis.Client
	show  func(router.Channel, router.Message)
	from  string // id of the first entry that replay shows; empty: what is kept is not shown
	// replayed is called between what is kept and what comes; may be nil.
	replayed func()

	subscriptions []subscription
	streams       []string                  // names in Redis
	declared      map[string]router.Channel // by stream
	last          map[string]string         // id of the last entry, by stream
}

type subscription struct {
	channel router.Channel
	*redis.PubSub
}

// begin returns when every channel is watched: what is sent from then on is shown.
func (w *watch) begin(ctx context.Context, channels []router.Channel) error {
	w.declared, w.last = map[string]router.Channel{}, map[string]string{}
	for _, ch := range channels {
		var err error
		if ch.Transport == router.Stream {
			w.streams = append(w.streams, ch.Topic)
			w.declared[ch.Topic] = ch
			w.last[ch.Topic], err = lastID(ctx, w.redis, ch.Topic)
		} else {
			err = w.subscribe(ctx, ch)
		}
		if err != nil {
			return fmt.Errorf("watch channel %q: %w", ch.Name, err)
		}
	}
	slices.Sort(w.streams)
	w.streams = slices.Compact(w.streams)
	return nil
}

func (w *watch) subscribe(ctx context.Context, ch router.Channel) error {
	subscribe := w.redis.Subscribe
	if ch.Pattern {
		subscribe = w.redis.PSubscribe
	}
	sub := subscribe(ctx, ch.Topic)
	w.subscriptions = append(w.subscriptions, subscription{ch, sub})
	_, err := sub.ReceiveTimeout(ctx, reachTimeout) // the confirmation
	return err
}

func (w *watch) close() {
	for _, sub := range w.subscriptions {
		_ = sub.Close() // a second time when follow ended
	}
}

// run shows what is kept, if that is asked for, and then what comes. Meanwhile Redis and the
// network keep what comes on Pub/Sub, as long as that is not too much for them.
func (w *watch) run(ctx context.Context) error {
	if w.from != "" {
		if err := w.replay(ctx); err != nil {
			return err
		}
	}
	if w.replayed != nil {
		w.replayed()
	}
	return w.follow(ctx)
}

// follow shows what comes until ctx ends or Redis goes away.
func (w *watch) follow(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, sub := range w.subscriptions {
		group.Go(func() error { return w.followPubSub(ctx, sub) })
	}
	if len(w.streams) > 0 {
		group.Go(func() error { return w.followStreams(ctx) })
	}
	return group.Wait()
}

func (w *watch) followPubSub(ctx context.Context, sub subscription) error {
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })() // ends the read
	asked := false
	for {
		received, err := sub.ReceiveTimeout(ctx, watchPing)
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() && !asked && ctx.Err() == nil {
			asked = true
			err = sub.Ping(ctx)
		}
		if err != nil {
			return w.cutOff(ctx, sub.channel, err)
		}
		switch m := received.(type) {
		case *redis.Pong:
			asked = false
		case *redis.Message:
			w.show(sub.channel, router.Message{Payload: []byte(m.Payload), Name: m.Channel, Time: time.Now()})
		}
	}
}

// cutOff says why a subscription has ended. Redis does that with who reads too slowly.
func (w *watch) cutOff(ctx context.Context, ch router.Channel, err error) error {
	if ctx.Err() == nil && w.redis.Ping(ctx).Err() == nil {
		return fmt.Errorf("channel %q: redis has ended the subscription, as it does when more travels than is read: %w", ch.Name, err)
	}
	return fmt.Errorf("channel %q: redis is away: %w", ch.Name, err)
}

// followStreams reads all streams by one blocking command, and so by one connection.
func (w *watch) followStreams(ctx context.Context) error {
	for ctx.Err() == nil {
		after := slices.Clone(w.streams)
		for _, name := range w.streams {
			after = append(after, w.last[name])
		}
		entries, err := transport.ReadEntries(ctx, w.redis, watchBlock, after...)
		if err != nil {
			return fmt.Errorf("read streams: %w", err)
		}
		for _, e := range entries {
			w.last[e.Stream] = e.ID
			w.entry(e)
		}
	}
	return ctx.Err()
}

func (w *watch) entry(e transport.Entry) {
	w.show(w.declared[e.Stream], router.Message{Payload: e.Payload, Name: e.Stream, ID: e.ID, Time: e.Time, Twice: e.Twice})
}

// lastID is where the stream ends now: "$" would skip what is added between two reads.
func lastID(ctx context.Context, client *redis.Client, stream string) (string, error) {
	entries, err := client.XRevRangeN(ctx, stream, "+", "-", 1).Result()
	if err != nil || len(entries) == 0 {
		return "0", err
	}
	return entries[0].ID, nil
}
