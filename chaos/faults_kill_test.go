//go:build failpoints

package chaos

import (
	"context"
	"fmt"
	"strings"
	"syscall"
)

// killFaults end a router with SIGKILL at the worst moments, while another one of its
// group lives.
func killFaults() []fault {
	return []fault{
		{number: "1", name: "kill_after_read", run: func(r *round) { r.killed("CHAOS_FAILPOINTS=after-read=kill@" + fmt.Sprint(r.between(2, 30))) }},
		{number: "1", name: "kill_in_handler", run: func(r *round) { r.killed(fmt.Sprint(killEnv, "=", r.between(1, 300))) }},
		{number: "1", name: "kill_before_ack", run: func(r *round) { r.killed("CHAOS_FAILPOINTS=before-ack=kill@" + fmt.Sprint(r.between(1, 20))) }},
		{number: "1", name: "kill_after_dead_letter", run: killedAfterDead},
		{number: "1", name: "kill_mid_claim", run: killedMidClaim},
	}
}

// killed has a router killed where env says, and perhaps started again.
func (r *round) killed(env string) {
	const inFlight = 128
	r.serve()
	c := config{channel: fmt.Sprint("in_flight = ", inFlight)}
	r.repeats = inFlight
	r.router(c)
	victim := r.launch(c, env)
	stop := r.load(1000)
	r.awaitDeath(victim)
	r.mend()
	if r.rand.IntN(2) == 0 {
		r.router(c)
	}
	stop()
	r.settle()
}

// killedAfterDead kills a router that has written dead letters, before their events are
// acknowledged.
func killedAfterDead(r *round) {
	const inFlight = 64
	r.serve()
	c := config{channel: fmt.Sprint("in_flight = ", inFlight)}
	r.repeats = inFlight + unacknowledged
	victim := r.launch(c, fmt.Sprint("CHAOS_FAILPOINTS=after-dead=kill@", r.between(1, 10)))
	r.producer.add(context.Background(), r.some(300, 10, "permanent")...)
	r.awaitDeath(victim)
	r.mend()
	r.router(c)
	r.settle()
}

// killedMidClaim kills a router, and the one that takes over from it.
func killedMidClaim(r *round) {
	const inFlight = 64
	r.serve()
	c := config{channel: fmt.Sprint("in_flight = ", inFlight), handler: `sleep = "2ms"`}
	r.repeats = 2 * inFlight
	first := r.router(c)
	second := r.router(c, "CHAOS_FAILPOINTS=mid-claim=kill@1")
	stop := r.load(500)
	r.awaitHandled(r.between(100, 400))
	r.killAtWork(first)
	stop()
	r.awaitDeath(second)
	r.mend()
	r.router(c)
	r.settle()
}

// killAtWork kills a router that has something pending, so that there is something to take
// over.
func (r *round) killAtWork(p *proc) {
	r.Helper()
	eventually(r, p.name+" has something in hand", func() bool {
		p.signal(syscall.SIGSTOP)
		if r.pendingOf(p) > 0 {
			p.kill()
			return true
		}
		p.signal(syscall.SIGCONT)
		return false
	})
}

// pendingOf is how many entries a router has pending. Its consumer's name has its pid.
func (r *round) pendingOf(p *proc) (n int64) {
	r.Helper()
	pending, err := r.server.Client().XPending(context.Background(), topic, "chaos").Result()
	if err != nil {
		r.Fatal(err)
	}
	for consumer, count := range pending.Consumers {
		if strings.Contains(consumer, fmt.Sprint("-", p.cmd.Process.Pid, "-")) {
			n += count
		}
	}
	return n
}
