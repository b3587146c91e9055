package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"

	"signalbox/router/internal/batch"
)

// slow is a handler whose events wait until the test lets them go or, unless it is
// deaf, until their context ends.
type slow struct {
	begun   chan string
	release chan struct{}
	deaf    bool
	closed  atomic.Bool
	late    atomic.Bool // called after Close
}

func newSlow() *slow { return &slow{begun: make(chan string, 1000), release: make(chan struct{})} }

func (s *slow) Handle(ctx context.Context, e *Event) error {
	if s.closed.Load() {
		s.late.Store(true)
	}
	s.begun <- e.ID
	if s.deaf {
		<-s.release
		return nil
	}
	select {
	case <-s.release:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting: %w", ctx.Err())
	}
}

func (s *slow) Close() error {
	s.closed.Store(true)
	return nil
}

// slowBatch is slow as a BatchHandler.
type slowBatch struct{ *slow }

func (s slowBatch) HandleBatch(ctx context.Context, events []*Event) []error {
	err := s.Handle(ctx, events[0])
	if err == nil {
		return nil
	}
	verdicts := make([]error, len(events))
	for i := range verdicts {
		verdicts[i] = err
	}
	return verdicts
}

func TestDrainWaitsForASlowHandler(t *testing.T) {
	h := newSlow()
	r := start(t, one(h), Options{Drain: time.Hour})
	items := r.send(t, message0("1", "a"), message0("2", "a"))
	receive(t, "the handler", h.begun)
	r.stop()
	receive(t, "the subscriber to be closed", r.closed)
	close(h.release)
	if err := receive(t, "Run to return", r.ended); err != nil {
		t.Error(err)
	}
	r.await(t, items)
	if s := r.Stats().Routes[0]; s.Handled != 2 {
		t.Errorf("stats %+v", s)
	}
	if !h.closed.Load() {
		t.Error("the handler is not closed")
	}
}

// At the limit of the drain, what is cut short is neither failed nor done nor an error
// in the log; what has not begun never begins.
func TestDrainGivesUpAtItsLimit(t *testing.T) {
	plain := newSlow()
	for name, tc := range map[string]struct {
		slow    *slow
		handler func(*slow) Handler
	}{
		"handler": {plain, func(s *slow) Handler { return s }},
		"batch":   {newSlow(), func(s *slow) Handler { return slowBatch{s} }},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, one(tc.handler(tc.slow)), Options{Drain: time.Millisecond})
			items := r.send(t, message0("1", "a"))
			receive(t, "the handler", tc.slow.begun)
			items = append(items, r.send(t, message0("2", "a"), message0("3", "a"))...)
			r.stop()
			if err := receive(t, "Run to return", r.ended); err != nil {
				t.Error(err)
			}
			for _, item := range items {
				if r.isDone(item) {
					t.Errorf("%s is done", item.Payload)
				}
			}
			if s := r.Stats().Routes[0]; s.Failed != 0 || s.Handled != 0 || s.Unfinished != 3 {
				t.Errorf("stats %+v, want 3 unfinished", s)
			}
			if lines := r.logs.lines(t, slog.LevelError, ""); len(lines) > 0 {
				t.Errorf("logged %v", lines)
			}
			select {
			case id := <-tc.slow.begun:
				t.Errorf("event %s was begun after the limit", id)
			default:
			}
		})
	}
}

// A handler that doesn't listen to its context is left behind, with a warning, and
// gets no further event.
func TestDrainLeavesADeafHandlerBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSlow()
		h.deaf = true
		r := start(t, one(h), Options{Drain: 5 * time.Second})
		r.send(t, message0("1", "a"), message0("2", "a"), message0("3", "a"))
		<-h.begun
		begin := time.Now()
		r.stop()
		<-r.ended //nolint:errcheck // only its end matters
		if took := time.Since(begin); took != 5*time.Second+cancelGrace {
			t.Errorf("Run took %v to return", took)
		}
		if len(r.logs.lines(t, slog.LevelWarn, "")) != 1 {
			t.Errorf("logged %v", r.logs.lines(t, slog.LevelWarn, ""))
		}
		if s := r.Stats().Routes[0]; s.Handled != 0 || s.Failed != 0 || s.Unfinished != 3 {
			t.Errorf("stats at the end of Run %+v, want 3 unfinished", s)
		}
		close(h.release)
		synctest.Wait()
		if s := r.Stats().Routes[0]; s.Handled != 1 || s.Unfinished != 2 {
			t.Errorf("stats %+v, want 1 handled, 2 unfinished", s)
		}
		if h.late.Load() {
			t.Error("an event was begun after Close")
		}
	})
}

