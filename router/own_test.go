package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// listening is a configuration in which "h" takes every type and "own" Signalbox's own.
func listening(transport Transport, h Handler) (Config, *heard) {
	own := &heard{events: make(chan Event, maxOwn)}
	cfg := onStream(h)
	cfg.Channels[0].Transport = transport
	cfg.Handlers = append(cfg.Handlers, handlers(map[string]Handler{"own": own})...)
	cfg.Routes = append(cfg.Routes, Route{Channel: "in", Types: []string{"signalbox.*"}, Handler: "own"})
	return cfg, own
}

// heard is a handler that keeps what it gets.
type heard struct{ events chan Event }

func (h *heard) Handle(_ context.Context, e *Event) error {
	h.events <- *e
	return nil
}

func TestOwnEventOfADeadLetter(t *testing.T) {
	cfg, own := listening(Stream, HandlerFunc(func(context.Context, *Event) error { return Permanent(errors.New("no")) }))
	cfg.Channels[0].Fields.Key = "key"
	kept := &shelf{}
	r := start(t, cfg, Options{Publisher: kept.open})
	r.await(t, r.send(t, `{"type":"a","id":"7","key":"k"}`, `not JSON`))
	want := map[string]bool{
		`{"route":"h","handler":"h","reason":"permanent","error":"no","id":"7","type":"a","key":"k","dead_letter":"topic.dead"}`:                              true,
		`{"reason":"malformed","error":"not JSON: invalid character 'o' in literal null (expecting 'u') at byte 1: \"not JSON\"","dead_letter":"topic.dead"}`: true,
	}
	for range 2 {
		e := receive(t, "an own event", own.events)
		if !want[string(e.Data)] || e.Type != TypeDead || e.Source != "/signalbox/router" || e.Channel != "in" || !strings.Contains(string(e.Msg), string(e.Data)) {
			t.Errorf("%+v with %s", e, e.Data)
		}
	}
}

