//go:build failpoints

package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// processFaults are what happens to routers and to what they work for.
func processFaults() []fault {
	return []fault{
		{number: "1", name: "crash_loop", run: crashLoop},
		{number: "20", name: "target_away", run: func(r *round) { r.targetAway(r.lasting(time.Second, 4*time.Second)) }},
		{number: "20", name: "target_away_10m", large: true, once: true, run: func(r *round) { r.targetAway(10 * time.Minute) }},
		{number: "22", name: "terminated_under_load", run: terminated},
		{number: "22", name: "second_SIGTERM", run: secondSignal},
		{number: "23", name: "replicas_at_random", run: replicas},
	}
}

// crashLoop: an event kills every process that handles it. It is given up, and all
// others are handled.
func crashLoop(r *round) {
	const inFlight, deaths = 32, 2
	r.serve()
	c := config{channel: fmt.Sprint("max_deliveries = ", deaths, "\nin_flight = ", inFlight)}
	r.repeats = deaths * (inFlight + unacknowledged)
	do := make([]string, r.between(50, 100))
	at := r.rand.IntN(len(do))
	do[at] = "kill"
	r.producer.add(context.Background(), do...)
	for range deaths {
		r.awaitDeath(r.launch(c))
	}
	r.router(c)
	r.mend()
	r.settle()
	id, _ := r.producer.message(at, "kill")
	if dead := r.dead(); len(dead) != 1 || dead[0] != (letter{id, "crash_loop"}) {
		r.violate("letters", "want one dead letter for %s, because of a crash loop; got %+v", id, dead)
	}
}

// targetAway: what handlers work for is away; nothing healthy may fail.
func (r *round) targetAway(lasting time.Duration) {
	r.serve()
	sign := filepath.Join(r.dir, "away")
	r.router(config{handler: fmt.Sprintf("away = %q", sign), route: `retry = { attempts = 2, backoff = "10ms", max_backoff = "200ms" }`})
	r.within += lasting / 20 // what has piled up meanwhile
	stop := r.load(200)
	r.awaitHandled(50)
	if err := os.WriteFile(sign, nil, 0o600); err != nil {
		r.Fatal(err)
	}
	time.Sleep(lasting) // how long the fault lasts
	if err := os.Remove(sign); err != nil {
		r.Fatal(err)
	}
	r.happened(r.procs[0], "target is away; the event waits")
	r.mend()
	stop()
	r.settle()
}

// terminated: routers are told to end while their handlers have a second of work in hand.
func terminated(r *round) {
	r.serve()
	c := config{handler: `sleep = "1s"`, route: "workers = 16", channel: "in_flight = 64"}
	r.producer.add(context.Background(), make([]string, r.between(250, 400))...)
	for range r.between(1, 3) {
		drain := one(r, time.Second, 8*time.Second) // for some of what is in hand, or for all
		if r.broken != "" {
			drain = time.Second // a mistake with what is left shows only when something is
		}
		c.service = fmt.Sprintf("drain = %q", drain)
		p := r.launch(c)
		r.awaitHandled(r.done() + r.between(1, 16))
		begin := time.Now()
		p.terminate()
		if took := time.Since(begin); took > drain+2*time.Second {
			r.violate("drain", "%s took %v to end", p.name, took)
		}
	}
	r.router(config{})
	r.mend()
	r.settle()
}

// secondSignal: the second SIGTERM ends a router now. What it had in hand is handled
// again.
func secondSignal(r *round) {
	const inFlight = 16
	r.serve()
	r.repeats = inFlight
	c := config{handler: `sleep = "5s"`, route: "workers = 8", channel: fmt.Sprint("in_flight = ", inFlight)}
	quick := config{channel: c.channel}
	p := r.router(c)
	r.producer.add(context.Background(), make([]string, r.between(8, 30))...)
	eventually(r, "events are in hand", func() bool { return len(r.effects()) >= 8 })
	p.signal(syscall.SIGTERM)
	time.Sleep(200 * time.Millisecond) // a second one within 100 ms is the first again
	begin := time.Now()
	p.terminate()
	if took := time.Since(begin); took > time.Second || p.cmd.ProcessState.ExitCode() != 1 {
		r.violate("drain", "after the second SIGTERM: %v, %v", took, p.err)
	}
	r.router(quick)
	r.mend()
	r.settle()
}

// replicas: routers come and go at random, one to eight at a time.
func replicas(r *round) {
	const inFlight = 32
	r.serve()
	c := config{channel: fmt.Sprint("in_flight = ", inFlight), handler: `sleep = "1ms"`}
	stop := r.load(500)
	var alive []*proc
	for range r.between(8, 14) {
		if len(alive) < 2 || len(alive) < 8 && r.rand.IntN(5) < 3 {
			alive = append(alive, r.launch(c))
		} else {
			i := r.rand.IntN(len(alive))
			if r.rand.IntN(2) == 0 {
				r.repeats += inFlight
				alive[i].kill()
			} else {
				alive[i].terminate()
			}
			alive = append(alive[:i], alive[i+1:]...)
		}
		time.Sleep(r.lasting(0, 300*time.Millisecond)) // a pace, not a condition
	}
	r.mend()
	stop()
	r.settle()
}
