package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	hopRate = 1000 // messages per second
	hopFor  = 2 * time.Second
)

// hop measures how long a message is on its way from a publisher through a contender to a
// subscriber, at a rate that keeps nobody busy.
func hop(b *bench) ([]result, error) {
	l := &load{n: int(hopFor.Seconds()) * hopRate}
	if b.quick {
		l.n /= 2
	}
	direct := &contender{name: "no hop"}
	all := []*contender{
		{name: "go-redis forwarder", load: l},
		{name: "Signalbox", load: l, routes: func(channel string) routes {
			r := one(channel, "pubsub", "publish", fmt.Sprintf("channel = %q", out(channel)))
			r.channels = append(r.channels, channelTable(out(channel), "pubsub"))
			return r
		}},
		direct,
	}
	halves, tails := map[string][]float64{}, map[string][]float64{}
	for round := range b.rounds {
		for i := range all {
			c := all[(i+round)%len(all)]
			took, err := b.hops(c, l)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			halves[c.name] = append(halves[c.name], micros(took[len(took)/2]))
			tails[c.name] = append(tails[c.name], micros(took[len(took)*99/100]))
		}
	}
	cost := atMost(1.2, "hop at 1,000 msg/s, p50 to the go-redis forwarder", times, ratios(halves["Signalbox"], halves["go-redis forwarder"]))
	results := []result{
		cost.because("from its arrival until Redis is asked to publish it, a message passes five goroutines, three of them of Watermill's Router, and some 70 µs in caches that others used meanwhile; the forwarder has one goroutine"),
		reported("hop at 1,000 msg/s, p99 to the go-redis forwarder", times, ratios(tails["Signalbox"], tails["go-redis forwarder"])),
	}
	for _, c := range all {
		results = append(results, reported("hop: "+c.name+", p50", "µs", halves[c.name]), reported("hop: "+c.name+", p99", "µs", tails[c.name]))
	}
	return results, nil
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// hops returns how long each message took, the quickest first.
func (b *bench) hops(c *contender, l *load) ([]time.Duration, error) {
	in, from := "bench.hop", "bench.hop" // without a hop
	if c.load != nil {
		p, err := b.start(c)
		if err != nil {
			return nil, err
		}
		defer p.stop()
		in, from = p.channel, out(p.channel)
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	reader := client(b.server.addr)
	defer func() { _ = reader.Close() }()
	sub := reader.Subscribe(ctx, from)
	defer func() { _ = sub.Close() }()
	if _, err := sub.Receive(ctx); err != nil {
		return nil, err
	}
	const before = 200                // messages that don't count
	sent := make([]atomic.Int64, l.n) // Unix time in ns
	failed := make(chan error, 1)
	go func() { failed <- publishPaced(ctx, b.server.client, in, l, sent) }()
	took := make([]time.Duration, 0, l.n)
	for i := range l.n {
		msg, err := sub.ReceiveMessage(ctx)
		now := time.Now()
		if err != nil {
			return nil, err
		}
		if msg.Payload != string(l.message(i)) {
			return nil, errors.New("a message came out of order, or changed")
		}
		if i >= before {
			took = append(took, time.Duration(now.UnixNano()-sent[i].Load()))
		}
	}
	slices.Sort(took)
	return took, <-failed
}

// publishPaced sends the load, a message each millisecond, and notes when.
func publishPaced(ctx context.Context, to *redis.Client, channel string, l *load, sent []atomic.Int64) error {
	l.message(0) // makes them
	begin := time.Now()
	for i := range l.n {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / hopRate)))
		message := l.message(i)
		sent[i].Store(time.Now().UnixNano())
		if err := to.Publish(ctx, channel, message).Err(); err != nil {
			return err
		}
	}
	return nil
}
