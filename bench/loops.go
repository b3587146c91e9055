package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/redis/go-redis/v9"
)

// Environment variables of a contender's process.
const (
	contenderEnv = "BENCH_CONTENDER" // which one it is
	redisEnv     = "BENCH_REDIS"     // host:port
	channelEnv   = "BENCH_CHANNEL"
	countEnv     = "BENCH_COUNT"   // messages of a drain
	configEnv    = "BENCH_CONFIG"  // file or folder of routes, for Signalbox
	profileEnv   = "BENCH_PROFILE" // folder for profiles, likewise
)

const (
	group = "bench"
	slice = 256 // of loops that read or acknowledge several entries at a time
)

// job is what a contender is told.
type job struct {
	redis   *redis.Client
	channel string
	tally   *tally
}

// compete is the process of a contender. It runs until it is killed.
func compete(name string) {
	contenders := map[string]func(context.Context, job) error{
		"go-redis loop":         goRedisLoop,
		"go-redis, read only":   readOnly,
		"watermill-redisstream": viaRedisstream,
		"XREADGROUP loop":       groupLoop,
		"go-redis forwarder":    forwarder,
		"XADD for each message": addEach,
		"XADD for each entry":   copyEach,
		"pgx, slices of 256":    saveSlices,
		"pgx, single inserts":   saveEach,
		"Signalbox":             signalbox,
	}
	compete, known := contenders[name]
	if !known {
		fmt.Fprintf(os.Stderr, "bench: no contender %q\n", name)
		os.Exit(1)
	}
	j := job{redis: client(os.Getenv(redisEnv)), channel: os.Getenv(channelEnv), tally: newTally("")}
	if err := compete(context.Background(), j); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %s: %v\n", name, err)
		os.Exit(1)
	}
}

// tally counts what a contender has handled, and says so at the end of each drain.
type tally struct {
	name string // of several in one process
	want uint64
	sum  atomic.Uint64
	n    atomic.Uint64
	_    [64]byte // other tallies' counters are not on this one's line of the cache
}

func newTally(name string) *tally {
	want, err := strconv.ParseUint(os.Getenv(countEnv), 10, 64)
	if err != nil || want == 0 {
		panic(countEnv + ": " + os.Getenv(countEnv)) // the benchmark sets it
	}
	return &tally{name: name, want: want}
}

// handled notes a message and what was found in it.
func (t *tally) handled(symbol string) {
	t.sum.Add(weight(symbol))
	if n := t.n.Add(1); n%t.want == 0 {
		fmt.Printf("done %d %d %d %s\n", n, t.sum.Load(), time.Now().UnixNano(), t.name)
	}
}

func ready() { fmt.Println("ready") }

// goRedisLoop is what one writes without Signalbox.
func goRedisLoop(ctx context.Context, j job) error {
	sub := j.redis.Subscribe(ctx, j.channel)
	if _, err := sub.Receive(ctx); err != nil {
		return err
	}
	ready()
	for msg := range sub.Channel() {
		j.dispatch([]byte(msg.Payload))
	}
	return errors.New("the subscription ended")
}

// dispatch decodes a message and does what its type says.
func (j job) dispatch(payload []byte) {
	var event tick
	if err := json.Unmarshal(payload, &event); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return
	}
	switch event.Type {
	case "tick":
		j.tally.handled(event.Data.Symbol)
	default:
		fmt.Fprintln(os.Stderr, "bench: unknown type", event.Type)
	}
}

// readOnly is the ceiling: it looks at nothing.
func readOnly(ctx context.Context, j job) error {
	sub := j.redis.Subscribe(ctx, j.channel)
	if _, err := sub.Receive(ctx); err != nil {
		return err
	}
	ready()
	for {
		if _, err := sub.ReceiveMessage(ctx); err != nil {
			return err
		}
		j.tally.handled("")
	}
}

// viaRedisstream is Watermill with its own subscriber.
func viaRedisstream(ctx context.Context, j job) error {
	sub, err := redisstream.NewSubscriber(redisstream.SubscriberConfig{
		Client: j.redis, ConsumerGroup: group, DisableIndefiniteInitialBlock: true,
	}, watermill.NopLogger{})
	if err != nil {
		return err
	}
	router, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
	if err != nil {
		return err
	}
	router.AddConsumerHandler("bench", j.channel, sub, func(msg *message.Message) error {
		j.dispatch(msg.Payload)
		return nil
	})
	go func() {
		<-router.Running()
		ready()
	}()
	return router.Run(ctx)
}

// groupLoop reads and acknowledges entries in batches, written by hand.
func groupLoop(ctx context.Context, j job) error {
	if err := j.redis.XGroupCreateMkStream(ctx, j.channel, group, "0").Err(); err != nil {
		return err
	}
	ready()
	return j.eachSlice(ctx, func(entries []redis.XMessage) error {
		for _, entry := range entries {
			payload, _ := entry.Values["payload"].(string)
			j.dispatch([]byte(payload))
		}
		return nil
	})
}

// eachSlice reads a stream in a group, and acknowledges what was handled.
func (j job) eachSlice(ctx context.Context, handle func([]redis.XMessage) error) error {
	for {
		streams, err := j.redis.XReadGroup(ctx, &redis.XReadGroupArgs{
			Group: group, Consumer: "bench", Streams: []string{j.channel, ">"}, Count: slice, Block: time.Second,
		}).Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return err
		}
		for _, stream := range streams {
			if err := handle(stream.Messages); err != nil {
				return err
			}
			ids := make([]string, len(stream.Messages))
			for i, entry := range stream.Messages {
				ids[i] = entry.ID
			}
			if err := j.redis.XAck(ctx, j.channel, group, ids...).Err(); err != nil {
				return err
			}
		}
	}
}

// out is where what came on a channel is sent on to.
func out(channel string) string { return channel + ".out" }

// forwarder sends each message on, on Pub/Sub.
func forwarder(ctx context.Context, j job) error {
	sub := j.redis.Subscribe(ctx, j.channel)
	if _, err := sub.Receive(ctx); err != nil {
		return err
	}
	ready()
	for msg := range sub.Channel() {
		if err := j.redis.Publish(ctx, out(j.channel), msg.Payload).Err(); err != nil {
			return err
		}
	}
	return errors.New("the subscription ended")
}

// addEach adds each message to a stream, one round trip after the other.
func addEach(ctx context.Context, j job) error {
	sub := j.redis.Subscribe(ctx, j.channel)
	if _, err := sub.Receive(ctx); err != nil {
		return err
	}
	ready()
	for msg := range sub.Channel() {
		if err := j.add(ctx, msg.Payload); err != nil {
			return err
		}
	}
	return errors.New("the subscription ended")
}

// copyEach adds each entry of a stream to another one, one round trip after the other.
// What it reads and acknowledges, it does in batches.
func copyEach(ctx context.Context, j job) error {
	if err := j.redis.XGroupCreateMkStream(ctx, j.channel, group, "0").Err(); err != nil {
		return err
	}
	ready()
	return j.eachSlice(ctx, func(entries []redis.XMessage) error {
		for _, entry := range entries {
			if err := j.add(ctx, entry.Values["payload"]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (j job) add(ctx context.Context, payload any) error {
	return j.redis.XAdd(ctx, &redis.XAddArgs{Stream: out(j.channel), MaxLen: 100_000, Approx: true, Values: []any{"payload", payload}}).Err()
}
