//go:build failpoints

package chaos

import (
	"context"
	"strings"
	"syscall"
	"time"

	"signalbox/internal/redistest"
)

// pubsubFaults are about what nobody keeps: whatever is lost has to be told.
func pubsubFaults() []fault {
	return []fault{
		{number: "12", name: "pubsub_cut", run: func(r *round) { r.pubsubCut(r.lasting(time.Second, 3*time.Second)) }},
		{number: "12", name: "pubsub_cut_30s", large: true, run: func(r *round) { r.pubsubCut(30 * time.Second) }},
		{number: "13", name: "pubsub_slow_handler", run: pubsubSlow},
		{number: "13", name: "pubsub_output_buffer", run: pubsubOverrun},
	}
}

const blind = "pubsub was blind; events published meanwhile are lost"

// listen starts a router on a Pub/Sub channel.
func (r *round) listen(more config, options ...redistest.Option) *proc {
	r.serve(options...)
	r.viaLink()
	r.producer.pubsub = true
	more.channel = "transport = \"pubsub\"\n" + more.channel
	return r.router(more)
}

// hears sends events until one is handled that was sent from now on. Since events stay
// in order, all that were sent before are handled or lost then.
func (r *round) hears() {
	r.Helper()
	if r.mended.IsZero() {
		r.mend()
	}
	p := r.procs[0]
	hears := func() bool {
		id, _ := r.producer.message(r.producer.events(), "")
		r.producer.add(context.Background(), "")
		return within(200*time.Millisecond, func() bool { return handled(p.read().effects[id]) })
	}
	eventually(r, "events arrive again", hears)
}

// pubsubCut ends the connection and allows no other for a while.
func (r *round) pubsubCut(lasting time.Duration) {
	r.sequence = true
	p := r.listen(config{channel: `seq_field = "data.n"`})
	stop := r.load(500)
	r.awaitHandled(100)
	from := time.Now()
	r.link.proxy.Stop()
	time.Sleep(lasting) // how long the fault lasts
	if err := r.link.proxy.Start(); err != nil {
		r.Fatal(err)
	}
	r.mend()
	if !within(patience, func() bool { return p.logged(blind) }) {
		r.Fatal("the router did not tell of the gap")
	}
	r.recovery = time.Since(r.mended)
	if r.recovery > 6*time.Second { // the pauses between its attempts are up to 5 s
		r.violate("I7", "the router hears again after %v", r.recovery)
	}
	stop()
	r.hears()
	r.blindFor(p, from)
}

// blindFor checks that the router says within a second for how long it heard nothing.
func (r *round) blindFor(p *proc, from time.Time) {
	r.Helper()
	told := p.lines(blind)
	truth := gap{from, from}
	effects := r.effects()
	for id, s := range r.producer.known() {
		if s.acknowledged && !handled(effects[id]) && s.at.After(truth.to) {
			truth.to = s.at
		}
	}
	was := truth.to.Sub(truth.from)
	if len(told) != 1 || (told[0].Blind-was).Abs() > time.Second {
		r.violate("blind", "the router heard nothing for %v, and says %+v", was, told)
	}
	const margin = 200 * time.Millisecond // what was still on its way when the link was cut
	r.gaps = append(r.gaps, gap{truth.from.Add(-margin), truth.to})
}

// pubsubSlow: the handler is much too slow, and Redis would cut a router that does not
// read. It isn't cut, and counts what it drops.
func pubsubSlow(r *round) {
	p := r.listen(config{channel: "queue = 500\nin_flight = 32", handler: `sleep = "3ms"`},
		redistest.Args("--client-output-buffer-limit", "pubsub 1mb 256kb 1"))
	stop := r.load(3000)
	time.Sleep(r.lasting(time.Second, 2*time.Second)) // how long the fault lasts
	stop()
	r.hears()
	if p.logged(blind) || p.logged(away) {
		r.violate("cut", "Redis cut the router")
	}
	if !p.logged("pubsub queue overflowed; oldest events dropped") {
		r.Fatal("nothing was dropped: the fault did not happen")
	}
}

// pubsubOverrun: the router is stopped until Redis cuts it. When it goes on it says so.
func pubsubOverrun(r *round) {
	p := r.listen(config{}, redistest.Args("--client-output-buffer-limit", "pubsub 64kb 32kb 1"))
	stop := r.load(200)
	r.awaitHandled(50)
	p.signal(syscall.SIGSTOP)
	r.Cleanup(func() { p.signal(syscall.SIGCONT) })
	stop()
	from := time.Now()
	pad := strings.Repeat("x", 50_000)
	eventually(r, "Redis cuts the router", func() bool {
		r.producer.pad(pad)
		r.producer.add(context.Background(), make([]string, 50)...)
		subscribers, err := r.server.Client().PubSubNumSub(context.Background(), topic).Result()
		return err == nil && subscribers[topic] == 0
	})
	r.producer.pad("")
	p.signal(syscall.SIGCONT)
	r.mend()
	if !within(patience, func() bool { return p.logged(blind) }) {
		r.violate("silent", "the router did not tell that Redis cut it")
		return
	}
	r.recovery = time.Since(r.mended)
	r.gaps = append(r.gaps, gap{from.Add(-time.Second), time.Now()})
	r.hears()
}
