//go:build failpoints

package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"signalbox/internal/brokertest"
	"signalbox/internal/redistest"
)

// The times of these sources. A frozen client's session ends at the broker, at the latest,
// brokerPing + brokerPong after it froze; takeoverDelay is longer.
const (
	leaseFor      = time.Second
	takeoverDelay = 1700 * time.Millisecond
	brokerPing    = 300 * time.Millisecond
	brokerPong    = 1200 * time.Millisecond
	standDown     = time.Second
	brokerRate    = 200 // ticks a second
	brokerSymbols = 5
)

// feedTopic is the Redis name of the channel that the source publishes to.
const feedTopic = "chaos:feed"

// relay is a broker that permits one session, and routers of which one at a time connects.
type relay struct {
	*round
	broker  *brokertest.Broker
	routers []*seat
	reader  *reader
	took    []time.Duration // from a fault until ticks flowed again
	env     []string        // of the routers
}

// seat is the place of a router: its link to Redis, and the process of the moment.
type seat struct {
	name string
	link *link
	proc *proc
}

// relayConfig is what each router runs.
const relayConfig = `
[service]
name = %q
drain = "1s"
[redis]
url = "${REDIS_URL}"
[log]
format = "json"
[http]
listen = "127.0.0.1:0"
[channels.feed]
name = "chaos:feed"
transport = "pubsub"
key_field = "data.S"
[sources.feed]
kind = "websocket"
url = [%q]
channel = "feed"
type_field = "T"
id_field = "i"
time_field = "t"
key_field = "S"
split = true
lease_for = %q
takeover_delay = %q
conflict = %q
stand_down = %q
backoff = "50ms"
max_backoff = "400ms"
connect_budget = { connects = "${CONNECTS:-1000}", per = "10s" }
stale_after = "2s"
greeting = { expect = { T = "success", msg = "connected" }, timeout = "2s" }
auth = { message = { action = "auth", key = "k" }, expect = { T = "success", msg = "authenticated" }, fail_on = { T = "error" }, timeout = "2s" }
subscribe = [{ action = "subscribe", symbols = ["*"] }]
confirm = { expect = { T = "subscription" }, timeout = "2s" }
ping = { every = "300ms", timeout = "600ms" }
errors = [{ match = { T = "error", code = 406 }, then = "stand_down" }, { code = [4406, 4410], then = "stand_down" }, { code = 1012, then = "retry" }]
`

func newRelay(tb testing.TB, seed uint64, second brokertest.Second, broken string) *relay {
	tb.Helper()
	r := &relay{round: newRound(tb, seed, broken)}
	r.server = redistest.Start(tb)
	r.broker = brokertest.Start(tb, brokertest.Options{
		Second: second, Key: "k", Symbols: brokerSymbols, Rate: brokerRate, Batch: 10, Ping: brokerPing, PingWithin: brokerPong,
	})
	r.reader = newReader(tb, r.server)
	conflict := "refuses"
	if second == brokertest.Evict {
		conflict = "evicts"
	}
	for i := range 3 {
		s := &seat{name: fmt.Sprintf("router%d", i), link: newLink(tb, r.server.Addr())}
		r.routers = append(r.routers, s)
		text := fmt.Sprintf(relayConfig, s.name, r.broker.URL()+"/?"+s.name, leaseFor, takeoverDelay, conflict, standDown)
		file := filepath.Join(r.dir, s.name+".toml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	tb.Cleanup(func() {
		for _, s := range r.routers {
			if s.proc == nil {
				continue
			}
			s.proc.signal(syscall.SIGCONT)
			s.proc.kill()
			if tb.Failed() {
				tb.Logf("the last lines of %s:\n%s", s.name, s.proc.tail(40))
			}
		}
	})
	return r
}

// beginAll starts the routers.
func (r *relay) beginAll() {
	for _, s := range r.routers {
		r.begin(s)
	}
}

