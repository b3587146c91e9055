package router

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/router/internal/batch"
)

// watching is a router on a channel that may not be silent, and what its routes are told.
type watching struct {
	*running
	own   *heard
	began time.Time
	t     *testing.T
}

// watch runs a router on the clock of a synctest bubble, which begins on a Saturday at
// midnight UTC.
func watch(t *testing.T, after StaleAfter, hours string, change func(*Config)) *watching {
	cfg, own := listening(PubSub, accepting)
	cfg.Channels[0].StaleAfter, cfg.Channels[0].Fields.Key = after, "k"
	if hours != "" {
		cfg.Channels[0].Hours = hoursOf(t, hours)
	}
	if change != nil {
		change(&cfg)
	}
	w := &watching{own: own, began: time.Now(), t: t}
	w.running = start(t, cfg, Options{})
	return w
}

// tick brings an event of a key.
func (w *watching) tick(key string) {
	w.t.Helper()
	w.await(w.t, w.send(w.t, fmt.Sprintf(`{"type":"t","k":%q}`, key)))
}

// until lets the time pass until so long after the beginning.
func (w *watching) until(after time.Duration) {
	time.Sleep(time.Until(w.began.Add(after)))
	synctest.Wait()
}

// told checks what was told since the last time: "5s stale k since 2s".
func (w *watching) told(want ...string) {
	w.t.Helper()
	synctest.Wait()
	var got []string
	for len(w.own.events) > 0 {
		e := <-w.own.events
		var data Silence
		if err := json.Unmarshal(e.Data, &data); err != nil || data.Key != e.Key {
			w.t.Errorf("%s with %s: %v", e.Type, e.Data, err)
		}
		text := fmt.Sprint(e.Time.Sub(w.began), " ", strings.TrimPrefix(e.Type, OwnPrefix), " ", e.Key, " since ", data.Since.Sub(w.began))
		got = append(got, strings.ReplaceAll(text, "  ", " "))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.t.Errorf("after %v: told %q, want %q", time.Since(w.began), got, want)
	}
}

// says checks the channel's statistics.
func (w *watching) says(stale, last time.Duration, keys int) {
	w.t.Helper()
	s := w.Stats().Channels["in"]
	of := func(at time.Time) time.Duration {
		if at.IsZero() {
			return -1
		}
		return at.Sub(w.began)
	}
	if of(s.Stale) != stale || of(s.LastEvent) != last || s.StaleKeys != keys {
		w.t.Errorf("after %v: stale since %v with %d keys, last event %v; want %v, %d, %v", time.Since(w.began), of(s.Stale), s.StaleKeys, of(s.LastEvent), stale, keys, last)
	}
	if at, is := w.Stale()["in"]; is != (stale >= 0) || is && of(at) != stale {
		w.t.Errorf("Stale() is %v", w.Stale())
	}
}

func TestStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, StaleAfter{Any: 5 * time.Second}, "", nil)
		w.until(4 * time.Second)
		w.told()
		w.says(-1, -1, 0)
		w.until(6 * time.Second) // it never came
		w.told("5s stale since 0s")
		w.says(0, -1, 0)
		w.until(20 * time.Second)
		w.tick("a")
		w.told("20s live since 0s")
		w.says(-1, 20*time.Second, 0)
		for range 9 {
			time.Sleep(4 * time.Second)
			w.tick("")
		}
		w.told()
		w.until(60*time.Second + 999*time.Millisecond)
		w.told()
		w.until(2 * time.Hour)
		w.told("1m1s stale since 56s")
		w.says(56*time.Second, 56*time.Second, 0)
		if lines := w.logs.lines(t, slog.LevelWarn, "the channel is stale"); len(lines) != 2 {
			t.Errorf("logged %v", lines)
		}
		if lines := w.logs.lines(t, slog.LevelInfo, "the channel is live again"); len(lines) != 1 {
			t.Errorf("logged %v", lines)
		}
	})
}

