//go:build failpoints

package chaos

import (
	"context"
	"time"
)

// clockFaults set the clock of a router wrong.
func clockFaults() []fault {
	return []fault{
		{number: "33", name: "clock_1h_behind", run: func(r *round) { r.clock(-time.Hour) }},
	}
}

// clock: the router's clock is wrong. Events that are not too old by the clock of Redis
// are handled, and those that were handled are not handled again.
func (r *round) clock(skew time.Duration) {
	r.serve()
	r.router(config{route: dedupe + "\nmax_age = \"1m\""}, "CHAOS_CLOCK="+skew.String())
	r.producer.add(context.Background(), make([]string, r.between(100, 500))...)
	if err := r.producer.addRaw(context.Background(), r.producer.last(50)...); err != nil {
		r.Fatal(err)
	}
	r.settle()
}
