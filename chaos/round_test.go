//go:build failpoints

package chaos

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/internal/redistest"
)

// fault is one way to break things.
type fault struct {
	number string // in docs/reliability.md
	name   string
	run    func(*round)
	large  bool // only with -large
	once   bool // one round is enough
}

// round is one go at a fault: a server, a producer, routers, and what is expected of them.
type round struct {
	testing.TB
	rand   *rand.Rand
	broken string // what the routers do wrong on purpose, see package failpoint
	dir    string

	server   *redistest.Server
	link     *link // nil: routers talk to the server directly
	producer *producer
	other    *producer // on the channel other; nil: there is none
	procs    []*proc
	idle     map[*proc]use // before the fault

	expect
	mended     time.Time // since when all should get well
	recovery   time.Duration
	found      []string // violations of invariants
	duplicates int
	lost       int // and nobody said so
	told       int // lost, and the routers said so
}

// expect is what a fault permits.
type expect struct {
	repeats  int           // events that may be handled again, at most
	within   time.Duration // how soon everything is well after mended
	routes   int           // that take each event; 0: 1
	sequence bool          // the channel knows where events have their number
	gaps     []gap         // when routers say that they were blind
}

// What routers log of the faults.
const (
	away    = "redis is away; trying again until it is back"
	noGroup = "consumer group is missing; making it again from the beginning"
)

// unacknowledged is how many events may be handled before Redis is told, beside those in
// flight, when a router works as fast as it can.
const unacknowledged = 256

// topic is the Redis name of the channel work.
const topic = "chaos:work"

func newRound(tb testing.TB, seed uint64, broken string) *round {
	tb.Helper()
	r := &round{
		TB: tb, rand: rand.New(rand.NewPCG(seed, 0)), broken: broken, dir: tb.TempDir(), //nolint:gosec // it must be the same again
		idle: map[*proc]use{}, expect: expect{within: 10 * time.Second},
	}
	return r
}

// serve starts Redis and connects the producer.
func (r *round) serve(options ...redistest.Option) {
	r.Helper()
	r.server = redistest.Start(r.TB, options...)
	client := redis.NewClient(&redis.Options{
		Addr: r.server.Addr(), MaxRetries: -1, PoolSize: 100, DisableIdentity: true,
		ReadTimeout: patience, // a paused server answers late; that is no unknown outcome
	})
	r.Cleanup(func() { _ = client.Close() })
	r.producer = &producer{client: client, topic: topic, name: "p", sent: map[string]sent{}}
}

// known are all events that were sent.
func (r *round) known() map[string]sent {
	known := r.producer.known()
	if r.other != nil {
		maps.Copy(known, r.other.known())
	}
	return known
}

// viaLink puts a network between the server and the routers.
func (r *round) viaLink() { r.link = newLink(r.TB, r.server.Addr()) }

// between is a number from low to high, both included.
func (r *round) between(low, high int) int { return low + r.rand.IntN(high-low+1) }

// lasting is a duration from low to high.
func (r *round) lasting(low, high time.Duration) time.Duration {
	return low + time.Duration(r.rand.Int64N(int64(high-low)+1))
}

// some is what n events shall do: in percent of them, by chance, one of the bad things.
func (r *round) some(n, percent int, bad ...string) []string {
	do := make([]string, n)
	for i := range do {
		if r.rand.IntN(100) < percent {
			do[i] = one(r, bad...)
		}
	}
	return do
}

// one of the choices.
func one[T any](r *round, choices ...T) T { return choices[r.rand.IntN(len(choices))] }

// config is a configuration: lines for the channel work, for its route, for the handler.
type config struct{ service, channel, route, handler, defaults, rest string }