// What is no event, comes from Signalbox, was kept or failed before shows nothing to be alive.
func TestStaleAlthoughSomethingComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, StaleAfter{Any: 5 * time.Second}, "", nil)
		w.until(time.Second)
		w.tick("a")
		w.until(2 * time.Second)
		w.await(t, w.send(t, `no JSON`, `{"type":"signalbox.connected"}`))
		<-w.own.events
		kept := &batch.Item{Topic: "topic", Payload: []byte(`{"type":"t","k":"b"}`), Owner: w.carrier, Kept: true}
		again := &batch.Item{Topic: "topic", Payload: []byte(`{"type":"t","k":"b"}`), Owner: w.carrier, Replay: &batch.Replay{Group: "router"}}
		w.sendItems(t, []*batch.Item{kept, again})
		w.until(10 * time.Second)
		w.told("6s stale since 1s")
		w.await(t, w.send(t, `{"type":"nobody takes it"}`))
		w.told("10s live since 1s")
	})
}

func TestStaleKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, StaleAfter{PerKey: 5 * time.Second}, "", nil)
		w.until(time.Hour)
		w.tick("a")
		w.until(time.Hour + time.Second)
		w.await(t, w.send(t, `{"type":"t","k":"b"}`, `{"type":"t","k":"c"}`, `{"type":"t","k":"b"}`, `{"type":"t"}`))
		w.until(time.Hour + 4*time.Second)
		w.tick("b")
		w.told()
		w.until(time.Hour + 7*time.Second)
		w.told("1h0m5s stale a since 1h0m0s", "1h0m6s stale c since 1h0m1s")
		w.says(-1, time.Hour+4*time.Second, 2)
		w.tick("a")
		w.told("1h0m7s live a since 1h0m0s")
		w.until(time.Hour + 8*time.Second)
		w.tick("c")
		w.told("1h0m8s live c since 1h0m1s")
		w.says(-1, time.Hour+8*time.Second, 0)
		w.until(2 * time.Hour)
		w.told("1h0m9s stale b since 1h0m4s", "1h0m12s stale a since 1h0m7s", "1h0m13s stale c since 1h0m8s")
		if lines := w.logs.lines(t, slog.LevelInfo, "no key is stale any more"); len(lines) != 1 {
			t.Errorf("logged %v", lines)
		}
	})
}

// A key that was kept is expected to come, but what is kept is no sign of life of it.
func TestStaleKeysThatWereKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, StaleAfter{PerKey: 5 * time.Second}, "", nil)
		keep := func() {
			w.sendItems(t, []*batch.Item{{Topic: "topic", Payload: []byte(`{"type":"t","k":"a"}`), Owner: w.carrier, Kept: true}})
		}
		keep()
		w.until(time.Minute)
		w.told("5s stale a since 0s")
		keep() // after a reconnect
		w.told()
		w.says(-1, -1, 1)
		w.tick("a")
		w.told("1m0s live a since 0s")
	})
}

