//go:build failpoints

package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// reloadFaults give routers another configuration under load.
func reloadFaults() []fault {
	return []fault{
		{number: "21", name: "reloads", run: func(r *round) { r.reloads(r.between(10, 20), 1000) }},
		{number: "21", name: "reloads_1000", large: true, once: true, run: func(r *round) { r.reloads(1000, 1000) }},
		{number: "scenario 2", name: "reloads_5000_a_second", large: true, once: true, run: func(r *round) { r.reloads(100, 2500) }},
		{number: "1", name: "kill_mid_reload", run: killedMidReload},
	}
}

const (
	reloaded = "reloaded"
	refused  = "reload refused; the old configuration goes on"
)

// versions of a configuration whose channels work and other stay. What is around them
// comes, changes and goes.
func (r *round) version(n int) config {
	rest := fmt.Sprintf(`
[channels.other]
transport = "pubsub"
name = %q
[[routes]]
channel = "other"
type = "*"
handler = "effect"
name = "other"
`, otherTopic)
	if n%2 == 0 {
		rest += fmt.Sprintf(`
[channels.more%d]
transport = %q
name = "chaos:more%d"
[[routes]]
channel = "more%d"
type = "*"
handler = "drop"
`, n, one(r, "stream", "pubsub"), n%3, n)
	}
	return config{
		channel: "in_flight = 256",
		route:   fmt.Sprintf("retry = { attempts = %d }", 1+n%3),
		handler: fmt.Sprintf("sleep = \"%dus\"", r.between(0, 200)),
		rest:    rest,
	}
}

const otherTopic = "chaos:other"

// reloads changes the configuration n times, and breaks it every now and then. Each
// event is handled once.
func (r *round) reloads(n, perSecond int) {
	r.serve()
	r.other = &producer{client: r.producer.client, topic: otherTopic, pubsub: true, name: "q", sent: map[string]sent{}}
	p := r.router(r.version(0))
	delete(r.idle, p) // the last version may have more channels than the first
	stopStream, stopPubSub := r.load(perSecond), r.loadOf(r.other, perSecond)
	good, bad := 0, 0
	for i := range n {
		if r.rand.IntN(4) == 0 {
			r.breakFile(p.config)
			bad++
		} else {
			r.install(p.config, r.text(r.version(i)))
			good++
		}
		p.signal(syscall.SIGHUP)
		eventually(r, "the router has reloaded", func() bool {
			return p.count(reloaded) >= good && p.count(refused) >= bad
		})
	}
	r.mend()
	stopStream()
	stopPubSub()
	r.settle()
	if p.count(reloaded) != good || p.count(refused) != bad {
		r.violate("reload", "%d of %d reloads were done and %d of %d refused", p.count(reloaded), good, p.count(refused), bad)
	}
	r.allOfOther()
}

// allOfOther checks that everything on the Pub/Sub channel was handled.
func (r *round) allOfOther() {
	r.Helper()
	if !within(r.within, func() bool { return r.doneOf('q') == r.other.events() }) {
		r.violate("I1", "%d events of %d on the Pub/Sub channel were handled", r.doneOf('q'), r.other.events())
	}
}

// install puts a file there in one of the ways that people and programs have.
func (r *round) install(path, text string) {
	r.Helper()
	next := fmt.Sprint(path, ".", r.rand.Uint64())
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		r.Fatal(err)
	}
	var err error
	switch r.rand.IntN(3) {
	case 0: // written where it stands
		err = os.WriteFile(path, []byte(text), 0o600)
	case 1: // replaced, as editors do
		err = os.Rename(next, path)
	default: // a link that is swapped, as Kubernetes does
		link := next + ".link"
		if err = os.Symlink(filepath.Base(next), link); err == nil {
			err = os.Rename(link, path)
		}
	}
	if err != nil {
		r.Fatal(err)
	}
}

// breakFile makes the configuration one that cannot be used.
func (r *round) breakFile(path string) {
	r.Helper()
	_ = os.Remove(path)
	text := r.text(r.version(1))
	switch r.rand.IntN(4) {
	case 0: // deleted
		return
	case 1: // half-written
		text = text[:len(text)/2] + "\n[["
	case 2: // wrong
		text = strings.Replace(text, `handler = "effect"`, `handler = "effcet"`, 1)
	default: // what only a restart can change
		text = strings.Replace(text, `name = "chaos"`, `name = "other"`, 1)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.Fatal(err)
	}
}

// killedMidReload kills a router when the new configuration is built and not yet in use.
func killedMidReload(r *round) {
	const inFlight = 256
	r.serve()
	r.repeats = inFlight
	c := r.version(1)
	c.rest = ""
	victim := r.router(c, "CHAOS_FAILPOINTS=mid-reload=kill@1")
	r.router(c)
	stop := r.load(1000)
	r.awaitHandled(r.between(50, 300))
	c.route = "retry = { attempts = 7 }"
	r.install(victim.config, r.text(c))
	victim.signal(syscall.SIGHUP)
	r.awaitDeath(victim)
	r.mend()
	r.producer.add(context.Background(), make([]string, 50)...)
	stop()
	r.settle()
}