// begin starts the router of a seat.
func (r *relay) begin(s *seat) {
	n := 0
	if s.proc != nil {
		n = len(r.procs)
	}
	s.proc = start(r.TB, r.dir, fmt.Sprintf("%s-%d", s.name, n), filepath.Join(r.dir, s.name+".toml"), append([]string{"REDIS_URL=" + s.link.url(), "CHAOS_BROKEN=" + r.broken}, r.env...)...)
	r.procs = append(r.procs, s.proc)
}

// holder is the seat whose session goes on.
func (r *relay) holder() *seat {
	r.Helper()
	var of *seat
	eventually(r, "a session goes on", func() bool {
		for _, one := range r.broker.Sessions() {
			for _, s := range r.routers {
				if one.Open() && one.Asked == "/?"+s.name {
					of = s
				}
			}
		}
		return of != nil
	})
	return of
}

// flows waits until ticks come that are newer than a moment.
func (r *relay) flows(since time.Time) {
	r.Helper()
	eventually(r, "ticks flow", func() bool { return r.reader.newest().After(since) })
}

// disturb breaks something and mends it, and waits until ticks flow again.
func (r *relay) disturb() {
	r.Helper()
	faults := []func(*seat){r.crash, r.freeze, r.cut, r.halfOpenLink, r.handOver, r.restartRedis, r.flush, r.pauseRedis}
	one(r.round, faults...)(r.holder())
}

// again measures how long it takes from a fault until ticks of a later session flow.
func (r *relay) again(fault time.Time) {
	r.Helper()
	r.flows(fault.Add(100 * time.Millisecond)) // what was under way may still arrive
	r.took = append(r.took, r.reader.newest().Sub(fault))
}

func (r *relay) crash(s *seat) {
	s.proc.kill()
	r.again(time.Now())
	r.begin(s)
}

func (r *relay) handOver(s *seat) {
	at := time.Now()
	s.proc.terminate()
	r.again(at)
	r.begin(s)
}

// freeze stops the holder for longer than its lease, so that another one takes over.
func (r *relay) freeze(s *seat) {
	at := time.Now()
	s.proc.signal(syscall.SIGSTOP)
	defer s.proc.signal(syscall.SIGCONT)
	time.Sleep(r.lasting(leaseFor, 4*leaseFor))
	r.again(at)
}

// cut takes the holder's Redis away.
func (r *relay) cut(s *seat) {
	at := time.Now()
	s.link.proxy.Stop()
	time.Sleep(r.lasting(leaseFor/2, 3*leaseFor))
	r.again(at)
	if err := s.link.proxy.Start(); err != nil {
		r.Fatal(err)
	}
}

// halfOpenLink lets nothing through between the holder and Redis, and does not say so.
func (r *relay) halfOpenLink(s *seat) {
	at := time.Now()
	up := s.link.toxic("timeout", "upstream", map[string]any{"timeout": 0})
	down := s.link.toxic("timeout", "downstream", map[string]any{"timeout": 0})
	time.Sleep(r.lasting(leaseFor/2, 3*leaseFor))
	r.again(at)
	up()
	down()
}

func (r *relay) restartRedis(*seat) {
	at := time.Now()
	r.server.Kill()
	time.Sleep(r.lasting(0, 3*leaseFor))
	r.server.Restart()
	r.again(at)
}

// flush makes Redis forget everything.
func (r *relay) flush(*seat) {
	at := time.Now()
	if err := r.server.Client().FlushAll(context.Background()).Err(); err != nil {
		r.Fatal(err)
	}
	r.again(at)
}

func (r *relay) pauseRedis(*seat) {
	at := time.Now()
	r.server.Pause()
	time.Sleep(r.lasting(leaseFor/4, 3*leaseFor))
	r.server.Resume()
	r.again(at)
}

// judge fails the test if the broker ever had two sessions, or a reader was misled.
func (r *relay) judge() {
	r.Helper()
	for _, complaint := range r.complaints() {
		r.Error(complaint)
	}
}