// What fails on an own event is neither kept nor the cause of another one.
func TestOwnEventsCauseNoOthers(t *testing.T) {
	no := HandlerFunc(func(context.Context, *Event) error { return Permanent(errors.New("no")) })
	cfg, _ := listening(Stream, no)
	cfg.Handlers = handlers(map[string]Handler{"h": no, "own": no})
	kept := &shelf{}
	r := start(t, cfg, Options{Publisher: kept.open})
	r.await(t, r.send(t, message0("1", "a")))
	for r.Stats().Routes[1].Failed == 0 {
		time.Sleep(time.Millisecond)
	}
	if n := len(kept.kept()); n != 1 {
		t.Errorf("%d letters, want that of the event alone", n)
	}
	if s := r.Stats().Routes[1]; s.Failed != 1 || s.Dead != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestOwnEventOfAGap(t *testing.T) {
	cfg, own := listening(PubSub, accepting)
	cfg.Channels[0].Fields.Type = "e" // where own events keep theirs, too
	r := start(t, cfg, Options{})
	r.Blind("other", time.Second)
	r.Blind("topic", 1500*time.Millisecond)
	e := receive(t, "an own event", own.events)
	if string(e.Data) != `{"seconds":1.5}` || e.Type != TypeGap || !strings.Contains(string(e.Msg), `"e":"signalbox.gap"`) {
		t.Errorf("%+v with %s", e, e.Data)
	}
	r.stop()
	_ = receive(t, "Run to return", r.ended)
	r.Blind("topic", time.Second) // too late for anybody
}

func TestOwnEventsAreBounded(t *testing.T) {
	release := make(chan struct{})
	waiting := HandlerFunc(func(context.Context, *Event) error {
		<-release
		return nil
	})
	cfg, _ := listening(PubSub, accepting)
	cfg.Handlers = handlers(map[string]Handler{"h": accepting, "own": waiting})
	r := start(t, cfg, Options{})
	for range maxOwn + 10 {
		r.Blind("topic", time.Second)
	}
	close(release)
	for r.Stats().Routes[1].Handled < maxOwn {
		time.Sleep(time.Millisecond)
	}
	r.Blind("topic", time.Second)
	for r.Stats().Routes[1].Handled < maxOwn+1 {
		time.Sleep(time.Millisecond)
	}
}

// Numbers that are missing are counted exactly, per key; a producer that begins again is
// no gap.
func TestSequence(t *testing.T) {
	cfg, own := listening(PubSub, accepting)
	cfg.Channels[0].Fields.Key, cfg.Channels[0].Fields.Seq = "k", "n"
	r := start(t, cfg, Options{})
	var texts []string
	for _, m := range []struct {
		key string
		n   any
	}{{"a", 1}, {"a", 2}, {"b", 7}, {"a", 5}, {"b", `"8"`}, {"b", 8}, {"a", 1}, {"a", 2}, {"a", -1}, {"a", 2.5}, {"a", `"x"`}, {"b", 10}, {"", 3}, {"", 4}} {
		texts = append(texts, fmt.Sprintf(`{"type":"t","k":%q,"n":%v}`, m.key, m.n))
	}
	r.await(t, r.send(t, texts...))
	for _, want := range []string{`{"missing":2,"after":2,"key":"a"}`, `{"missing":1,"after":8,"key":"b"}`} {
		if e := receive(t, "an own event", own.events); string(e.Data) != want || e.Type != TypeGap {
			t.Errorf("%s %s, want %s", e.Type, e.Data, want)
		}
	}
	if s := r.Stats().Channels["in"]; s.Missing != 3 || s.Received != uint64(len(texts)) {
		t.Errorf("stats %+v", s)
	}
}

func TestSequenceOfAnAbsurdNumber(t *testing.T) {
	var q sequences
	q.next("a", 1)
	if missing, _ := q.next("a", 1<<62); missing != 0 {
		t.Errorf("%d missing", missing)
	}
	if missing, _ := q.next("a", 1<<62+3); missing != 2 {
		t.Errorf("%d missing after it, want 2", missing)
	}
}

func TestSequenceOfTooManyKeys(t *testing.T) {
	var q sequences
	for i := range maxSequences {
		q.next(fmt.Sprint(i), 1)
	}
	if missing, _ := q.next("new", 1); missing != 0 || !q.full || len(q.last) != maxSequences {
		t.Errorf("%d keys, full %v", len(q.last), q.full)
	}
	if missing, after := q.next("7", 4); missing != 2 || after != 1 {
		t.Errorf("%d missing after %d", missing, after)
	}
}

// Who says that a channel was blind may do so at any time.
func TestBlindAtAnyTime(t *testing.T) {
	cfg, _ := listening(PubSub, accepting)
	r := start(t, cfg, Options{})
	var telling sync.WaitGroup
	for range 4 {
		telling.Go(func() {
			for range 200 {
				r.Blind("topic", time.Second)
			}
		})
	}
	r.stop()
	_ = receive(t, "Run to return", r.ended)
	telling.Wait()
}

// Another seq_field counts something else.
func TestSequenceOfAnotherField(t *testing.T) {
	cfg, _ := listening(PubSub, accepting)
	cfg.Channels[0].Fields.Key, cfg.Channels[0].Fields.Seq = "k", "n"
	r := start(t, cfg, Options{})
	r.await(t, r.send(t, `{"type":"t","k":"a","n":1,"m":5000}`, `{"type":"t","k":"a","n":2,"m":5001}`))
	next, _ := listening(PubSub, accepting)
	next.Handlers, next.Channels[0].Fields = cfg.Handlers, cfg.Channels[0].Fields
	next.Channels[0].Fields.Seq = "m"
	mustReload(t, r, next)
	r.await(t, r.send(t, `{"type":"t","k":"a","n":3,"m":5002}`))
	if s := r.Stats().Channels["in"]; s.Missing != 0 {
		t.Errorf("%d missing, and nothing is", s.Missing)
	}
}

// What had no key has one by now.
func TestSequenceOfAnotherKey(t *testing.T) {
	cfg, _ := listening(PubSub, accepting)
	cfg.Channels[0].Fields.Key, cfg.Channels[0].Fields.Seq = "k", "n"
	r := start(t, cfg, Options{})
	r.await(t, r.send(t, `{"type":"t","k":"BTC","venue":"x","n":1}`, `{"type":"t","k":"x","venue":"y","n":900}`))
	next, _ := listening(PubSub, accepting)
	next.Handlers, next.Channels[0].Fields = cfg.Handlers, cfg.Channels[0].Fields
	next.Channels[0].Fields.Key = "venue"
	mustReload(t, r, next)
	r.await(t, r.send(t, `{"type":"t","k":"BTC","venue":"y","n":901}`, `{"type":"t","k":"BTC","venue":"x","n":1000}`))
	if s := r.Stats().Channels["in"]; s.Missing != 0 {
		t.Errorf("%d missing by the numbers of another key", s.Missing)
	}
}

// What the holder of a source says on its channel is for routes that name it. Where none
// does, it is no event that somebody has forgotten.
func TestWhatIsSaidOfASourceNeedsNoRoute(t *testing.T) {
	cfg := one(accepting)
	r := start(t, cfg, Options{})
	r.await(t, r.send(t, `{"type":"signalbox.connected"}`, `{"type":"signalbox.disconnected"}`, `{"type":"signalbox.gap"}`, `{"type":"signalbox.conected"}`))
	if s := r.Stats().Channels["in"]; s.Unmatched != 1 || s.Received != 1 {
		t.Errorf("stats %+v", s)
	}
	if lines := r.logs.lines(t, slog.LevelInfo, "no route takes this type"); len(lines) != 1 || lines[0]["type"] != "signalbox.conected" {
		t.Errorf("lines %v", lines)
	}
}