func TestDrainWithForeignSubscriber(t *testing.T) {
	h := newSlow()
	pubsub := gochannel.NewGoChannel(gochannel.Config{}, watermill.NopLogger{})
	r := start(t, one(h), Options{Drain: time.Millisecond, Subscriber: func(Channel) (message.Subscriber, error) { return pubsub, nil }})
	if err := pubsub.Publish("in", message.NewMessage("1", []byte(`{"type":"a"}`))); err != nil {
		t.Fatal(err)
	}
	receive(t, "the handler", h.begun)
	r.stop()
	if err := receive(t, "Run to return", r.ended); err != nil {
		t.Error(err)
	}
	if s := r.Stats().Routes[0]; s.Failed != 0 || s.Handled != 0 || s.Unfinished != 1 {
		t.Errorf("stats %+v, want 1 unfinished", s)
	}
	if lines := r.logs.lines(t, slog.LevelError, ""); len(lines) > 0 {
		t.Errorf("logged %v", lines)
	}
}

// Messages that a subscriber still holds when it is closed may reach the router late.
// They must not reach a handler that is closed.
func TestNothingIsHandledAfterClose(t *testing.T) {
	for range 200 {
		h := newSlow()
		close(h.release)
		c := newCarrier()
		c.messages = make(chan *message.Message, 8)
		r, err := New(one(h), Options{
			Subscriber: func(Channel) (message.Subscriber, error) { return c, nil },
			Logger:     (&logs{}).logger(),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		receive(t, "the router to run", r.Running())
		var msgs []*message.Message
		for i := range cap(c.messages) {
			msg := message.NewMessage("", nil)
			item := &batch.Item{Payload: []byte(message0(fmt.Sprint(i), "a")), Owner: c}
			msg.SetContext(batch.NewContext(context.Background(), &batch.Batch{Items: []*batch.Item{item}}))
			msgs = append(msgs, msg)
			c.messages <- msg
		}
		stop()
		_ = receive(t, "Run to return", ended)
		for _, msg := range msgs {
			select {
			case <-msg.Acked():
			case <-msg.Nacked():
			case <-time.After(patience):
				t.Fatal("a message is neither acked nor nacked")
			}
		}
		if h.late.Load() {
			t.Fatal("an event was handled after the handler was closed")
		}
		c.exactlyOnce(t)
	}
}

// broken is a subscriber that cannot subscribe.
type broken struct{ closed atomic.Int32 }

func (b *broken) Subscribe(context.Context, string) (<-chan *message.Message, error) {
	return nil, errors.New("no such host")
}
func (b *broken) Close() error { b.closed.Add(1); return nil }

func TestRunWithoutASubscription(t *testing.T) {
	h := &closing{HandlerFunc: accepting, err: errors.New("jammed")}
	good, bad, lines := newCarrier(), &broken{}, &logs{}
	cfg := one(h)
	cfg.Channels = append(cfg.Channels, Channel{Name: "bad", Topic: "bad-topic"})
	cfg.Routes = append(cfg.Routes, Route{Channel: "bad", Types: []string{"*"}, Handler: "h"})
	r, err := New(cfg, Options{Logger: lines.logger(), Subscriber: func(ch Channel) (message.Subscriber, error) {
		if ch.Name == "bad" {
			return bad, nil
		}
		return good, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	err = r.Run(context.Background())
	if err == nil || !strings.Contains(err.Error(), "no such host") || !strings.Contains(err.Error(), "bad") {
		t.Errorf("Run: %v", err)
	}
	if h.closed != 1 || bad.closed.Load() == 0 {
		t.Errorf("the handler was closed %d times, the subscriber %d", h.closed, bad.closed.Load())
	}
	receive(t, "the other subscriber to be closed", good.closed)
	if len(lines.lines(t, slog.LevelError, "closing the handler failed")) != 1 {
		t.Error("an error of Close is not logged")
	}
}

// closesSlowly takes a while to close.
type closesSlowly struct{ HandlerFunc }

func (closesSlowly) Close() error {
	time.Sleep(5 * time.Second)
	return nil
}

// What one handler takes to close isn't taken from the others.
func TestHandlersCloseAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := one(closesSlowly{accepting})
		cfg.Handlers = handlers(map[string]Handler{"h": closesSlowly{accepting}, "g": closesSlowly{accepting}})
		cfg.Routes = append(cfg.Routes, Route{Channel: "in", Types: []string{"*"}, Handler: "g"})
		r := start(t, cfg, Options{})
		r.await(t, r.send(t, message0("1", "a")))
		stopped := time.Now()
		r.stop()
		if err := receive(t, "Run to return", r.ended); err != nil {
			t.Error(err)
		}
		if took := time.Since(stopped); took < 5*time.Second || took >= 10*time.Second {
			t.Errorf("it took %v to close two handlers that take 5s each", took)
		}
	})
}

// When all subscriptions end by themselves, Run says so, after what is in hand is done.
func TestRunWhenSubscriptionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSlow()
		r := start(t, one(h), Options{Drain: time.Hour})
		items := r.send(t, message0("1", "a"), message0("2", "a"))
		receive(t, "the handler", h.begun)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		select {
		case err := <-r.ended:
			t.Fatalf("Run returned %v while a handler ran", err)
		default:
		}
		close(h.release)
		if err := receive(t, "Run to return", r.ended); err == nil || !strings.Contains(err.Error(), "subscriptions ended") {
			t.Errorf("Run: %v", err)
		}
		r.await(t, items)
		if h.late.Load() {
			t.Error("an event was handled after Close")
		}
	})
}

