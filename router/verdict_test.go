package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// recorder is a handler that remembers the ids it was given, in order.
type recorder struct {
	mu  sync.Mutex
	ids []string
}

func (r *recorder) Handle(_ context.Context, e *Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids = append(r.ids, e.ID)
	return nil
}

func (r *recorder) got() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.ids, " ")
}

func message0(id, typ string) string { return fmt.Sprintf(`{"id":%q,"type":%q}`, id, typ) }

// misbehave is a handler that does what the event's type says.
func misbehave(_ context.Context, e *Event) error {
	switch e.Type {
	case "panic":
		panic("boom")
	case "panic-error":
		panic(errors.New("boom"))
	case "goexit":
		runtime.Goexit()
	case "error":
		return errors.New("refused")
	case "permanent":
		return Permanent(errors.New("refused for ever"))
	case "unavailable": // a route waits until the test ends
		return Unavailable(errors.New("gone fishing"), time.Second)
	case "canceled":
		return context.Canceled // its own, not a shutdown
	case "nil-map":
		var none map[string]int
		none["x"] = 1 //nolint:staticcheck // on purpose
	}
	return nil
}

// What a handler does wrong is counted as failed and logged with all that an operator
// needs; its siblings and the next event are handled, and the message is done.
func TestBadHandlers(t *testing.T) {
	for typ, text := range map[string]string{
		"panic": "panic: boom", "panic-error": "panic: boom", "goexit": "runtime.Goexit", "error": "refused", "permanent": "refused for ever",
		"canceled": "context canceled", "nil-map": "assignment to entry in nil map",
	} {
		t.Run(typ, func(t *testing.T) {
			before, after := &recorder{}, &recorder{}
			var mu sync.Mutex
			var outcomes []Outcome
			r := start(t, Config{
				Channels: []Channel{{Name: "in"}},
				Handlers: handlers(map[string]Handler{"before": before, "bad": HandlerFunc(misbehave), "after": after}),
				Routes: []Route{
					{Channel: "in", Types: []string{"*"}, Handler: "before"},
					{Name: "route-1", Channel: "in", Types: []string{"*"}, Handler: "bad"},
					{Channel: "in", Types: []string{"*"}, Handler: "after"},
				},
			}, Options{Observe: func(o Outcome) {
				mu.Lock()
				defer mu.Unlock()
				if o.Route == "route-1" {
					outcomes = append(outcomes, o)
				}
			}})
			r.await(t, r.send(t, message0("1", "fine"), message0("2", typ), message0("3", "fine")))
			r.await(t, r.send(t, message0("4", "fine")))
			for _, h := range []*recorder{before, after} {
				if h.got() != "1 2 3 4" {
					t.Errorf("a sibling got %s", h.got())
				}
			}
			if s := r.Stats().Routes[1]; s.Handled != 3 || s.Failed != 1 || s.Unfinished != 0 {
				t.Errorf("stats %+v, want 3 handled, 1 failed", s)
			}
			errs := r.logs.lines(t, slog.LevelWarn, "")
			if len(errs) != 1 {
				t.Fatalf("%d lines, want 1: %v", len(errs), errs)
			}
			line := errs[0]
			if line["channel"] != "in" || line["route"] != "route-1" || line["handler"] != "bad" || line["type"] != typ || line["id"] != "2" || !strings.Contains(fmt.Sprint(line["err"]), text) {
				t.Errorf("line %v", line)
			}
			if strings.Contains(text, "panic") && !strings.Contains(fmt.Sprint(line["stack"]), "misbehave") {
				t.Errorf("the stack doesn't show the handler: %v", line["stack"])
			}
			mu.Lock()
			defer mu.Unlock()
			if len(outcomes) != 4 || outcomes[1].Result != Failed || outcomes[1].Err == nil || outcomes[1].Event.ID != "2" ||
				outcomes[1].Channel != "in" || outcomes[1].Handler != "bad" || outcomes[2].Result != Handled {
				t.Errorf("outcomes %+v", outcomes)
			}
			if typ == "permanent" != IsPermanent(outcomes[1].Err) {
				t.Errorf("IsPermanent(%v) is wrong", outcomes[1].Err)
			}
		})
	}
}

