package handlers_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/handlers"
	"signalbox/router"
)

func TestLogEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		handler := newLog(t, slog.NewTextHandler(&out, withoutTime()), handlers.LogOptions{
			Every: time.Second, Fields: []string{"type", "key", "data"},
		})
		tick := func(key string, n int) {
			event := &router.Event{Channel: "prices", Type: "tick", Key: key, Data: fmt.Appendf(nil, "%d", n)}
			if err := handler.Handle(t.Context(), event); err != nil {
				t.Error(err)
			}
		}
		for n := range 25 { // at 0, 100, … 2400 ms
			tick("BTC", n)
			if n%10 == 0 {
				tick("ETH", n)
			}
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Hour)
		tick("BTC", 99)
		const want = `level=INFO msg=event type=tick key=BTC data=0
level=INFO msg=event type=tick key=ETH data=0
level=INFO msg=event type=tick key=BTC data=10 skipped=9
level=INFO msg=event type=tick key=ETH data=10
level=INFO msg=event type=tick key=BTC data=20 skipped=9
level=INFO msg=event type=tick key=ETH data=20
level=INFO msg=event type=tick key=BTC data=99 skipped=4
`
		if got := out.String(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

// Keys come from payloads: however many there are, lines and memory stay bounded, and
// every event is in a line or in a count.
func TestLogEveryWithEndlessKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counted := &counter{}
		handler := newLog(t, counted, handlers.LogOptions{Every: time.Minute, Fields: []string{"key"}})
		const rounds, keys = 3, 5000
		for range rounds {
			for n := range keys {
				if err := handler.Handle(t.Context(), &router.Event{Type: "tick", Key: fmt.Sprint("k", n)}); err != nil {
					t.Error(err)
				}
			}
			time.Sleep(2 * time.Minute)
		}
		if most := rounds * (1024 + 1); counted.lines > most {
			t.Errorf("%d lines, want at most %d", counted.lines, most)
		}
		// What the last round passed over is still to be told.
		if said := counted.lines + counted.skipped; said < (rounds-1)*keys || said > rounds*keys {
			t.Errorf("%d lines and %d skipped of %d events", counted.lines, counted.skipped, rounds*keys)
		}
	})
}

// counter is a slog.Handler that counts lines and what they say was skipped.
type counter struct{ lines, skipped int }

func (c *counter) Enabled(context.Context, slog.Level) bool { return true }
func (c *counter) WithAttrs([]slog.Attr) slog.Handler       { return c }
func (c *counter) WithGroup(string) slog.Handler            { return c }

func (c *counter) Handle(_ context.Context, record slog.Record) error {
	c.lines++
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == "skipped" {
			c.skipped += int(a.Value.Int64())
		}
		return true
	})
	return nil
}
