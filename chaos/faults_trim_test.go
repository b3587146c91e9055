//go:build failpoints

package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// trimFaults lose events by MAXLEN before anybody has read them.
func trimFaults() []fault {
	return []fault{
		{number: "3", name: "trimmed_while_stopped", run: trimmedWhileStopped},
		{number: "3", name: "trimmed_under_load", run: trimmedUnderLoad},
	}
}

const (
	trimmed     = "stream entries were trimmed before they were delivered"
	trimmedSoon = "stream is trimmed close behind what is not delivered yet: soon events will be lost"
)

// trimmedWhileStopped: the producer goes on while there is no router, and the stream
// keeps less than that.
func trimmedWhileStopped(r *round) {
	r.serve()
	r.producer.trim = int64(r.between(100, 300))
	p := r.router(config{})
	r.producer.add(context.Background(), make([]string, r.between(50, 500))...)
	r.settle()
	p.terminate()
	r.producer.add(context.Background(), make([]string, r.between(300, 1500))...)
	heir := r.router(config{})
	r.mend()
	r.settle()
	r.trimmedCounted(heir)
}

// trimmedUnderLoad: handlers do not get on, and the producer does. There is a warning
// before the first loss: a router looks once a second, and from the moment when there
// is something to warn of, this takes longer.
func trimmedUnderLoad(r *round) {
	const keep, perSecond = 1000, 150
	r.serve()
	r.producer.trim = keep
	sign := filepath.Join(r.dir, "away")
	p := r.router(config{channel: "in_flight = 16", handler: fmt.Sprintf("away = %q", sign), route: `retry = { max_backoff = "500ms" }`})
	for range 6 { // then it is being trimmed
		r.producer.add(context.Background(), make([]string, keep/5)...)
		r.settle()
	}
	if err := os.WriteFile(sign, nil, 0o600); err != nil {
		r.Fatal(err)
	}
	stop := r.load(perSecond)
	eventually(r, "events are lost", func() bool { return p.logged(trimmed) })
	if err := os.Remove(sign); err != nil {
		r.Fatal(err)
	}
	stop()
	r.mend()
	r.settle()
	r.trimmedCounted(p)
	all := p.lines("")
	at := func(msg string) int { return slices.IndexFunc(all, func(l line) bool { return l.Msg == msg }) }
	if soon := at(trimmedSoon); soon < 0 || soon > at(trimmed) {
		r.violate("warning", "the router did not warn before events were lost")
	}
}

// trimmedCounted checks that a router counts every event as lost that is neither
// handled nor there any more.
func (r *round) trimmedCounted(p *proc) {
	r.Helper()
	gone := r.goneUnread()
	if gone == 0 {
		r.Fatal("nothing was trimmed before it was delivered: the fault did not happen")
	}
	told := func() (n int) {
		for _, l := range p.lines(trimmed) {
			n += l.Events
		}
		return n
	}
	within(r.within, func() bool { return told() >= gone })
	p.terminate()
	if s, _ := p.summary(); told() != gone || s.Lost != gone {
		r.violate("X", "%d events were trimmed before they were delivered, told: %d, counted: %d", gone, told(), s.Lost)
	}
	r.told = gone
}

// goneUnread is how many events are neither handled nor there any more.
func (r *round) goneUnread() (gone int) {
	stored, effects := r.stored(topic), r.effects()
	for id := range r.producer.known() {
		if stored[id] == 0 && !handled(effects[id]) {
			gone++
		}
	}
	return gone
}
