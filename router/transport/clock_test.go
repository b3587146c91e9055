package transport

import (
	"testing"
	"time"
	"unsafe"

	"github.com/redis/go-redis/v9"

	"signalbox/internal/redistest"
	"signalbox/router/internal/batch"
)

// near reports whether two times are the same but for what a busy machine may cost.
func near(a, b time.Time) bool { return a.Sub(b).Abs() < 500*time.Millisecond }

// It knows the time of Redis as well as the answers tell.
func TestClockLearns(t *testing.T) {
	const ms = time.Millisecond
	for name, tt := range map[string]struct {
		first, then time.Duration // ahead of this machine
		margins     [2]time.Duration
		after       time.Duration
		want        time.Duration
	}{
		"a better answer":                {time.Hour, time.Hour + 3*ms, [2]time.Duration{50 * ms, ms}, time.Second, time.Hour + 3*ms},
		"a worse answer":                 {time.Hour, time.Hour + 3*ms, [2]time.Duration{ms, 50 * ms}, time.Second, time.Hour},
		"a worse answer after long":      {time.Hour, time.Hour + 3*ms, [2]time.Duration{ms, 50 * ms}, time.Minute, time.Hour + 3*ms},
		"redis' clock was set":           {time.Hour, -time.Hour, [2]time.Duration{ms, 50 * ms}, time.Second, -time.Hour},
		"redis' clock was set by little": {0, 60 * ms, [2]time.Duration{ms, 50 * ms}, time.Second, 60 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			c := &open(t, "redis://127.0.0.1:1").clock
			now := time.Now()
			if got := c.at(now); !got.Equal(now) {
				t.Errorf("before it knows: %v, want the machine's own %v", got, now)
			}
			c.learn(moment{now, now.Add(tt.first), tt.margins[0]})
			then := now.Add(tt.after)
			c.learn(moment{then, then.Add(tt.then), tt.margins[1]})
			if ahead := c.at(then).Sub(then); ahead != tt.want {
				t.Errorf("redis is ahead by %v, want %v", ahead, tt.want)
			}
		})
	}
}

// A wrong clock is told of once, and once when it is right again.
func TestClockDiffers(t *testing.T) {
	n := open(t, "redis://127.0.0.1:1")
	now := time.Now()
	for _, ahead := range []time.Duration{0, -time.Hour, -time.Hour, 0, 0, time.Hour} {
		n.clock.learn(moment{now, now.Add(ahead), time.Millisecond})
	}
	for text, want := range map[string]int{
		"Redis' clock differ":       2,
		"Redis' clock agree again":  1,
		"ahead=1h0m0s":              1,
		"ahead=-1h0m0s":             1,
		"ages are told by Redis'\"": 2,
	} {
		if got := n.log.count(text); got != want {
			t.Errorf("%d lines with %q, want %d", got, text, want)
		}
	}
}

// What arrives on either transport has the time of Redis, and so has the program.
func TestClockOfRedis(t *testing.T) {
	server := redistest.Start(t)
	n := open(t, server.URL())
	if err := n.Synchronize(t.Context()); err != nil {
		t.Fatal(err)
	}
	known := *n.clock.known.Load()
	known.redis = known.redis.Add(-time.Hour)
	known.margin = 0
	n.clock.known.Store(&known) // as if that were so; the next answer comes in seconds
	past := time.Now().Add(-time.Hour)
	if !near(n.Now(), past) {
		t.Errorf("now %v, want %v", n.Now(), past)
	}
	messages := subscribe(t, n, n.PubSub(PubSubConfig{MaxBatch: 2}), "prices")
	server.Client().Publish(t.Context(), "prices", "{}")
	if at := take(t, messages)[0].Time; !near(at, past) {
		t.Errorf("arrived at %v, want %v", at, past)
	}
}

// A Redis user that may not ask for the time is told how to change that, and the clock of
// the machine has to do.
func TestClockIsRefused(t *testing.T) {
	server := redistest.Start(t)
	ctx := t.Context()
	if err := server.Client().Do(ctx, "ACL", "SETUSER", "default", "-time").Err(); err != nil {
		t.Fatal(err)
	}
	n := open(t, server.URL())
	prices := subscribe(t, n, n.PubSub(PubSubConfig{MaxBatch: 2}), "prices")
	work := subscribe(t, n, n.Stream(StreamConfig{Group: "bot", MaxBatch: 2}), "work")
	server.Client().Publish(ctx, "prices", "{}")
	server.Client().XAdd(ctx, &redis.XAddArgs{Stream: "work", Values: []any{"payload", "{}"}})
	for _, item := range []*batch.Item{take(t, prices)[0], take(t, work)[0]} {
		if !near(item.Time, time.Now()) {
			t.Errorf("%s: %v, want now", item.Topic, item.Time)
		}
		item.Owner.Done(item)
	}
	if n.log.count("redis does not tell its time") != 1 || n.log.count("remedy=\"+time in") != 1 {
		t.Errorf("want one line about it")
	}
	if log, err := server.Client().ACLLog(ctx, 10).Result(); err != nil || len(log) != 1 || log[0].Count != 1 {
		t.Errorf("ACL log %+v, %v; want one refusal", log, err)
	}
}

// While Redis is away the clock goes on.
func TestClockWithoutRedis(t *testing.T) {
	server := redistest.Start(t)
	n := open(t, server.URL())
	if err := n.Synchronize(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	if err := n.clock.ask(t.Context()); err == nil {
		t.Fatal("no error without Redis")
	}
	if !near(n.Now(), time.Now()) {
		t.Errorf("now %v", n.Now())
	}
	absent := open(t, server.URL())
	if err := absent.Synchronize(t.Context()); err == nil {
		t.Error("no error without Redis")
	}
}

// beforeASleep is a time as it was remembered before the machine was suspended for so
// long: the monotonic clock has not gone on meanwhile, the other has.
func beforeASleep(at time.Time, slept time.Duration) time.Time {
	layout := (*struct {
		wall uint64 // 1 bit, 33 bits of seconds, 30 bits of nanoseconds
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&at))
	layout.wall -= uint64(slept/time.Second) << 30
	return at
}

// A machine that was suspended takes nothing up before it knows the time again: what came
// meanwhile is old.
func TestClockAfterASuspension(t *testing.T) {
	server := redistest.Start(t)
	n := open(t, server.URL())
	if err := n.Synchronize(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := n.alive.ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	const slept = time.Hour
	last := beforeASleep(*n.alive.last.Load(), slept)
	if e := elapsed(last); e < slept {
		t.Fatalf("elapsed %v: the layout of time.Time is another one", e)
	}
	known := *n.clock.known.Load()
	known.here, known.redis = beforeASleep(known.here, slept), known.redis.Add(-slept)
	n.clock.known.Store(&known)
	n.alive.last.Store(&last)
	if _, marked := n.alive.state(); marked {
		t.Fatal("streams go on at once")
	}
	if err := n.alive.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, marked := n.alive.state(); !marked || !near(n.Now(), time.Now()) {
		t.Errorf("streams go on (%v), and it is %v there, %v by Redis' clock: what came meanwhile passes for new", marked, n.Now(), time.Now())
	}
}
