//go:build failpoints

package chaos

import (
	"context"
	"fmt"
	"time"
)

// linkFaults break the network between the routers and Redis.
func linkFaults() []fault {
	return []fault{
		{number: "7", name: "replies_cut", run: repliesCut},
		{number: "14", name: "half_open_link", run: func(r *round) { r.halfOpen("upstream", "downstream") }},
		{number: "14", name: "one_way_partition", run: func(r *round) { r.halfOpen(one(r, "upstream", "downstream")) }},
		{number: "18", name: "acks_and_adds_cut", run: addsCut},
		{number: "27", name: "latency_2s", large: true, run: func(r *round) { r.slowLink("latency", map[string]any{"latency": 2000, "jitter": 1000}) }},
		{number: "27", name: "bandwidth_5_KB", large: true, run: func(r *round) { r.slowLink("bandwidth", map[string]any{"rate": 5}) }},
		{number: "27", name: "backlog_at_5_KB", run: backlogAt5KB},
		{number: "27", name: "one_byte_at_a_time", large: true, run: func(r *round) {
			r.slowLink("slicer", map[string]any{"average_size": 1, "size_variation": 0, "delay": 10})
		}},
	}
}

// cutting ends connections after a random number of bytes, again and again, for a while.
func (r *round) cutting(stream string, low, high int, lasting time.Duration) {
	for end := time.Now().Add(lasting); time.Now().Before(end); {
		mend := r.link.toxic("limit_data", stream, map[string]any{"bytes": r.between(low, high)})
		time.Sleep(r.lasting(50*time.Millisecond, 300*time.Millisecond)) // how long the fault lasts
		mend()
		time.Sleep(r.lasting(50*time.Millisecond, 300*time.Millisecond))
	}
}

// repliesCut loses replies half-way: entries are pending that nobody has seen.
func repliesCut(r *round) {
	r.serve()
	r.viaLink()
	p := r.router(config{channel: `claim_after = "24h"`}) // nobody claims: it has to read them again itself
	stop := r.load(1000)
	r.awaitHandled(100)
	r.cutting("downstream", 1, 20_000, 2*time.Second)
	r.mend()
	stop()
	r.settle()
	r.happened(p, away)
}

// halfOpen lets packets vanish, without ending a connection.
func (r *round) halfOpen(streams ...string) {
	const inFlight = 64
	r.serve()
	r.viaLink()
	c := config{channel: fmt.Sprint("in_flight = ", inFlight), handler: `sleep = "1ms"`}
	cut := r.router(c)
	l := r.link
	r.link = nil
	r.router(c)
	stop := r.load(300)
	r.awaitHandled(100)
	r.repeats = inFlight // what it had in hand is taken over while it handles it
	cut.paused = true    // in the eyes of the others it is dead
	begin := time.Now()
	var heal []func()
	for _, stream := range streams {
		heal = append(heal, l.toxic("timeout", stream, map[string]any{"timeout": 0}))
	}
	noticed := within(patience, func() bool { return cut.logged(away) })
	if took := time.Since(begin); !noticed || took > 10*time.Second {
		r.violate("noticed", "the half-open link after %v; want 10s", took)
	}
	r.mend() // for the other one: it takes over
	stop()
	r.settle()
	for _, mend := range heal {
		mend()
	}
	r.mend()
	r.producer.add(context.Background(), make([]string, 100)...)
	r.settle()
}

// addsCut loses replies to XACK and XADD: what is forwarded may be there twice, and
// is the same event then.
func addsCut(r *round) {
	const out = "chaos:out"
	r.serve()
	r.viaLink()
	r.routes = 2
	p := r.router(config{
		channel: `claim_after = "24h"`,
		rest: fmt.Sprintf(`
[channels.out]
transport = "stream"
name = %q
[handlers.forward]
kind = "publish"
channel = "out"
[[routes]]
channel = "work"
type = "*"
handler = "forward"
`, out),
	})
	stop := r.load(1000)
	r.awaitHandled(100)
	r.cutting("downstream", 1, 20_000, time.Second)
	r.cutting("upstream", 1, 20_000, time.Second)
	r.mend()
	stop()
	r.settle()
	r.happened(p, away)
	r.forwarded(out)
}

// forwarded checks that the stream out has each event of the stream work at least
// once, and nothing else.
func (r *round) forwarded(out string) {
	r.Helper()
	known, there := r.producer.known(), r.stored(out)
	for id := range there {
		if _, ok := known[id]; !ok {
			r.violate("I2", "%d forwarded events with the id %q were never sent", there[id], id)
		}
	}
	for id := range r.stored(topic) {
		if there[id] == 0 {
			r.violate("I1", "%s was not forwarded", id)
		}
	}
	if n, _ := r.server.Client().XLen(context.Background(), out).Result(); int(n) > len(there) {
		r.duplicates += int(n) - len(there) // of the forwarding; effects are counted apart
		r.repeats += int(n) - len(there)
	}
}

// slowLink makes everything slow, in both directions.
func (r *round) slowLink(kind string, attributes map[string]any) {
	r.serve()
	r.viaLink()
	r.within = time.Minute
	r.router(config{channel: `claim_after = "24h"`})
	up := r.link.toxic(kind, "upstream", attributes)
	down := r.link.toxic(kind, "downstream", attributes)
	stop := r.load(10)
	time.Sleep(r.lasting(10*time.Second, 20*time.Second)) // how long the fault lasts
	stop()
	up()
	down()
	r.mend()
	r.settle()
}

// backlogAt5KB: a router comes to a stream with a backlog over a link on which a whole
// read takes ten seconds. It gets on, however slowly.
func backlogAt5KB(r *round) {
	r.serve()
	r.viaLink()
	r.within = time.Minute
	r.producer.add(context.Background(), make([]string, 300)...)
	up := r.link.toxic("bandwidth", "upstream", map[string]any{"rate": 5})
	down := r.link.toxic("bandwidth", "downstream", map[string]any{"rate": 5})
	r.launch(config{channel: `claim_after = "24h"`})
	begin := time.Now()
	if !within(r.within, func() bool { return r.done() == r.producer.events() }) {
		r.violate("I7", "%d of %d events are handled after %v", r.done(), r.producer.events(), time.Since(begin))
	}
	up()
	down()
	r.mend()
	r.settle()
}
