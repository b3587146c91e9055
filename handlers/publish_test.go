package handlers_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"signalbox/handlers"
	"signalbox/router"
	"signalbox/router/routertest"
)

func TestPublishKeepsBytesAndOrder(t *testing.T) {
	box, _ := start(t, oneRoute(spec(handlers.Publish(), handlers.PublishOptions{Channel: "out"})))
	sent := []string{
		`{"type":"a","n":1}`,
		" {\t\"n\" : 2.500 ,\n \"type\":\"b\", \"data\": null } \r\n",
		`{"type":"c","id":"7","emoji":"\ud83d\ude00 😀","twice":1,"twice":2}`,
		`{"type":"a","n":4}`,
	}
	box.Send("in", sent...)
	if got := box.Published("out"); !slices.Equal(got, sent) {
		t.Errorf("published %q\nwant %q", got, sent)
	}
}

func TestPublishSendsABatchAtOnce(t *testing.T) {
	out := &fakePublisher{}
	handler := newPublish(t, out)
	events := make([]*router.Event, 256)
	for i := range events {
		events[i] = &router.Event{Type: "enter", Msg: fmt.Appendf(nil, `{"type":"enter","n":%d}`, i)}
	}
	if verdicts := handler.HandleBatch(t.Context(), events); verdicts != nil {
		t.Fatalf("verdicts %v, want nil", verdicts)
	}
	if len(out.calls) != 1 || len(out.calls[0]) != len(events) {
		t.Fatalf("%d calls of the publisher, want 1 with %d messages", len(out.calls), len(events))
	}
	for i, payload := range out.calls[0] {
		if payload != string(events[i].Msg) {
			t.Fatalf("message %d is %s, want %s", i, payload, events[i].Msg)
		}
	}
}