// A feed may bring something before anybody watches.
func TestStaleKeysFromTheBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, own := listening(PubSub, accepting)
		cfg.Channels[0].StaleAfter.PerKey, cfg.Channels[0].Fields.Key = 5*time.Second, "k"
		r, err := New(cfg, Options{Subscriber: func(Channel) (message.Subscriber, error) { return newCarrier(), nil }, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		r.lives["in"].know("a")
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if len(own.events) != 1 {
			t.Errorf("%d own events", len(own.events))
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// More keys than own events may be under way are all told, at the pace of who listens.
func TestManyStaleKeys(t *testing.T) {
	const keys = 5 * maxOwn
	synctest.Test(t, func(t *testing.T) {
		told := map[string]int{}
		w := watch(t, StaleAfter{PerKey: 5 * time.Second}, "", func(cfg *Config) {
			slow := HandlerFunc(func(_ context.Context, e *Event) error {
				time.Sleep(time.Millisecond)
				told[e.Type]++
				return nil
			})
			cfg.Handlers = handlers(map[string]Handler{"h": accepting, "own": slow})
		})
		var texts []string
		for i := range keys {
			texts = append(texts, fmt.Sprintf(`{"type":"t","k":"%d"}`, i))
		}
		for range 2 {
			w.await(t, w.send(t, texts...))
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		if told[TypeStale] != 2*keys || told[TypeLive] != keys {
			t.Errorf("told %v", told)
		}
		if lines := w.logs.lines(t, slog.LevelWarn, "own events come faster than they are handled; dropped"); len(lines) != 0 {
			t.Errorf("logged %v", lines)
		}
		if lines := w.logs.lines(t, slog.LevelWarn, "keys are stale"); len(lines) == 0 || len(lines) > 60 {
			t.Errorf("%d lines of so many keys", len(lines))
		}
	})
}

func TestKeysAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, StaleAfter{PerKey: 5 * time.Second}, "", nil)
		l := w.lives["in"]
		keys := make([]string, maxSequences+10)
		for i := range keys {
			keys[i] = fmt.Sprint(i)
		}
		l.saw(append([]string{strings.Repeat("x", 1<<20)}, keys...))
		synctest.Wait()
		if n := len(l.keys.of); n != maxSequences {
			t.Errorf("%d keys", n)
		}
		l.saw(keys)
		synctest.Wait()
		if lines := w.logs.lines(t, slog.LevelWarn, "too many keys: it is not noticed when new ones are stale"); len(lines) != 1 {
			t.Errorf("logged %v", lines)
		}
		w.stop() // it would tell them all
	})
}

// Silence counts within hours only. What is told to be stale is told to be live when
// something comes, however much later, and not before.
func TestHoursOfSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const h = time.Hour
		w := watch(t, StaleAfter{Any: time.Minute}, "daily 09:00-17:00 UTC", nil)
		w.until(8 * h)
		w.told()
		w.says(-1, -1, 0)
		w.until(9*h + 61*time.Second)
		w.told("9h1m0s stale since 9h0m0s")
		w.says(9*h, -1, 0)
		w.tick("")
		w.told("9h1m1s live since 9h0m0s")
		w.until(10 * h)
		w.told("9h2m1s stale since 9h1m1s")
		w.until(17 * h)
		w.told() // closing is no sign of life
		w.says(-1, 9*h+61*time.Second, 0)
		w.until(33*h + 30*time.Second)
		w.told()
		w.until(34 * h)
		w.told("33h1m0s stale since 33h0m0s") // the next day begins afresh
		w.says(33*h, 9*h+61*time.Second, 0)
		w.until(42 * h)
		w.tick("") // when it is closed, too
		w.told("42h0m0s live since 33h0m0s")
		w.until(57 * h)
		w.tick("")
		w.until(57*h + 59*time.Second)
		w.told()
		w.until(58 * h)
		w.told("57h1m0s stale since 57h0m0s")
		if lines := w.logs.lines(t, slog.LevelWarn, "the channel is stale"); len(lines) != 4 {
			t.Errorf("logged %v", lines)
		}
	})
}

// A key is expected when the hours begin anew, unless it was silent for all of the last ones.
func TestHoursOfKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const h, m = time.Hour, time.Minute
		w := watch(t, StaleAfter{PerKey: time.Minute}, "daily 09:00-17:00 UTC", nil)
		w.until(10 * h)
		w.tick("a")
		w.tick("b")
		w.until(16*h + 59*m + 30*time.Second)
		w.told("10h1m0s stale a since 10h0m0s", "10h1m0s stale b since 10h0m0s")
		w.tick("b")
		w.told("16h59m30s live b since 10h0m0s")
		w.until(18 * h)
		w.says(-1, 16*h+59*m+30*time.Second, 0)
		w.until(34 * h)
		w.told("33h1m0s stale a since 33h0m0s", "33h1m0s stale b since 33h0m0s")
		w.says(-1, 16*h+59*m+30*time.Second, 2)
		w.tick("b")
		w.told("34h0m0s live b since 33h0m0s")
		w.until(58 * h)
		w.told("34h1m0s stale b since 34h0m0s", "57h1m0s stale b since 57h0m0s") // a may be gone for good
		w.tick("a")
		w.told("58h0m0s live a since 33h0m0s")
		w.until(59 * h)
		w.told("58h1m0s stale a since 58h0m0s")
	})
}

