//go:build failpoints

package chaos

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// largeFaults are what the promises of a release are measured by.
func largeFaults() []fault {
	return []fault{
		{number: "scenario 1", name: "killed_ten_times", large: true, once: true, run: func(r *round) { r.killedTenTimes("", inHandThere+unacknowledged) }},
		{number: "scenario 1", name: "killed_ten_times_dedupe", large: true, once: true, run: func(r *round) { r.killedTenTimes(dedupe, workersThere) }},
		{number: "scenario 7", name: "soak_10m", large: true, once: true, run: soak},
	}
}

// What each router of killedTenTimes has in hand, at most, and how many at the same time.
const inHandThere, workersThere = 512, 16

// killedTenTimes: 100,000 events, and one of three routers is killed ten times, with some
// in its handlers.
func (r *round) killedTenTimes(route string, atOnce int) {
	const events, kills = 100_000, 10
	r.serve()
	r.within = 30 * time.Second
	c := config{
		channel: fmt.Sprint("in_flight = ", inHandThere), handler: `sleep = "20ms"`,
		route: route + fmt.Sprint("\nworkers = ", workersThere),
	}
	r.repeats = kills * atOnce
	r.router(c)
	r.router(c)
	victim := r.router(c)
	stop := r.load(1000)
	for range kills {
		r.awaitEvents(r.producer.events() + r.between(5_000, 10_000))
		victim.kill()
		victim = r.router(c)
	}
	r.awaitEvents(events)
	stop()
	r.mend()
	r.settle()
}

// awaitEvents returns when the producer has sent so many.
func (r *round) awaitEvents(n int) {
	r.Helper()
	if !within(10*time.Minute, func() bool { return r.producer.events() >= n }) {
		r.Fatalf("%d events were not sent", n)
	}
}

// soak: ten minutes of load. Memory, goroutines and files stay where they are, with a
// margin for the garbage collector.
func soak(r *round) {
	r.serve()
	p := r.router(config{})
	stop := r.load(1000)
	r.awaitEvents(30_000)
	first, ok := r.usage(p)
	if !ok {
		r.Fatal("no answer")
	}
	for range 18 {
		r.awaitEvents(r.producer.events() + 30_000)
		now, ok := r.usage(p)
		if !ok || now.goroutines > first.goroutines+3 || now.files > first.files+3 || now.heap > first.heap+(4<<20) {
			r.violate("I8", "from %+v to %+v", first, now)
		}
		r.Logf("after %d events: %+v, resident %d KB", r.producer.events(), now, resident(p))
		r.do("XTRIM", topic, "MAXLEN", "10000")
	}
	stop()
	r.mend()
	r.settle()
}

// resident is how much memory a process has, in KB.
func resident(p *proc) (kb int) {
	var pages, all int
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	_, _ = fmt.Sscan(string(text), &all, &pages)
	return pages * syscall.Getpagesize() / 1024
}
