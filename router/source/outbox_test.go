package source

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/router"
)

// A Redis that is away holds up nothing: the newest of each key are published when it is back,
// and the seq says what is missing.
func TestRedisAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.failing = errors.New("redis is away")
		cfg := configOf(func(ctx context.Context, to router.Sink) error {
			for i := range 1000 {
				to.Emit(tick(i, []string{"A", "B"}[i%2]))
			}
			<-ctx.Done()
			return ctx.Err()
		})
		cfg.Sources[0].Queue = 10
		s, stop := begin(t, w, cfg)
		settle(time.Minute)
		w.mu.Lock()
		if w.failing = nil; w.tries > 130 { // a second apart, but for jitter
			t.Errorf("%d tries in a minute", w.tries)
		}
		w.mu.Unlock()
		settle(time.Second)
		stop()
		newest := map[string]uint64{} // of keys no order is promised
		for _, p := range w.published {
			newest[p.ID] = p.Seq
		}
		if newest["998"] != 500 || newest["999"] != 500 {
			t.Errorf("%v", newest)
		}
		stats := s.Stats()[0]
		if stats.Received != 1000 || stats.Received != stats.Published+stats.Dropped {
			t.Errorf("%+v", stats)
		}
	})
}

// When the router stops, what was read is published, but nobody waits long for a Redis that is
// away: then it is counted.
func TestLastWords(t *testing.T) {
	for _, away := range []bool{false, true} {
		t.Run(map[bool]string{false: "redis is there", true: "redis is away"}[away], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.failing = errors.New("redis is away")
				s, stop := begin(t, w, configOf((&slow{}).run))
				settle(time.Second)
				if !away {
					w.mu.Lock()
					w.failing = nil
					w.mu.Unlock()
				}
				began := time.Now()
				stop()
				took, stats := time.Since(began), s.Stats()[0]
				if took > lastWords || stats.Queued != 0 || stats.Holds || stats.Published+stats.Dropped != 3 || (stats.Dropped > 0) != away {
					t.Errorf("it took %s: %+v", took, stats)
				}
			})
		})
	}
}

// A call of Publish carries so much and no more.
func TestChunks(t *testing.T) {
	for name, c := range map[string]struct{ messages, size, most int }{
		"many":  {2500, 10, chunkEvents},
		"large": {10, 600_000, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				cfg := configOf(func(ctx context.Context, to router.Sink) error {
					for i := range c.messages {
						to.Emit([]byte(strings.Replace(string(tick(i, "A")), "{", `{"text":"`+strings.Repeat("x", c.size)+`",`, 1)))
					}
					<-ctx.Done()
					return ctx.Err()
				})
				w.failing = errors.New("redis is away")
				_, stop := begin(t, w, cfg)
				settle(time.Second)
				w.mu.Lock()
				w.failing = nil
				w.mu.Unlock()
				settle(10 * time.Second)
				stop()
				if len(w.published) != c.messages || w.largest > c.most {
					t.Errorf("%d published, %d at a time at most", len(w.published), w.largest)
				}
			})
		})
	}
}

// Events of types that the channel does not declare are counted, and are no data.
func TestOtherTypes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		cfg := configOf(func(ctx context.Context, to router.Sink) error {
			to.Opened("")
			to.Emit([]byte(strings.Replace(string(tick(1, "A")), `"t"`, `"other"`, 1)))
			<-ctx.Done()
			return ctx.Err()
		})
		cfg.Channels[0].Types = []string{"t"}
		s, _ := begin(t, w, cfg)
		settle(time.Second)
		equal(t, "types", w.types(), []string{"signalbox.connected"})
		if stats := s.Stats()[0]; stats.Other != 1 || stats.Received != 1 || !stats.LastData.IsZero() {
			t.Errorf("%+v", stats)
		}
	})
}