// text is the file.
func (r *round) text(c config) string {
	if !strings.Contains(c.channel, "transport") {
		c.channel = "transport = \"stream\"\n" + c.channel
	}
	return fmt.Sprintf(`
[service]
name = "chaos"
%s
[redis]
url = "${REDIS_URL}"
[log]
format = "json"
[channels.work]
name = %q
%s
[handlers.effect]
%s
[defaults]
%s
[[routes]]
channel = "work"
type = "*"
handler = "effect"
%s
%s
`, c.service, topic, c.channel, c.handler, c.defaults, c.route, c.rest)
}

// beside has a channel other, with a producer of its own and the same handler.
func (r *round) beside() string {
	const topic = "chaos:other"
	r.other = &producer{client: r.producer.client, topic: topic, name: "q", sent: map[string]sent{}}
	return fmt.Sprintf(`
[channels.other]
transport = "stream"
name = %q
[[routes]]
channel = "other"
type = "*"
handler = "effect"
name = "other"
`, topic)
}

// write makes the file.
func (r *round) write(c config) string {
	r.Helper()
	file := filepath.Join(r.dir, fmt.Sprintf("routes%d.toml", len(r.procs)))
	if err := os.WriteFile(file, []byte(r.text(c)), 0o600); err != nil {
		r.Fatal(err)
	}
	return file
}

// router starts a router and returns when it is ready.
func (r *round) router(c config, env ...string) *proc {
	r.Helper()
	p := r.launch(c, env...)
	p.awaitReady()
	if u, ok := r.usage(p); ok {
		r.idle[p] = u
	}
	return p
}

// launch starts a router.
func (r *round) launch(c config, env ...string) *proc {
	r.Helper()
	url := r.server.URL()
	if r.link != nil {
		url = r.link.url()
	}
	env = append([]string{"REDIS_URL=" + url, "CHAOS_BROKEN=" + r.broken}, env...)
	p := start(r.TB, r.dir, fmt.Sprintf("router%d", len(r.procs)), r.write(c), env...)
	r.procs = append(r.procs, p)
	r.Cleanup(func() {
		p.kill()
		if r.Failed() {
			r.Logf("the last lines of %s:\n%s", p.name, p.tail(15))
		}
	})
	return p
}

// usage asks a router what it uses.
func (r *round) usage(p *proc) (use, bool) {
	before := len(p.read().uses)
	p.signal(syscall.SIGUSR1)
	var after []use
	if !within(5*time.Second, func() bool {
		after = p.read().uses
		return len(after) > before || !p.running()
	}) || len(after) == 0 {
		return use{}, false
	}
	return after[len(after)-1], true
}

// load sends events until the returned function is called.
func (r *round) load(perSecond int) (stop func()) { return r.loadOf(r.producer, perSecond) }

func (r *round) loadOf(p *producer, perSecond int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.flow(ctx, perSecond)
	}()
	stop = func() {
		cancel()
		<-ended
	}
	r.Cleanup(stop)
	return stop
}

// awaitHandled returns when so many effects have ended well since the round began.
func (r *round) awaitHandled(n int) {
	r.Helper()
	eventually(r, fmt.Sprintf("%d events are handled", n), func() bool { return r.done() >= n })
}

// done counts the events that were handled; one that two routers handled counts twice.
func (r *round) done() int { return r.doneOf('p') + r.doneOf('q') }

// doneOf counts those whose ids begin so.
func (r *round) doneOf(letter byte) (n int) {
	for _, p := range r.procs {
		n += p.read().done[letter]
	}
	return n
}

// happened fails a round whose fault did not reach the router: it would prove nothing.
func (r *round) happened(p *proc, msg string) {
	r.Helper()
	if !p.logged(msg) {
		r.Fatalf("the fault did not happen: %s did not log %q", p.name, msg)
	}
}

// mend notes that from now on all should get well.
func (r *round) mend() { r.mended = time.Now() }

// violate notes that an invariant does not hold.
func (r *round) violate(invariant, format string, args ...any) {
	r.found = append(r.found, invariant+": "+fmt.Sprintf(format, args...))
}
