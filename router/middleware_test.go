package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"
)

// The middleware on a plain Watermill router: what cannot be mended is acked, the rest
// is nacked and comes again.
func TestMiddlewareOnAPlainRouter(t *testing.T) {
	types, err := ParseTypes("*", "!ignored")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var calls []string
	failures := map[string]int{}
	handler := HandlerFunc(func(ctx context.Context, e *Event) error {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, e.Type+" "+e.ID)
		if e.Channel != "in" || e.Name != "topic" || EventFrom(ctx) != e {
			t.Errorf("event %+v", e)
		}
		failures[e.ID]++
		if (e.Type == "error" || e.Type == "panic" || e.Type == "unavailable") && failures[e.ID] > 2 {
			return nil
		}
		return misbehave(ctx, e)
	})
	pubsub := gochannel.NewGoChannel(gochannel.Config{BlockPublishUntilSubscriberAck: true}, watermill.NopLogger{})
	plain, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
	if err != nil {
		t.Fatal(err)
	}
	lines := &logs{}
	plain.AddMiddleware(LogErrors(lines.logger()), DecodeJSON(Channel{Name: "in", Fields: Fields{Split: "."}}), FilterTypes(types), Recover)
	plain.AddConsumerHandler("handler", "topic", pubsub, func(msg *message.Message) error {
		err := HandleEvents(handler)(msg)
		return err
	})
	ended := make(chan error, 1)
	go func() { ended <- plain.Run(context.Background()) }()
	receive(t, "the router to run", plain.Running())

	for _, tc := range []struct {
		payload string
		calls   string
		logged  int
	}{
		{`{"type":"fine","id":"1"}`, "[fine 1]", 0},
		{`{"type":"ignored","id":"2"}`, "[]", 0},
		{`{"type":`, "[]", 1},
		{`{"type":"permanent","id":"3"}`, "[permanent 3]", 1},
		{`{"type":"error","id":"4"}`, "[error 4 error 4 error 4]", 2},
		{`{"type":"panic","id":"5"}`, "[panic 5 panic 5 panic 5]", 2},
		{`{"type":"unavailable","id":"6"}`, "[unavailable 6 unavailable 6 unavailable 6]", 2},
		{`[{"type":"fine","id":"7"},{},7,{"type":"permanent","id":"8"}]`, "[fine 7 permanent 8]", 3},
		{`[{},{"type":"error","id":"9"},{"type":"permanent","id":"10"}]`, "[error 9 permanent 10 error 9 permanent 10 error 9 permanent 10]", 8},
	} {
		mu.Lock()
		calls = nil
		mu.Unlock()
		before := len(lines.lines(t, slog.LevelWarn, ""))
		// Publish returns when the message is acked.
		if err := pubsub.Publish("topic", message.NewMessage("uuid", []byte(tc.payload))); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		if fmt.Sprint(calls) != tc.calls {
			t.Errorf("%s: calls %v, want %s", tc.payload, calls, tc.calls)
		}
		mu.Unlock()
		if n := len(lines.lines(t, slog.LevelWarn, "")) - before; n != tc.logged {
			t.Errorf("%s: %d lines, want %d", tc.payload, n, tc.logged)
		}
	}
	for _, line := range lines.lines(t, slog.LevelError, "handler failed") {
		if line["channel"] != "in" || line["type"] == nil || line["id"] == nil || line["err"] == nil {
			t.Errorf("line %v", line)
		}
	}
	for _, line := range lines.lines(t, slog.LevelWarn, "message rejected") {
		if line["channel"] != "topic" || line["cause"] == nil || line["err"] == nil {
			t.Errorf("line %v", line)
		}
	}
	if err := plain.Close(); err != nil {
		t.Error(err)
	}
	if err := receive(t, "the router to end", ended); err != nil {
		t.Error(err)
	}
}

func TestHandleEventsWithoutDecodeJSON(t *testing.T) {
	err := HandleEvents(accepting)(message.NewMessage("1", []byte(`{"type":"a"}`)))
	if !IsPermanent(err) {
		t.Errorf("error %v, want a permanent one", err)
	}
	types, _ := ParseTypes("*")
	reached := false
	_, err = FilterTypes(types)(func(*message.Message) ([]*message.Message, error) { reached = true; return nil, nil })(message.NewMessage("1", nil))
	if err != nil || reached {
		t.Error("FilterTypes let a message without an event pass")
	}
}

// DecodeJSON twice, or on a message that carries another event's context, decodes anew.
func TestDecodeJSONDecodesItsOwnMessage(t *testing.T) {
	decoder := DecodeJSON(Channel{Name: "in"})
	var types []string
	inner := decoder(func(msg *message.Message) ([]*message.Message, error) {
		types = append(types, EventFrom(msg.Context()).Type)
		return nil, nil
	})
	var outer *Event
	_, err := decoder(func(msg *message.Message) ([]*message.Message, error) {
		outer = EventFrom(msg.Context())
		if _, err := inner(msg); err != nil {
			return nil, err
		}
		return inner(message.NewMessageWithContext(msg.Context(), "2", []byte(`{"type":"second"}`)))
	})(message.NewMessage("1", []byte(`{"type":"first"}`)))
	if err != nil || fmt.Sprint(types) != "[first second]" || outer.Type != "first" {
		t.Errorf("types %v, the first is now %q, error %v", types, outer.Type, err)
	}
}