func TestRunWhenSubscriptionsEndAtOnce(t *testing.T) {
	for range 50 {
		c := newCarrier()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := New(one(accepting), Options{Logger: (&logs{}).logger(), Subscriber: func(Channel) (message.Subscriber, error) { return c, nil }})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Run(context.Background()); err == nil || strings.Contains(err.Error(), "%!") {
			t.Fatalf("Run: %v", err)
		}
	}
}

func TestRunRunsOnce(t *testing.T) {
	h := newSlow()
	r := start(t, one(h), Options{})
	if err := r.Run(context.Background()); err == nil {
		t.Error("a second Run while the first runs returned nil")
	}
	if h.closed.Load() {
		t.Fatal("a second Run closed the handlers of the first")
	}
	close(h.release)
	r.await(t, r.send(t, message0("1", "a")))
	r.stop()
	if err := receive(t, "Run to return", r.ended); err != nil {
		t.Error(err)
	}
	if err := r.Run(context.Background()); err == nil {
		t.Error("a second Run after the first returned nil")
	}
}

func TestRunWithAContextThatHasEnded(t *testing.T) {
	h := &closing{HandlerFunc: accepting}
	c := newCarrier()
	r, err := New(one(h), Options{Logger: (&logs{}).logger(), Subscriber: func(Channel) (message.Subscriber, error) { return c, nil }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if err := r.Run(ctx); err != nil || h.closed != 1 {
		t.Errorf("Run: %v, closed %d times", err, h.closed)
	}
	receive(t, "the subscriber to be closed", c.closed)
}

// A foreign subscriber delivers one message at a time or many at once; each is acked
// when its event is done.
func TestForeignSubscriber(t *testing.T) {
	const n = 500
	kinds := []string{`{"type":"fine"}`, `{"type":"error"}`, `{"type":"panic"}`, `{"type":"goexit"}`, `{"type":"unmatched"}`, `{`, `[{"type":"fine"},{}]`}
	want := uint64(0)
	for i := range n {
		want += 4
		if i%len(kinds) == 6 {
			want += 4
		}
	}
	var seen atomic.Uint64
	all := make(chan struct{})
	observe := func(o Outcome) {
		if o.Route != "batch" && seen.Add(1) == want {
			close(all)
		}
	}
	pubsub := gochannel.NewGoChannel(gochannel.Config{OutputChannelBuffer: 64}, watermill.NopLogger{})
	r := start(t, Config{
		Channels: []Channel{{Name: "in", Topic: "topic", Fields: Fields{Split: "."}}},
		Handlers: handlers(map[string]Handler{"bad": HandlerFunc(misbehave), "batch": batcher{batch: func(context.Context, []*Event) []error { return nil }}}),
		Routes: []Route{
			{Channel: "in", Types: []string{"*", "!unmatched"}, Handler: "bad"},
			{Channel: "in", Types: []string{"error"}, Handler: "batch"},
		},
	}, Options{Observe: observe, Subscriber: func(Channel) (message.Subscriber, error) { return pubsub, nil }})
	var sent sync.WaitGroup
	for range 4 {
		sent.Go(func() {
			for i := range n {
				if err := pubsub.Publish("topic", message.NewMessage(fmt.Sprint(i), []byte(kinds[i%len(kinds)]))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	sent.Wait()
	receive(t, "all outcomes", all)
	sum := func() uint64 {
		s := r.Stats()
		ch := s.Channels["in"]
		total := s.Routes[0].Handled + s.Routes[0].Failed + ch.Unmatched
		for _, n := range ch.Rejected {
			total += n
		}
		return total
	}
	if got := r.Stats().Channels["in"].Received; sum() != want || got != want {
		t.Errorf("received %d, accounted for %d, want %d", got, sum(), want)
	}
}

// What quiet still holds back when the router ends is written then, not lost.
func TestRunWritesWhatWasMuted(t *testing.T) {
	r := start(t, one(HandlerFunc(misbehave)), Options{})
	r.await(t, r.send(t, message0("1", "error"), message0("2", "error"), message0("3", "error")))
	r.stop()
	if err := receive(t, "Run to return", r.ended); err != nil {
		t.Error(err)
	}
	if n := times(r.logs.lines(t, slog.LevelError, "handler failed")); n != 3 {
		t.Errorf("the lines stand for %d errors, want 3", n)
	}
}

// A handler's own lines are its own: two warnings that differ are two lines.
func TestHandlersLogWhatTheyWant(t *testing.T) {
	cfg := one(accepting)
	cfg.Handlers[0].New = func(env Env) (Handler, error) {
		return HandlerFunc(func(_ context.Context, e *Event) error {
			env.Log.Warn("event", "id", e.ID)
			return nil
		}), nil
	}
	r := start(t, cfg, Options{})
	r.await(t, r.send(t, message0("1", "a"), message0("2", "a")))
	if lines := r.logs.lines(t, slog.LevelWarn, "event"); len(lines) != 2 || lines[1]["handler"] != "h" {
		t.Errorf("lines %v", lines)
	}
}

// revoking is a carrier whose items somebody else has taken over, but for some.
type revoking struct {
	*leaving
	ours map[string]bool // by ID
}

func (r revoking) Begin(_ context.Context, item *batch.Item) bool { return r.ours[item.ID] }

// What another process has taken over is left to it: not handled, and not done.
func TestWithdrawn(t *testing.T) {
	h := newSlow()
	close(h.release)
	r := start(t, one(h), Options{})
	owner := revoking{newLeaving(r.carrier), map[string]bool{"2": true}}
	var items []*batch.Item
	for _, id := range []string{"1", "2", "3"} {
		items = append(items, &batch.Item{Topic: "topic", ID: id, Payload: []byte(`{"type":"a"}`), Owner: owner})
	}
	r.sendItems(t, items)
	r.await(t, items[1:2])
	if id := receive(t, "the handler", h.begun); id != "2" {
		t.Errorf("event %s was handled", id)
	}
	for r.Stats().Routes[0].Withdrawn < 2 || len(owner.lefts()) < 2 {
		time.Sleep(time.Millisecond)
	}
	if r.isDone(items[0]) || r.isDone(items[2]) {
		t.Error("what others have in hand is done")
	}
	if left := owner.lefts(); left[items[0]] != 1 || left[items[2]] != 1 || len(left) != 2 {
		t.Errorf("left %v, want each of the others once", left)
	}
	if s := r.Stats().Routes[0]; s.Handled != 1 || s.Failed != 0 {
		t.Errorf("stats %+v", s)
	}
}
