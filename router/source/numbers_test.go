package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/router"
)

// beginLogged is begin with a log that can be read.
func beginLogged(t *testing.T, w *world, cfg router.Config) (s *Set, logged func(line string) int) {
	t.Helper()
	var mu sync.Mutex
	var text strings.Builder
	write := writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return text.Write(p)
	})
	s, err := New(cfg, Options{Acquire: w.acquire, Logger: slog.New(slog.NewTextHandler(write, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return s, func(line string) int {
		mu.Lock()
		defer mu.Unlock()
		return strings.Count(text.String(), line)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// emits is a session that reads these messages.
func emits(messages ...string) router.SourceFunc {
	return func(ctx context.Context, to router.Sink) error {
		to.Opened("")
		for _, message := range messages {
			to.Emit([]byte(message))
		}
		<-ctx.Done()
		return ctx.Err()
	}
}

// Where each key is counted by itself, the key is that which readers see, and what has none
// is not counted: the same number of another symbol is no duplicate.
func TestNumbersPerKey(t *testing.T) {
	for _, c := range []struct {
		name, key string
		messages  []string
		missing   uint64
	}{
		{"in what arrives", "data.S", []string{`{"T":"t","i":1,"S":"A","n":7}`, `{"T":"t","i":2,"S":"B","n":7}`, `{"T":"t","i":3,"S":"A","n":9}`}, 1},
		{"in its own data", "data.data.S", []string{`{"T":"t","i":1,"n":7,"data":{"S":"A"}}`, `{"T":"t","i":2,"n":7,"data":{"S":"B"}}`, `{"T":"t","i":3,"n":9,"data":{"S":"A"}}`}, 1},
		{"nowhere", "data.X", []string{`{"T":"t","i":1,"S":"A","n":7}`, `{"T":"t","i":2,"S":"B","n":7}`, `{"T":"t","i":3,"S":"A","n":9}`}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				cfg := configOf(emits(c.messages...))
				cfg.Channels[0].Fields.Key = c.key
				cfg.Sources[0].Fields.Key = strings.TrimPrefix(c.key, "data.")
				cfg.Sources[0].Sequence = &router.Sequence{Path: "n", PerKey: true}
				s, _ := begin(t, w, cfg)
				settle(time.Second)
				if stats := s.Stats()[0]; stats.Duplicates != 0 || stats.Missing != c.missing || stats.Received != 3 {
					t.Errorf("%+v", stats)
				}
			})
		})
	}
}

// A path of numbers at which there is none is told, since nothing could be missing then.
func TestNumbersThatAreNotThere(t *testing.T) {
	for path, want := range map[string]int{"num": 1, "i": 0} {
		synctest.Test(t, func(t *testing.T) {
			cfg := configOf(func(ctx context.Context, to router.Sink) error {
				for i := range 1000 {
					to.Emit(tick(i, "A"))
				}
				<-ctx.Done()
				return ctx.Err()
			})
			cfg.Sources[0].Sequence = &router.Sequence{Path: path}
			_, logged := beginLogged(t, newWorld(), cfg)
			settle(5 * time.Second)
			if got := logged("messages have no number"); got != want {
				t.Errorf("%s: told %d times, want %d", path, got, want)
			}
		})
	}
}

// A type that the channel does not declare is told once, and not published.
func TestOtherTypesAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		cfg := configOf(emits(`{"T":"trade"}`, `{"T":"quote"}`, `{"T":"trade"}`))
		cfg.Channels[0].Types = []string{"tick"}
		s, logged := beginLogged(t, w, cfg)
		settle(time.Second)
		const line = "the channel does not declare this type; its events are not published"
		if all, trades := logged(line), logged("type=trade"); all != 2 || trades != 1 || s.Stats()[0].Other != 3 {
			t.Errorf("%d lines, %d of them about trades, %+v", all, trades, s.Stats()[0])
		}
		if types := w.types(); !slices.Equal(types, []string{"signalbox.connected"}) {
			t.Errorf("published %v", types)
		}
	})
}

// A session that was dead for long before that was noticed has missed all that time.
func TestSilentSinceItWasAlive(t *testing.T) {
	for name, c := range map[string]struct {
		alive time.Duration // when it shows last that it is
		mute  bool          // it lives all the time, and stale_after ends it
		want  float64       // seconds, before a pause of a second at most
	}{
		"dead":  {alive: 3 * time.Second, want: 7},
		"alive": {alive: 10 * time.Second, want: 0},
		"mute":  {mute: true, want: 10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				n := 0
				cfg := configOf(func(ctx context.Context, to router.Sink) error {
					to.Opened("")
					if n++; n > 1 {
						<-ctx.Done()
						return ctx.Err()
					}
					to.Emit(tick(1, "A"))
					if c.mute {
						for wait(ctx, 100*time.Millisecond) {
							to.Alive()
						}
						return ctx.Err()
					}
					time.Sleep(c.alive)
					to.Alive()
					time.Sleep(10*time.Second - c.alive)
					return errors.New("no pong")
				})
				if c.mute {
					cfg.Sources[0].StaleAfter.Any = 10 * time.Second
				}
				_, _ = begin(t, w, cfg)
				settle(12 * time.Second)
				var told []string
				w.mu.Lock()
				defer w.mu.Unlock()
				for i, p := range w.published {
					if i == 0 || p.Type != router.TypeConnected && p.Type != router.TypeGap {
						continue
					}
					var data struct{ Silent, Seconds float64 }
					if err := json.Unmarshal(p.Data, &data); err != nil {
						t.Fatal(err)
					}
					told = append(told, p.Type)
					if got := data.Silent + data.Seconds; got < c.want || got > c.want+1.1 {
						t.Errorf("%s says %v s, want %v and the pause", p.Type, got, c.want)
					}
				}
				if got := fmt.Sprint(told); got != "[signalbox.connected signalbox.gap]" {
					t.Errorf("told %s", got)
				}
			})
		})
	}
}