// The same in a Router: a handler publishes with its context to a publisher that
// preserves contexts, and another Router reads that.
func TestRoutersInARow(t *testing.T) {
	pubsub := gochannel.NewGoChannel(gochannel.Config{BlockPublishUntilSubscriberAck: true, PreserveContext: true}, watermill.NopLogger{})
	got := make(chan string, 1)
	subscriber := func(Channel) (message.Subscriber, error) { return pubsub, nil }
	start(t, one(HandlerFunc(func(_ context.Context, e *Event) error { got <- e.Type; return nil })), Options{Subscriber: subscriber})
	var publisher *Publisher
	first := start(t, Config{
		Channels: []Channel{{Name: "first"}, {Name: "in"}},
		Handlers: []HandlerSpec{{Name: "h", New: func(env Env) (Handler, error) {
			publisher = env.Publisher
			return HandlerFunc(func(ctx context.Context, e *Event) error {
				err := publisher.Publish(ctx, "in", Event{Type: "second"})
				if e.Type != "first" {
					t.Errorf("the event was changed: %q", e.Type)
				}
				return err
			}), nil
		}}},
		Routes: []Route{{Channel: "first", Types: []string{"*"}, Handler: "h"}},
	}, Options{Publisher: func(Channel) (message.Publisher, error) { return pubsub, nil }})
	items := first.send(t, `{"type":"first"}`)
	if typ := receive(t, "the second router", got); typ != "second" {
		t.Errorf("type %q", typ)
	}
	first.await(t, items)
}

// A foreign message's metadata and context reach the middleware and the handler.
func TestForeignMetadataReachesTheMiddleware(t *testing.T) {
	pubsub := gochannel.NewGoChannel(gochannel.Config{BlockPublishUntilSubscriberAck: true, PreserveContext: true}, watermill.NopLogger{})
	var metadata message.Metadata
	var value any
	see := func(next message.HandlerFunc) message.HandlerFunc {
		return func(msg *message.Message) ([]*message.Message, error) {
			metadata = msg.Metadata
			return next(msg)
		}
	}
	start(t, one(HandlerFunc(func(ctx context.Context, _ *Event) error { value = ctx.Value(contextKeyOfTest{}); return nil })), Options{
		Subscriber: func(Channel) (message.Subscriber, error) { return pubsub, nil },
		Middleware: []message.HandlerMiddleware{see},
	})
	msg := message.NewMessageWithContext(context.WithValue(context.Background(), contextKeyOfTest{}, "there"), "1", []byte(`{"type":"a"}`))
	msg.Metadata.Set("correlation_id", "7")
	if err := pubsub.Publish("in", msg); err != nil {
		t.Fatal(err)
	}
	if metadata.Get("correlation_id") != "7" || value != "there" {
		t.Errorf("metadata %v, value %v", metadata, value)
	}
}

func TestLogErrorsAtAShutdown(t *testing.T) {
	lines := &logs{}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	wrapped := LogErrors(lines.logger())(func(*message.Message) ([]*message.Message, error) {
		return nil, fmt.Errorf("query: %w", context.Canceled)
	})
	if _, err := wrapped(message.NewMessageWithContext(ctx, "1", nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if n := len(lines.lines(t, slog.LevelWarn, "")); n != 0 {
		t.Errorf("%d lines", n)
	}
}

func TestJSON(t *testing.T) {
	type order struct {
		Symbol string `json:"symbol"`
		Size   int    `json:"size"`
	}
	for _, tc := range []struct {
		data string
		want order
		bad  bool
	}{
		{`{"symbol":"BTC","size":2}`, order{"BTC", 2}, false},
		{`{"Symbol":"BTC","SIZE":2,"symbol":"ETH"}`, order{"ETH", 0}, false},
		{`{"other":1}`, order{}, false},
		{`null`, order{}, false},
		{`{"size":"2"}`, order{}, true},
		{`[]`, order{}, true},
		{`{"size":1,"size":2}`, order{}, true},
	} {
		var got order
		err := JSON(func(_ context.Context, _ *Event, o order) error { got = o; return nil }).
			Handle(context.Background(), &Event{Type: "enter", Data: []byte(tc.data)})
		if (err != nil) != tc.bad || tc.bad && !IsPermanent(err) || !tc.bad && got != tc.want {
			t.Errorf("%s: %+v, %v", tc.data, got, err)
		}
	}
	refused := errors.New("refused")
	h := JSON(func(context.Context, *Event, order) error { return Unavailable(refused, time.Second) })
	if err := h.Handle(context.Background(), &Event{Data: []byte(`{}`)}); IsPermanent(err) || !errors.Is(err, refused) {
		t.Errorf("the handler's own error: %v", err)
	}
}