func TestPublishVerdicts(t *testing.T) {
	boom := errors.New("boom")
	for _, test := range []struct {
		name      string
		publisher error
		open      error
		types     []string // of the events; the channel takes enter and exit
		want      []string
	}{
		{name: "all sent", types: []string{"enter", "exit"}, want: []string{"done", "done"}},
		{name: "one type is not of the channel", types: []string{"enter", "entre", "exit"}, want: []string{"done", "permanent", "done"}},
		{name: "no type is of the channel", types: []string{"x", "y"}, want: []string{"permanent", "permanent"}},
		{name: "own types pass", types: []string{"signalbox.gap"}, want: []string{"done"}},
		{name: "target away", publisher: boom, types: []string{"enter", "exit"}, want: []string{"unavailable 0s", "unavailable 0s"}},
		{name: "target away and a wrong type", publisher: boom, types: []string{"entre", "exit"}, want: []string{"permanent", "unavailable 0s"}},
		{name: "target asks for time", publisher: router.Unavailable(boom, time.Minute), types: []string{"enter"}, want: []string{"unavailable 1m0s"}},
		{name: "publisher knows better", publisher: router.Permanent(boom), types: []string{"enter"}, want: []string{"permanent"}},
		{name: "timeout", publisher: context.DeadlineExceeded, types: []string{"enter"}, want: []string{"unavailable 0s"}},
		{name: "shutdown", publisher: context.Canceled, types: []string{"enter"}, want: []string{"canceled"}},
		{name: "cannot open", open: boom, types: []string{"enter"}, want: []string{"unavailable 0s"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := &fakePublisher{err: test.publisher, open: test.open}
			handler := newPublish(t, out)
			var events []*router.Event
			for _, typ := range test.types {
				events = append(events, &router.Event{Type: typ, Msg: fmt.Appendf(nil, `{"type":%q}`, typ)})
			}
			verdicts := handler.HandleBatch(t.Context(), events)
			if verdicts == nil {
				verdicts = make([]error, len(events))
			}
			var got []string
			for i, verdict := range verdicts {
				got = append(got, describe(verdict))
				// Alone, an event gets the same verdict.
				if alone := describe(handler.Handle(t.Context(), events[i])); alone != got[i] {
					t.Errorf("Handle of %q: %s, HandleBatch: %s", events[i].Type, alone, got[i])
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("verdicts %q, want %q", got, test.want)
			}
		})
	}
}

func TestPublishToNowhereIsPermanent(t *testing.T) {
	for _, cfg := range []router.Config{
		{},
		{Channels: []router.Channel{{Name: "out", Topic: "out.*", Pattern: true}}},
		{Channels: []router.Channel{{Name: "out"}}}, // without a publisher
	} {
		env := router.Env{Publisher: router.NewPublisher(cfg, nil)}
		handler, err := handlers.Publish().New(env, handlers.PublishOptions{Channel: "out"})
		if err != nil {
			t.Fatal(err)
		}
		if err := handler.Handle(t.Context(), &router.Event{Type: "enter"}); !router.IsPermanent(err) {
			t.Errorf("%+v: %v, want a permanent error", cfg.Channels, err)
		}
	}
}

func TestPublishOptions(t *testing.T) {
	if err := (handlers.PublishOptions{}).Validate(); err == nil {
		t.Error("no error without a channel")
	}
	if _, err := handlers.Publish().New(router.Env{}, handlers.PublishOptions{}); err == nil {
		t.Error("New makes a handler without a channel")
	}
	options := handlers.PublishOptions{Channel: "stock"}
	if err := options.Validate(); err != nil {
		t.Error(err)
	}
	if got := options.PublishesTo(); !slices.Equal(got, []string{"stock"}) {
		t.Errorf("publishes to %q", got)
	}
}

func ExamplePublish() {
	box, err := routertest.New(router.Config{
		Channels: []router.Channel{{Name: "orders"}, {Name: "stock", Types: []string{"order.created"}}},
		Handlers: []router.HandlerSpec{spec(handlers.Publish(), handlers.PublishOptions{Channel: "stock"})},
		Routes:   []router.Route{{Channel: "orders", Types: []string{"order.*"}, Handler: "publish"}},
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = box.Close() }()

	box.Send("orders", `{"type":"order.created","data":{"order":"A7"}}`, `{"type":"order.paid"}`)
	fmt.Println(box.Published("stock"))
	fmt.Println(box.Outcomes()[1].Err)
	// Output:
	// [{"type":"order.created","data":{"order":"A7"}}]
	// forward to "stock": type "order.paid" is not one of its types: order.created
}

// newPublish is a handler that forwards to a channel of types enter and exit.
func newPublish(t *testing.T, out *fakePublisher) router.BatchHandler {
	t.Helper()
	cfg := router.Config{Channels: []router.Channel{{Name: "out", Types: []string{"enter", "exit"}}}}
	open := func(router.Channel) (message.Publisher, error) { return out, out.open }
	handler, err := handlers.Publish().New(router.Env{Publisher: router.NewPublisher(cfg, open)}, handlers.PublishOptions{Channel: "out"})
	if err != nil {
		t.Fatal(err)
	}
	return handler.(router.BatchHandler)
}

// fakePublisher is a Watermill publisher that fails with err.
type fakePublisher struct {
	open, err error
	calls     [][]string
}

func (p *fakePublisher) Publish(_ string, msgs ...*message.Message) error {
	var payloads []string
	for _, m := range msgs {
		payloads = append(payloads, string(m.Payload))
	}
	p.calls = append(p.calls, payloads)
	return p.err
}

func (p *fakePublisher) Close() error { return nil }

// describe names a verdict.
func describe(err error) string {
	after, away := router.IsUnavailable(err)
	switch {
	case err == nil:
		return "done"
	case router.IsPermanent(err):
		return "permanent"
	case away:
		return "unavailable " + after.String()
	case errors.Is(err, context.Canceled):
		return "canceled"
	default:
		return err.Error()
	}
}
