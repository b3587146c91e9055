//go:build failpoints

package chaos

import (
	"context"
	"fmt"
	"time"
)

// dedupeFaults kill a router whose route handles each event once.
func dedupeFaults() []fault {
	return []fault{
		{number: "11", name: "dedupe_kill_in_handler", run: func(r *round) { r.deduped(fmt.Sprint(killEnv, "=", r.between(1, 100))) }},
		{number: "11", name: "dedupe_kill_before_mark", run: func(r *round) {
			r.deduped("CHAOS_FAILPOINTS=after-work=kill@" + fmt.Sprint(r.between(1, 100)))
		}},
		{number: "18", name: "dedupe_sent_twice", run: sentTwice},
	}
}

// dedupe is a route that handles each event once. What a process had in progress when
// it died waits for timeout + 10 s.
const dedupe = "name = \"once\"\ndedupe = \"10m\"\ntimeout = \"1s\""

// deduped has a router killed where env says. Only the event that it was at may be
// handled again.
func (r *round) deduped(env string) {
	r.serve()
	c := config{route: dedupe, channel: "in_flight = 64", handler: `sleep = "1ms"`}
	r.repeats = 1
	r.within = 25 * time.Second // the take-over and the lease
	r.router(c)
	victim := r.launch(c, env)
	stop := r.load(300)
	r.awaitDeath(victim)
	r.mend()
	stop()
	r.settle()
}

// sentTwice: the producer sends everything twice, as one does whose XADD was not
// answered.
func sentTwice(r *round) {
	ctx := context.Background()
	r.serve()
	c := config{route: dedupe}
	r.router(c)
	r.router(c)
	for range r.between(3, 10) {
		r.producer.add(ctx, make([]string, r.between(1, 100))...)
		if err := r.producer.addRaw(ctx, r.producer.last(r.between(1, 100))...); err != nil {
			r.Fatal(err)
		}
	}
	r.settle()
}