// Isolated routes and those with the others are told alike, once; who doesn't ask isn't.
func TestStaleIsToldToEachRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, StaleAfter{Any: time.Second}, "", func(cfg *Config) {
			cfg.Routes = append(cfg.Routes,
				Route{Name: "alone", Channel: "in", Types: []string{TypeStale, "t"}, Handler: "own", Isolated: true},
				Route{Name: "plain", Channel: "in", Types: []string{TypeLive}, Handler: "own"})
		})
		w.until(2 * time.Second)
		w.told("1s stale since 0s", "1s stale since 0s")
		if s := w.Stats().Routes; s[0].Handled != 0 || s[2].Handled != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

// A reload keeps what is known of a channel that stays, and goes by its new limits.
func TestReloadKeepsSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cfg Config
		w := watch(t, StaleAfter{Any: 5 * time.Second, PerKey: time.Minute}, "", func(c *Config) { cfg = *c })
		reload := func(change func(*Channel)) {
			t.Helper()
			cfg.Channels = slices.Clone(cfg.Channels)
			change(&cfg.Channels[0])
			mustReload(t, w.running, cfg)
		}
		w.tick("a")
		w.until(4 * time.Second)
		reload(func(ch *Channel) { ch.StaleAfter.Any = 10 * time.Second })
		w.until(9 * time.Second)
		w.told()
		w.until(11 * time.Second)
		w.told("10s stale since 0s")
		reload(func(ch *Channel) { ch.StaleAfter.Any, ch.StaleAfter.PerKey = 5*time.Second, 20*time.Second })
		w.told() // it is known
		w.until(21 * time.Second)
		w.told("20s stale a since 0s")
		reload(func(ch *Channel) { ch.Description = "another" })
		w.says(0, 0, 1)
		w.tick("a")
		w.told("21s live since 0s", "21s live a since 0s")

		reload(func(ch *Channel) { ch.StaleAfter = StaleAfter{} })
		w.until(2 * time.Minute)
		w.told()
		w.says(-1, -1, 0)
		reload(func(ch *Channel) { ch.StaleAfter.Any = 5 * time.Second })
		w.until(3 * time.Minute)
		w.told("2m5s stale since 2m0s")

		cfg.Channels[0].Name, cfg.Channels[0].Topic = "other", "topic"
		for i := range cfg.Routes {
			cfg.Routes[i].Channel = "other"
		}
		reload(func(*Channel) {})
		w.until(4 * time.Minute)
		w.told() // it has another name, and is the same
		w.tick("")
		w.told("4m0s live since 2m0s")
	})
}

// Where the time is simulated, nothing goes stale by it.
func TestNothingIsStaleInSimulatedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, own := listening(PubSub, accepting)
		cfg.Channels[0].StaleAfter = StaleAfter{Any: time.Second}
		start(t, cfg, Options{Sleep: func(context.Context, <-chan struct{}, time.Duration) {}})
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(own.events) > 0 {
			t.Errorf("told %v", <-own.events)
		}
	})
}

// What a channel that may not be silent pays for an event, of batches of 256.
func BenchmarkSaw(b *testing.B) {
	for _, n := range []int{0, 1, 1000} {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			l := &liveness{router: &Router{}, wake: make(chan struct{}, 1)}
			l.router.lanes.born = time.Now()
			var keys []string
			for i := range min(n, 1) * 256 {
				keys = append(keys, fmt.Sprint("SYMBOL", i*7919%n))
			}
			b.ReportAllocs()
			for range b.N/256 + 1 {
				l.saw(keys)
			}
		})
	}
}
