package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/router/internal/batch"
	"signalbox/router/internal/quiet"
)

func quietLog() (*slog.Logger, *logs) {
	lines := &logs{}
	return slog.New(quiet.New(lines.logger().Handler())), lines
}

// times adds up what the lines stand for.
func times(lines []map[string]any) int {
	n := 0
	for _, line := range lines {
		if times, ok := line["repeated"].(float64); ok {
			n += int(times)
		} else {
			n++
		}
	}
	return n
}

func TestQuietCountsRepetitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, lines := quietLog()
		log = log.With("route", "r")
		for range 250 { // every 10 ms for 2.5 s
			log.Error("handler failed", "err", errors.New("refused"), "id", "x")
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(5 * time.Second)
		all := lines.lines(t, slog.LevelError, "handler failed")
		if len(all) != 4 || times(all) != 250 {
			t.Fatalf("%d lines for %d errors: %v", len(all), times(all), all)
		}
		if all[0]["repeated"] != nil || all[1]["repeated"] == nil || all[1]["route"] != "r" || all[1]["err"] != "refused" {
			t.Errorf("lines %v", all)
		}
		log.Error("handler failed", "err", errors.New("refused"))
		if all := lines.lines(t, slog.LevelError, ""); len(all) != 5 || all[4]["repeated"] != nil {
			t.Errorf("after a pause the line is not written at once: %v", all)
		}
		time.Sleep(2 * time.Second)
	})
}

func TestQuietKeepsDifferentThingsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, lines := quietLog()
		for _, err := range []string{"a", "b"} {
			for _, route := range []string{"r1", "r2"} {
				for _, msg := range []string{"m1", "m2"} {
					log.Error(msg, "route", route, "err", err)                      //nolint:sloglint // two messages
					log.With("route", route).Error(msg, "channel", "c", "err", err) //nolint:sloglint // two messages
				}
			}
		}
		log.Warn("message rejected", "channel", "c", "cause", "nan", "err", "at byte 7")
		log.Warn("message rejected", "channel", "c", "cause", "nan", "err", "at byte 8") // the same cause
		log.Warn("message rejected", "channel", "c", "cause", "empty", "err", "at byte 8")
		if n := len(lines.lines(t, slog.LevelWarn, "")); n != 18 {
			t.Errorf("%d lines, want 18", n)
		}
		time.Sleep(3 * time.Second)
		all := lines.lines(t, slog.LevelWarn, "")
		if len(all) != 19 || all[18]["err"] != "at byte 8" || all[18]["repeated"] != 1.0 {
			t.Errorf("%d lines, the last %v", len(all), all[len(all)-1])
		}
	})
}

// A feed with a different error for each message floods nothing, and nothing is lost
// from the counts.
func TestQuietBoundsDifferentCauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, lines := quietLog()
		for i := range 3000 { // 3 s
			log.Error("handler failed", "route", "r", "err", fmt.Sprintf("error %d", i))
			time.Sleep(time.Millisecond)
		}
		time.Sleep(5 * time.Second)
		all := lines.lines(t, slog.LevelError, "")
		if times(all) != 3000 {
			t.Errorf("the lines stand for %d errors, want 3000", times(all))
		}
		if len(all) > 4*quiet.Lines+4 {
			t.Errorf("%d lines in 3 s", len(all))
		}
	})
}

func TestQuietLeavesTheRestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, lines := quietLog()
		for range 100 {
			log.Info("event", "route", "r")
			log.Debug("event", "route", "r")
		}
		log.WithGroup("g").Info("event", "x", 1)
		if n := len(lines.lines(t, slog.LevelDebug, "event")); n != 201 {
			t.Errorf("%d lines, want 201", n)
		}
		h := quiet.New(slog.NewTextHandler(lines, &slog.HandlerOptions{Level: slog.LevelError}))
		if h.Enabled(context.Background(), slog.LevelWarn) || !h.Enabled(context.Background(), slog.LevelError) {
			t.Error("Enabled is not the handler's")
		}
	})
}

// What a stranger sends can be a megabyte of type, id or channel name: the log and
// what is remembered of it must not grow with it.
func TestLongTextsAreCut(t *testing.T) {
	failing := HandlerFunc(func(context.Context, *Event) error { return errors.New("no") })
	cfg := one(failing)
	cfg.Routes[0].Types = []string{"known"}
	r := start(t, cfg, Options{})
	long := strings.Repeat("x", 900_000)
	var sent []string
	for i := range 20 {
		sent = append(sent, fmt.Sprintf(`{"type":"%d%s"}`, i, long))
	}
	sent = append(sent, `{"type":"known","id":"`+long+`"}`)
	items := r.send(t, sent...)
	bad := &batch.Item{Topic: long, Payload: []byte("bad"), Owner: r.carrier}
	r.sendItems(t, []*batch.Item{bad})
	r.await(t, append(items, bad))
	r.logs.mu.Lock()
	size := r.logs.buf.Len()
	r.logs.mu.Unlock()
	if size > 50_000 {
		t.Errorf("22 messages made %d bytes of log", size)
	}
	remembered := 0
	for typ := range r.subscriptions[0].seen {
		remembered += len(typ)
	}
	if remembered > 50_000 {
		t.Errorf("%d bytes of types are remembered", remembered)
	}
}