func (r *relay) complaints() []string {
	var complaints []string
	if most := r.broker.MaxConcurrent(); most > 1 {
		complaints = append(complaints, fmt.Sprintf("the broker had %d sessions at once:\n%s", most, sessionsText(r.broker.Sessions())))
	}
	return append(complaints, r.reader.judge()...)
}

func sessionsText(all []brokertest.Session) (text string) {
	for _, s := range all {
		text += fmt.Sprintf("  %s  %s to %s: %s, %d ticks\n", s.Asked, s.Begin.Format("05.000"), s.End.Format("05.000"), s.Why, s.Sent)
	}
	return text
}

// TestSources breaks what can break around a source, in random order, many times.
func TestSources(t *testing.T) {
	slots := make(chan struct{}, max(1, *together/2)) // three routers each, which mostly wait
	var mu sync.Mutex
	var took []time.Duration
	t.Run("schedules", func(t *testing.T) {
		for i := range *schedules {
			seed := *seed + uint64(i)
			second := []brokertest.Second{brokertest.Both, brokertest.Both, brokertest.Refuse, brokertest.Evict}[seed%4]
			t.Run(fmt.Sprint("seed_", seed), func(t *testing.T) {
				t.Parallel()
				slots <- struct{}{}
				defer func() { <-slots }()
				r := newRelay(t, seed, second, "")
				r.beginAll()
				for range 3 {
					r.flows(time.Now())
					r.disturb()
				}
				r.flows(time.Now())
				r.judge()
				mu.Lock()
				defer mu.Unlock()
				took = append(took, r.took...)
			})
		}
	})
	slices.Sort(took)
	if n := len(took); n > 0 {
		t.Logf("from a fault until ticks flowed again: p50 %s, p99 %s, at most %s, of %d",
			took[n/2].Round(time.Millisecond), took[n*99/100].Round(time.Millisecond), took[n-1].Round(time.Millisecond), n)
	}
}

// inHand freezes a holder that is sure to be it, and has a message in hand for Redis. When it
// wakes up it goes on where it was.
func (r *relay) inHand() {
	r.Helper()
	r.env = []string{"CHAOS_FAILPOINTS=before-publish=pause:2s@100"}
	r.beginAll()
	r.flows(time.Now())
	s := r.holder()
	eventually(r, "the holder is held up", func() bool { return time.Since(r.reader.newest()) > 300*time.Millisecond })
	r.freeze(s)
	time.Sleep(leaseFor)
}

// TestInHand shows that Redis itself refuses what comes too late.
func TestInHand(t *testing.T) {
	r := newRelay(t, *seed, brokertest.Both, "")
	r.inHand()
	r.judge()
}

// TestSourcesHarnessCatches runs routers that make a mistake on purpose: somebody has to notice.
func TestSourcesHarnessCatches(t *testing.T) {
	holder := func(fault func(*relay, *seat)) func(*relay) {
		return func(r *relay) {
			r.beginAll()
			r.flows(time.Now())
			fault(r, r.holder())
			time.Sleep(leaseFor) // for what comes late
		}
	}
	for _, tt := range []struct {
		broken, by string
		fault      func(*relay)
	}{
		{"hold-on", "2 sessions at once", holder((*relay).cut)},
		{"no-fence", "after epoch", (*relay).inHand},
		{"no-delay", "2 sessions at once", holder((*relay).freeze)},
	} {
		t.Run(tt.broken, func(t *testing.T) {
			t.Parallel()
			const tries = 5 // it is a matter of milliseconds
			var found []string
			for n := range tries {
				t.Run(fmt.Sprint(n), func(t *testing.T) {
					r := newRelay(t, *seed+uint64(n), brokertest.Both, tt.broken) //nolint:gosec // not negative
					tt.fault(r)
					found = append(found, r.complaints()...)
				})
				if slices.ContainsFunc(found, func(c string) bool { return strings.Contains(c, tt.by) }) {
					return
				}
			}
			t.Errorf("nobody noticed %s; found: %q", tt.broken, found)
		})
	}
}