func TestVerdictMarks(t *testing.T) {
	base := errors.New("base")
	if Permanent(nil) != nil || Unavailable(nil, time.Second) != nil {
		t.Error("a mark on nil is not nil")
	}
	wrapped := fmt.Errorf("more: %w", Permanent(fmt.Errorf("some: %w", base)))
	if !IsPermanent(wrapped) || !errors.Is(wrapped, base) || wrapped.Error() != "more: some: base" {
		t.Errorf("%v", wrapped)
	}
	if _, away := IsUnavailable(wrapped); away || IsPermanent(base) || IsPermanent(nil) {
		t.Error("a mark where there is none")
	}
	if after, away := IsUnavailable(fmt.Errorf("x: %w", Unavailable(base, time.Minute))); !away || after != time.Minute {
		t.Errorf("after %v, %v", after, away)
	}
}

// batcher is a BatchHandler.
type batcher struct {
	HandlerFunc
	batch func(context.Context, []*Event) []error
}

func (b batcher) HandleBatch(ctx context.Context, events []*Event) []error {
	return b.batch(ctx, events)
}

func TestBatchHandlerVerdicts(t *testing.T) {
	payloads := []string{message0("1", "a"), message0("2", "a"), message0("3", "a")}
	for _, tc := range []struct {
		name            string
		batch           func([]*Event) []error
		handled, failed uint64
		text            string
	}{
		{"nil", func([]*Event) []error { return nil }, 3, 0, ""},
		{"a nil each", func(e []*Event) []error { return make([]error, len(e)) }, 3, 0, ""},
		{"one failed", func(e []*Event) []error {
			verdicts := make([]error, len(e))
			for i := range e {
				if e[i].ID == "2" {
					verdicts[i] = errors.New("refused")
				}
			}
			return verdicts
		}, 2, 1, "refused"},
		{"too few", func(e []*Event) []error { return make([]error, len(e)-1) }, 0, 3, "the handler returned 2 verdicts on 3 events"},
		{"too many", func(e []*Event) []error { return make([]error, len(e)+1) }, 0, 3, "the handler returned 4 verdicts on 3 events"},
		{"empty, not nil", func([]*Event) []error { return []error{} }, 0, 3, "the handler returned 0 verdicts on 3 events"},
		{"panic", func([]*Event) []error { panic("boom") }, 0, 3, "panic: boom"},
		{"goexit", func([]*Event) []error { runtime.Goexit(); return nil }, 0, 3, "runtime.Goexit"},
		{"events moved about", func(e []*Event) []error { clear(e); return nil }, 3, 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sibling := &recorder{}
			var calm bool
			h := batcher{
				HandlerFunc: func(context.Context, *Event) error { t.Error("Handle was called"); return nil },
				batch: func(_ context.Context, e []*Event) []error {
					if calm {
						return nil
					}
					calm = true
					return tc.batch(e)
				},
			}
			cfg := one(h)
			cfg.Handlers = append(cfg.Handlers, handlers(map[string]Handler{"sibling": sibling})...)
			cfg.Routes = append(cfg.Routes, Route{Channel: "in", Types: []string{"*"}, Handler: "sibling"})
			r := start(t, cfg, Options{})
			r.await(t, r.send(t, payloads...))
			if s := r.Stats().Routes[0]; s.Handled != tc.handled || s.Failed != tc.failed {
				t.Errorf("stats %+v", s)
			}
			r.await(t, r.send(t, message0("4", "a")))
			if s := r.Stats().Routes[0]; s.Handled != tc.handled+1 {
				t.Errorf("the next event: stats %+v", s)
			}
			if sibling.got() != "1 2 3 4" {
				t.Errorf("the sibling got %s", sibling.got())
			}
			lines := r.logs.lines(t, slog.LevelWarn, "")
			if (len(lines) > 0) != (tc.failed > 0) {
				t.Fatalf("logged %v", lines)
			}
			if tc.failed > 0 && (!strings.Contains(fmt.Sprint(lines[0]["err"]), tc.text) || lines[0]["id"] == nil || lines[0]["route"] != "h") {
				t.Errorf("logged %v", lines[0])
			}
		})
	}
}
