package main

import (
	"fmt"
	"strings"
)

const python = "redis-py loop"

// benchCase is a part of the table.
type benchCase struct {
	name string
	run  func(*bench) ([]result, error)
}

func cases() []benchCase {
	return []benchCase{
		{"pubsub drain", pubsubDrain},
		{"stream drain", streamDrain},
		{"payload 2 KB", func(b *bench) ([]result, error) { return b.payload(2 << 10) }},
		{"payload 64 KB", func(b *bench) ([]result, error) { return b.payload(64 << 10) }},
		{"10,000 routes", manyRoutes},
		{"1,000 channels", manyChannels},
		{"10 routes for each event", manyMatches},
		{"forward pubsub to stream", func(b *bench) ([]result, error) { return b.forwardDrain("pubsub", "XADD for each message") }},
		{"forward stream to stream", func(b *bench) ([]result, error) { return b.forwardDrain("stream", "XADD for each entry") }},
		{"sql", saveDrain},
		{"hop", hop},
		{"watched", watched},
		{"weight", weigh},
		{"allocations", allocations},
	}
}

// signalboxOn is Signalbox with one route, on the kind look unless another is named.
func signalboxOn(l *load, transport, kind string, options ...string) *contender {
	return &contender{
		name: "Signalbox", stream: transport == "stream", load: l,
		routes: func(channel string) routes { return one(channel, transport, kind, options...) },
	}
}

func pubsubDrain(b *bench) ([]result, error) {
	l := &load{n: queueful}
	decoding := signalboxOn(l, "pubsub", "decode")
	decoding.name, decoding.runs = "Signalbox, decoding", "Signalbox"
	all := []*contender{
		{name: "go-redis loop", load: l},
		{name: "go-redis, read only", load: l, blind: true},
		signalboxOn(l, "pubsub", "look"),
		decoding,
	}
	if b.python != "" {
		all = append(all, &contender{name: python, load: l})
	}
	rates, err := b.rates(all...)
	if err != nil {
		return nil, err
	}
	results := []result{
		atLeast(2.5, "pubsub drain, to the go-redis loop", ratios(rates["Signalbox"], rates["go-redis loop"])),
		atLeast(0.6, "pubsub drain, to go-redis that only reads", ratios(rates["Signalbox"], rates["go-redis, read only"])),
		reported("pubsub drain, with a handler that decodes all data, to the go-redis loop", times, ratios(rates[decoding.name], rates["go-redis loop"])),
	}
	return append(results, speeds("pubsub drain", rates, all)...), nil
}

// speeds are what the ratios are made of.
func speeds(name string, rates map[string][]float64, of []*contender) (all []result) {
	for _, c := range of {
		all = append(all, reported(name+": "+c.name, perSec, rates[c.name]))
	}
	return all
}

func streamDrain(b *bench) ([]result, error) {
	l := &load{n: 100_000}
	few := &load{n: 5_000} // for who needs half a second for that
	all := []*contender{
		{name: "watermill-redisstream", load: few, stream: true},
		{name: "XREADGROUP loop", load: l, stream: true},
		signalboxOn(l, "stream", "look"),
	}
	rates, err := b.rates(all...)
	if err != nil {
		return nil, err
	}
	results := []result{
		atLeast(15, "stream drain, to watermill-redisstream", ratios(rates["Signalbox"], rates["watermill-redisstream"])),
		atLeast(1.5, "stream drain, to the XREADGROUP loop in batches of 256", ratios(rates["Signalbox"], rates["XREADGROUP loop"])),
	}
	return append(results, speeds("stream drain", rates, all)...), nil
}

func (b *bench) payload(size int) ([]result, error) {
	l := &load{n: min(queueful, queueMB<<20/size), size: size}
	all := []*contender{{name: "go-redis loop", load: l}, signalboxOn(l, "pubsub", "look")}
	rates, err := b.rates(all...)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("pubsub drain of %d KB messages", size>>10)
	results := []result{atLeast(2.5, name+", to the go-redis loop", ratios(rates["Signalbox"], rates["go-redis loop"]))}
	return append(results, speeds(name, rates, all)...), nil
}

// routesOfTypes is Signalbox with n routes on one channel, each for a type of its own.
func routesOfTypes(n int) *contender {
	typ := func(i int) string { return fmt.Sprint("type.", i%n) }
	return &contender{name: fmt.Sprint(n, " routes"), runs: "Signalbox", load: &load{n: queueful, typ: typ}, routes: func(channel string) routes {
		r := one(channel, "pubsub", "look")
		r.routes = nil
		for i := range n {
			r.routes = append(r.routes, routeTable(channel, typ(i), "bench", fmt.Sprintf("name = \"r%d\"", i)))
		}
		return r
	}}
}

// manyRoutes compares ten thousand routes, of as many types, with one.
func manyRoutes(b *bench) ([]result, error) {
	return b.crowded("10,000 routes on one channel", routesOfTypes(1), routesOfTypes(10_000),
		"each message is for another route, whose state comes from memory instead of the cache; and a queue, a lock and a context serve one event instead of 256")
}

// manyChannels compares a thousand Pub/Sub channels with one.
func manyChannels(b *bench) ([]result, error) {
	return b.crowded("1,000 pubsub channels", onChannels(1), onChannels(1000),
		"each channel crosses Watermill's Router by itself: some ten messages at a time instead of 256, and each crossing wakes five goroutines")
}

// crowded compares many of something with one. Why is what makes the target unreachable,
// should it be missed.
func (b *bench) crowded(name string, alone, crowd *contender, why string) ([]result, error) {
	rates, err := b.rates(alone, crowd)
	if err != nil {
		return nil, err
	}
	started, err := b.startUp(crowd)
	if err != nil {
		return nil, err
	}
	cost := atMost(1.1, name+", cost of a message to that with one", times, ratios(rates[alone.name], rates[crowd.name]))
	return []result{cost.because(why), atMost(1, name+", start to ready", "s", started)}, nil
}

// startUp is how many seconds it takes until the contender is ready.
func (b *bench) startUp(c *contender) ([]float64, error) {
	var took []float64
	for range b.rounds {
		p, err := b.start(c)
		if err != nil {
			return nil, err
		}
		took = append(took, p.took.Seconds())
		p.stop()
	}
	return took, nil
}

// onChannels is Signalbox with the messages of one channel on n.
func onChannels(n int) *contender {
	return &contender{name: fmt.Sprint(n, " channels"), runs: "Signalbox", load: &load{n: queueful, channels: n}, routes: func(channel string) routes {
		r := routes{handlers: []string{handlerTable("bench", "look")}, routes: []string{routeTable("*", "*", "bench")}}
		for i := range n {
			r.channels = append(r.channels, channelTable(fmt.Sprint(channel, ".", i), "pubsub"))
		}
		return r
	}}
}

// manyMatches compares ten routes that take the same event with one.
func manyMatches(b *bench) ([]result, error) {
	const many = 10
	l := &load{n: queueful}
	alone := signalboxOn(l, "pubsub", "look")
	alone.name, alone.runs = "one route", "Signalbox"
	crowd := &contender{name: "10 routes", runs: "Signalbox", load: l, tallies: many, routes: func(channel string) routes {
		r := routes{channels: []string{channelTable(channel, "pubsub")}}
		for i := range many {
			handler := fmt.Sprint("h", i)
			r.handlers = append(r.handlers, handlerTable(handler, "look"))
			r.routes = append(r.routes, routeTable(channel, "tick", handler))
		}
		return r
	}}
	rates, err := b.rates(alone, crowd)
	if err != nil {
		return nil, err
	}
	cost := atMost(1.5, "10 routes that take the same event, cost of a message to that of one", times, ratios(rates[alone.name], rates[crowd.name]))
	return []result{
		cost.because("an attempt costs 0.2 µs (context, watchdog, verdict, counters), ten of them as much as reading and decoding the message"),
	}, nil
}

// forwardDrain compares the kind publish with a loop that waits for each XADD.
func (b *bench) forwardDrain(from, loop string) ([]result, error) {
	few := &load{n: 5_000}
	l := &load{n: queueful}
	forwarding := &contender{name: "Signalbox", stream: from == "stream", load: l, forward: true, routes: func(channel string) routes {
		r := one(channel, from, "publish", fmt.Sprintf("channel = %q", out(channel)))
		r.channels = append(r.channels, channelTable(out(channel), "stream"))
		return r
	}}
	all := []*contender{{name: loop, stream: from == "stream", load: few, forward: true}, forwarding}
	rates, err := b.rates(all...)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("forward %s → stream, drain", strings.TrimSpace(from))
	gain := atLeast(8, name+", to one round trip for each event", ratios(rates["Signalbox"], rates[loop]))
	if from == "stream" {
		gain = gain.because("reading, adding and acknowledging an entry cost Redis' one thread 8.2 µs (INFO cpu), so nobody forwards many more than 120,000 in a second, and the loop gets a quarter of that on a good run")
	}
	results := []result{gain}
	return append(results, speeds(name, rates, all)...), nil
}
